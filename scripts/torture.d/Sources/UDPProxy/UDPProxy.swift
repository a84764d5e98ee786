public import NIOCore
internal import NIOPosix

/// What a proxy did so far.
public struct UDPProxyStatistics: Sendable, Hashable {
    /// From the clients to the server.
    public var up: LinkStatistics
    /// From the server to the clients.
    public var down: LinkStatistics
    /// How often clients got another source port, or address, towards the server.
    public var rebindings: Int
    /// Client addresses that are known.
    public var clients: Int
}

/// A network between real UDP sockets on the loopback interface, bad in the ways that ``LinkConditions`` says.
///
/// Clients send to ``address``. Towards the server each client address has a socket of its own, as behind an address
/// translator; rebinding gives it a new one, and what the server sends to the old one is lost. All clients share the
/// two directions of one link. Everything happens on one event loop.
public final class UDPProxy: Sendable {
    /// Where clients send to.
    public let address: SocketAddress
    private let relay: NIOLoopBound<Relay>
    private let loop: any EventLoop

    /// Starts a proxy on a free port of 127.0.0.1, or of ::1.
    ///
    /// - Parameters:
    ///   - server: Where everything goes to: 127.0.0.1, or ::1 for a proxy of IPv6.
    ///   - up: The direction to the server.
    ///   - down: The direction to the clients.
    ///   - seed: What all accidents follow from.
    ///   - rebinding: How often clients get a new source port; `nil` for never.
    ///   - changesAddress: Whether each of them is at another address of 127.0.0.0/8 too. Not with IPv6, which has one
    ///     loopback address.
    ///   - loop: One of SwiftNIO's POSIX loops.
    /// - Throws: An `IOError` when a socket cannot be opened.
    public static func start(
        to server: SocketAddress,
        up: LinkConditions,
        down: LinkConditions,
        seed: UInt64,
        rebindingEvery rebinding: Duration? = nil,
        changesAddress: Bool = false,
        on loop: any EventLoop
    ) async throws -> UDPProxy {
        try await loop.flatSubmit {
            let relay = Relay(
                server: server,
                up: up,
                down: down,
                seed: seed,
                changesAddress: changesAddress,
                loop: loop
            )
            let bound = NIOLoopBound(relay, eventLoop: loop)
            return relay.bind(to: relay.host) { bound.value.fromClient($0) }.flatMapThrowing { channel in
                guard let address = channel.localAddress else { throw ChannelError.unknownLocalAddress }
                let relay = bound.value
                relay.front = channel
                if let rebinding {
                    let period = TimeAmount.nanoseconds(rebinding.nanosecondCount)
                    relay.rebinding = loop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
                        bound.value.rebind()
                    }
                }
                return UDPProxy(address: address, relay: bound, loop: loop)
            }
        }.get()
    }

    private init(address: SocketAddress, relay: NIOLoopBound<Relay>, loop: any EventLoop) {
        self.address = address
        self.relay = relay
        self.loop = loop
    }

    /// Changes what the link does, for the datagrams that come from now on.
    public func change(_ change: @escaping @Sendable (inout LinkConditions) -> Void) async throws {
        try await loop.submit { [relay] in
            change(&relay.value.up.conditions)
            change(&relay.value.down.conditions)
        }.get()
    }

    /// Gives every client a new source port, or address, towards the server.
    public func rebind() async throws {
        try await loop.submit { [relay] in relay.value.rebind() }.get()
    }

    /// What became of the datagrams so far.
    public func statistics() async throws -> UDPProxyStatistics {
        try await loop.submit { [relay] in relay.value.statistics }.get()
    }

    /// Closes all sockets; datagrams that are under way are lost.
    public func close() async throws {
        try await loop.flatSubmit { [relay] in relay.value.close() }.get()
    }
}
