import Multiaddr
import NetStream
import PeerID
import Synchronization
import Testing

/// A muxed stream that does at once what a script says: no task ever waits on it, so millions of operations are cheap.
/// What a real stream would wait for ends as a timeout.
final class ScriptedStream: MuxedStream {
    struct Script {
        var arrived: [UInt8] = []
        var isFinished = false
        var peerReset: UInt64?
        var peerStop: UInt64?
        var isConnectionClosed = false
        var isBroken = false
        /// What the next operation ends with, once.
        var next: StreamFailureKind?
        var sent = 0
        var resets: [StreamErrorCode] = []
    }

    struct Broken: Error {}

    let id: UInt64 = 4
    let direction = Direction.outbound
    private let script = Mutex(Script())

    func change(_ body: (inout Script) -> Void) { script.withLock { body(&$0) } }
    var now: Script { script.withLock { $0 } }

    func read(upTo maxLength: Int) async throws -> [UInt8]? {
        try script.withLock { script in
            try Self.interrupt(&script)
            if !script.arrived.isEmpty {
                defer { script.arrived.removeFirst(min(maxLength, script.arrived.count)) }
                return Array(script.arrived.prefix(maxLength))
            }
            if let code = script.peerReset { throw KindError(streamFailureKind: .reset(code: code, byPeer: true)) }
            if script.isFinished { return nil }
            try Self.fail(script)
            throw KindError(streamFailureKind: .timeout)
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        try script.withLock { script in
            try Self.interrupt(&script)
            try Self.fail(script)
            try Self.stop(script)
            script.sent += bytes.count
        }
    }

    func closeWrite() async throws {
        try script.withLock { script in
            try Self.interrupt(&script)
            try Self.fail(script)
            try Self.stop(script)
        }
    }

    func closeRead() async throws {
        try script.withLock { script in
            try Self.interrupt(&script)
            try Self.fail(script)
        }
    }

    func close() async throws { try await closeWrite() }

    func reset(code: StreamErrorCode) { script.withLock { $0.resets.append(code) } }

    private static func interrupt(_ script: inout Script) throws {
        guard let kind = script.next else { return }
        script.next = nil
        throw KindError(streamFailureKind: kind)
    }

    private static func fail(_ script: Script) throws {
        if script.isBroken { throw Broken() }
        if script.isConnectionClosed { throw KindError(streamFailureKind: .connectionClosed(code: 7, byPeer: true)) }
    }

    private static func stop(_ script: Script) throws {
        if let code = script.peerStop { throw KindError(streamFailureKind: .reset(code: code, byPeer: true)) }
    }
}

/// The connection of scripted streams: it only has a name, and an end.
final class ScriptedConnection: MuxedConnection {
    private static let keys = (local: PrivateKey.ed25519().publicKey, remote: PrivateKey.ed25519().publicKey)
    private let stream: ScriptedStream

    init(of stream: ScriptedStream) {
        self.stream = stream
    }

    var localPeer: PeerID { Self.keys.local.peerID }
    var remotePeer: PeerID { Self.keys.remote.peerID }
    var remotePublicKey: PublicKey { Self.keys.remote }
    var localAddress: Multiaddr { "/memory/1" }
    var remoteAddress: Multiaddr { "/memory/2" }
    var direction: Direction { .outbound }
    var isClosed: Bool { stream.now.isConnectionClosed }
    func openStream() async throws -> any MuxedStream { throw ScriptedStream.Broken() }
    func acceptStream() async throws -> any MuxedStream { throw ScriptedStream.Broken() }
    func close(code: ConnectionErrorCode, reason: String) async {}
    func waitUntilClosed() async -> ConnectionCloseReason {
        ConnectionCloseReason(code: 0, isApplication: true, byPeer: false, reason: "scripted")
    }
}
