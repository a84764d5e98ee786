import Multiaddr
import NetStream
import PeerID

/// A transport whose streams end each read after a while, as QUIC's do by default, measured by a clock of its own.
struct TimingTransport: Transport {
    let base: any Transport
    let clock: any Clock<Duration>
    var readTimeout: Duration = .seconds(30)

    var protocols: [String] { base.protocols }
    func canDial(_ address: Multiaddr) -> Bool { base.canDial(address) }
    func canListen(on address: Multiaddr) -> Bool { base.canListen(on: address) }
    func close() async { await base.close() }

    func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        TimingConnection(try await base.dial(address), clock: clock, readTimeout: readTimeout)
    }

    func listen(on address: Multiaddr) async throws -> any Listener {
        TimingListener(try await base.listen(on: address), clock: clock, readTimeout: readTimeout)
    }
}

private final class TimingListener: Listener {
    let base: any Listener
    let clock: any Clock<Duration>
    let readTimeout: Duration

    init(_ base: any Listener, clock: any Clock<Duration>, readTimeout: Duration) {
        self.base = base
        self.clock = clock
        self.readTimeout = readTimeout
    }

    var addresses: [Multiaddr] { base.addresses }
    func close() async { await base.close() }
    func accept() async throws -> any MuxedConnection {
        TimingConnection(try await base.accept(), clock: clock, readTimeout: readTimeout)
    }
}

private final class TimingConnection: MuxedConnection {
    let base: any MuxedConnection
    let clock: any Clock<Duration>
    let readTimeout: Duration

    init(_ base: any MuxedConnection, clock: any Clock<Duration>, readTimeout: Duration) {
        self.base = base
        self.clock = clock
        self.readTimeout = readTimeout
    }

    var localPeer: PeerID { base.localPeer }
    var remotePeer: PeerID { base.remotePeer }
    var remotePublicKey: PublicKey { base.remotePublicKey }
    var localAddress: Multiaddr { base.localAddress }
    var remoteAddress: Multiaddr { base.remoteAddress }
    var direction: Direction { base.direction }
    var isClosed: Bool { base.isClosed }
    func openStream() async throws -> any MuxedStream {
        TimingStream(try await base.openStream(), clock: clock, readTimeout: readTimeout)
    }
    func acceptStream() async throws -> any MuxedStream {
        TimingStream(try await base.acceptStream(), clock: clock, readTimeout: readTimeout)
    }
    func close(code: ConnectionErrorCode, reason: String) async { await base.close(code: code, reason: reason) }
    func waitUntilClosed() async -> ConnectionCloseReason { await base.waitUntilClosed() }
}

final class TimingStream: MuxedStream {
    let base: any MuxedStream
    let clock: any Clock<Duration>
    let readTimeout: Duration

    init(_ base: any MuxedStream, clock: any Clock<Duration>, readTimeout: Duration) {
        self.base = base
        self.clock = clock
        self.readTimeout = readTimeout
    }

    var id: UInt64 { base.id }
    var direction: Direction { base.direction }
    func read(upTo maxLength: Int) async throws -> [UInt8]? {
        try await withDeadline(readTimeout, clock: clock) { [base] in try await base.read(upTo: maxLength) }
    }
    func write(_ bytes: [UInt8]) async throws { try await base.write(bytes) }
    func closeWrite() async throws { try await base.closeWrite() }
    func closeRead() async throws { try await base.closeRead() }
    func close() async throws { try await base.close() }
    func reset(code: StreamErrorCode) { base.reset(code: code) }
}
