import Multiaddr
import NetStream
import PeerID

/// A transport whose connections say that they go from or to another place than they do: what is on the internet cannot be
/// had on loopback.
struct DisguisedTransport: Transport {
    let base: any Transport
    var local: Multiaddr?
    var remote: Multiaddr?

    var protocols: [String] { base.protocols }
    func canDial(_ address: Multiaddr) -> Bool { base.canDial(address) }
    func canListen(on address: Multiaddr) -> Bool { base.canListen(on: address) }
    func close() async { await base.close() }

    func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        DisguisedConnection(try await base.dial(address), as: self)
    }

    func listen(on address: Multiaddr) async throws -> any Listener {
        DisguisedListener(try await base.listen(on: address), as: self)
    }
}

private final class DisguisedListener: Listener {
    let base: any Listener
    let disguise: DisguisedTransport

    init(_ base: any Listener, as disguise: DisguisedTransport) {
        self.base = base
        self.disguise = disguise
    }

    var addresses: [Multiaddr] { base.addresses }
    func close() async { await base.close() }
    func accept() async throws -> any MuxedConnection { DisguisedConnection(try await base.accept(), as: disguise) }
}

private final class DisguisedConnection: MuxedConnection {
    let base: any MuxedConnection
    let localAddress: Multiaddr
    let remoteAddress: Multiaddr

    init(_ base: any MuxedConnection, as disguise: DisguisedTransport) {
        self.base = base
        localAddress = disguise.local ?? base.localAddress
        remoteAddress = disguise.remote ?? base.remoteAddress
    }

    var localPeer: PeerID { base.localPeer }
    var remotePeer: PeerID { base.remotePeer }
    var remotePublicKey: PublicKey { base.remotePublicKey }
    var direction: Direction { base.direction }
    var isClosed: Bool { base.isClosed }
    func openStream() async throws -> any MuxedStream { try await base.openStream() }
    func acceptStream() async throws -> any MuxedStream { try await base.acceptStream() }
    func close(code: ConnectionErrorCode, reason: String) async { await base.close(code: code, reason: reason) }
    func waitUntilClosed() async -> ConnectionCloseReason { await base.waitUntilClosed() }
}
