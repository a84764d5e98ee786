import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// A peer without a host on its side, which says what it likes byte by byte.
struct RawPeer: Sendable {
    let identity: PrivateKey
    let connection: any MuxedConnection

    /// Dials the host.
    init(in network: OpenNetwork, dialing host: BasicHost) async throws {
        identity = .ed25519()
        connection = try await network.peer(identity, dialing: host)
    }

    var peerID: PeerID { identity.peerID }

    /// What it would say of itself by identify.
    func speaking(_ protocols: [String]) -> IdentifyUpdate {
        IdentifyUpdate(peer: peerID, publicKey: identity.publicKey, protocols: protocols, listenAddresses: [])
    }

    /// A line of multistream-select.
    static func line(_ text: String) -> [UInt8] { Multistream.frame(Array(text.utf8)) }

    /// Header and proposal.
    static func opening(_ name: String) -> [UInt8] { line("/multistream/1.0.0") + line(name) }

    /// Opens a stream and says this first.
    func open(saying bytes: [UInt8]) async throws -> any MuxedStream {
        let stream = try await connection.openStream()
        try await stream.write(bytes)
        return stream
    }

    /// Opens a stream for a protocol that the host speaks.
    func open(_ name: String) async throws -> any MuxedStream {
        let stream = try await open(saying: Self.opening(name))
        let answer = try await Self.read(Self.opening(name).count, from: stream)
        try #require(answer == Self.opening(name))
        return stream
    }

    /// Takes the next stream of the host and agrees to the protocol it proposes.
    func accept(_ name: String) async throws -> any MuxedStream {
        let stream = try await connection.acceptStream()
        let opening = Self.opening(name)
        try #require(try await Self.read(opening.count, from: stream) == opening)
        try await stream.write(opening)
        return stream
    }

    static func read(_ count: Int, from stream: any MuxedStream) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let chunk = try await stream.read(upTo: count - bytes.count) { bytes += chunk }
        return bytes
    }

    /// How the host ends a stream: `nil` for an orderly end.
    static func end(of stream: any MuxedStream) async -> StreamFailureKind? {
        await failure { while try await stream.read(upTo: 65536) != nil {} }
    }
}

/// A host that somebody misbehaves towards, while a good peer pings it all the time and is answered.
///
/// When it is over, the good peer is served as before, and nothing is left but its connection and its pings, in no scope; once
/// it has gone as well, nothing at all.
func whileAnotherPings(
    on kind: TestNetwork,
    _ configuration: HostConfiguration = .defaults,
    window: Int? = nil,
    sendBuffer: Int? = nil,
    _ misbehave: @escaping @Sendable (OpenNetwork, BasicHost) async throws -> Void
) async throws {
    try await kind.openHost(configuration, window: window, sendBuffer: sendBuffer) { network, host in
        await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
        try await network.host(listens: false) { friend in
            let peer = try await friend.connect(to: host.address)
            let session = try await friend.pingSession(with: peer)
            let isOver = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { isOver.set() }
                    try await misbehave(network, host)
                }
                var pings = 0
                while !isOver.isSet || pings < 3 {
                    _ = try await withDeadline(.seconds(30)) { try await session.ping() }
                    pings += 1
                }
                try await group.waitForAll()
            }
            try await withDeadline(.seconds(30)) {
                let stream = try await friend.newStream(to: peer, protocols: [EchoProtocol.name])
                try await stream.write([1, 2, 3])
                #expect(try await stream.readExactly(3) == [1, 2, 3])
                try await stream.close()
            }
            await expectOnly(pingsOf: friend.peerID, at: host)
            #expect(host.connectedPeers == [friend.peerID])
            await session.close()
        }
        await eventually("nothing is left", of: host) {
            host.resources.usages.isEmpty
                && host.state.withLock {
                    $0.connections.isEmpty && $0.untold.connections.isEmpty && $0.pingSlots.isEmpty && $0.dials.isEmpty
                }
        }
    }
}

/// Waits until the books of a host know nothing but one peer's connection and the stream of its pings.
private func expectOnly(pingsOf peer: PeerID, at host: BasicHost) async {
    let limits = host.configuration.limits
    var stream = ResourceUsage()
    stream.inboundStreams = 1
    stream.memory = limits.memoryPerStream
    var all = stream
    all.inboundConnections = 1
    all.memory += limits.memoryPerConnection
    let expected = [all, stream]
    await eventually("the friend's connection is left", of: host) {
        guard let connection = host.connections(to: peer).first else { return false }
        return host.resources.usages == [
            .system: expected[0], .peer(peer): expected[0], .connection(connection.id): expected[0],
            .protocolName(PingProtocol.name): expected[1],
        ]
    }
}

/// Waits for something to become true; an issue, with what is in use, if it does not.
private func eventually(_ what: String, of host: BasicHost, _ isSo: @escaping @Sendable () -> Bool) async {
    let isSeen = try? await withDeadline(.seconds(30)) {
        while !isSo() {
            try Task.checkCancellation()
            await Task.yield()
        }
        return true
    }
    if isSeen == nil { Issue.record("\(what): not so, in use are \(host.resources.usages)") }
}

/// Something that has happened, told from task to task.
final class Flag: Sendable {
    private let state = Mutex(false)
    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
    func clear() { state.withLock { $0 = false } }
}

/// How often something has happened, told from task to task.
final class Count: Sendable {
    private let state = Mutex(0)
    var value: Int { state.withLock { $0 } }
    func add() { state.withLock { $0 += 1 } }
}
