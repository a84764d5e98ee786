import Multiaddr
import NetStream
import PeerID

/// A transport that is held up, or made to fail, before each dial and each connection that it takes in.
struct GatedTransport: Transport {
    let base: any Transport
    var beforeDial: @Sendable (Multiaddr) async throws -> Void = { _ in }
    var beforeAccept: @Sendable () async throws -> Void = {}

    var protocols: [String] { base.protocols }
    func canDial(_ address: Multiaddr) -> Bool { base.canDial(address) }
    func canListen(on address: Multiaddr) -> Bool { base.canListen(on: address) }
    func close() async { await base.close() }

    func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        try await beforeDial(address)
        return try await base.dial(address)
    }

    func listen(on address: Multiaddr) async throws -> any Listener {
        GatedListener(try await base.listen(on: address), beforeAccept: beforeAccept)
    }
}

private final class GatedListener: Listener {
    let base: any Listener
    let beforeAccept: @Sendable () async throws -> Void

    init(_ base: any Listener, beforeAccept: @escaping @Sendable () async throws -> Void) {
        self.base = base
        self.beforeAccept = beforeAccept
    }

    var addresses: [Multiaddr] { base.addresses }
    func close() async { await base.close() }
    func accept() async throws -> any MuxedConnection {
        try await beforeAccept()
        return try await base.accept()
    }
}

/// What a transport refuses for no reason.
struct Contrived: Error {}
