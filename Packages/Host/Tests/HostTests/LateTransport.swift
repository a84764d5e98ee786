import Multiaddr
import NetStream
import PeerID

@testable import Host

/// A transport whose connections tell of their ends only when the test says so.
struct LateTransport: Transport {
    let base: any Transport
    let gate: SharedResult<Void>

    var protocols: [String] { base.protocols }
    func canDial(_ address: Multiaddr) -> Bool { base.canDial(address) }
    func canListen(on address: Multiaddr) -> Bool { base.canListen(on: address) }
    func listen(on address: Multiaddr) async throws -> any Listener { try await base.listen(on: address) }
    func close() async { await base.close() }

    func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        LateConnection(try await base.dial(address), gate: gate)
    }
}

private final class LateConnection: MuxedConnection {
    let base: any MuxedConnection
    let gate: SharedResult<Void>

    init(_ base: any MuxedConnection, gate: SharedResult<Void>) {
        self.base = base
        self.gate = gate
    }

    var localPeer: PeerID { base.localPeer }
    var remotePeer: PeerID { base.remotePeer }
    var remotePublicKey: PublicKey { base.remotePublicKey }
    var localAddress: Multiaddr { base.localAddress }
    var remoteAddress: Multiaddr { base.remoteAddress }
    var direction: Direction { base.direction }
    var isClosed: Bool { base.isClosed }
    func openStream() async throws -> any MuxedStream { try await base.openStream() }
    func acceptStream() async throws -> any MuxedStream { try await base.acceptStream() }
    func close(code: ConnectionErrorCode, reason: String) async { await base.close(code: code, reason: reason) }
    func waitUntilClosed() async -> ConnectionCloseReason {
        let reason = await base.waitUntilClosed()
        await uncancelled { [gate] in try? await gate.wait() }
        return reason
    }
}
