internal import Multiaddr
internal import NIOCore
internal import QuicCore
internal import Synchronization

/// What an unspecified address stands for: the addresses of this machine's interfaces.
///
/// Loopback is among them. Link-local IPv6 addresses are not: they mean nothing without the interface of whoever uses them,
/// and go-libp2p leaves them out too. A listener on the unspecified IPv6 address serves IPv4 as well.
final class InterfaceAddresses: Sendable {
    /// Most addresses that one stands for: what is told to each peer must stay short.
    static let limit = 32
    /// For how long the answer of the system holds. Long enough for it to cost nothing, short enough for a machine that
    /// changes its network.
    static let lifetime: Duration = .seconds(5)

    private let address: NetworkAddress
    private let enumerate: @Sendable () -> [NetworkAddress]
    private let clock: any Clock<Duration>
    private let cache = Mutex<(addresses: [Multiaddr], age: @Sendable () -> Duration)?>(nil)

    /// - Parameters:
    ///   - address: What is listened on.
    ///   - enumerate: The addresses of the interfaces, in the system's order; those of the system unless given.
    ///   - clock: What tells how old an answer is.
    init(
        of address: NetworkAddress,
        enumerate: @escaping @Sendable () -> [NetworkAddress] = { InterfaceAddresses.ofTheSystem() },
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.address = address
        self.enumerate = enumerate
        self.clock = clock
    }

    /// The addresses that lead to the listener, at most ``limit``: the listener's own if it is not unspecified, or if the
    /// system tells none.
    var current: [Multiaddr] {
        let own = address.quicAddress(version: .v1)
        guard address.isUnspecified else { return [own] }
        return cache.withLock { cache in
            if let cache, cache.age() < Self.lifetime { return cache.addresses }
            var seen: Set<NetworkAddress> = []
            let found = enumerate().filter { isServed($0) && seen.insert($0).inserted }.prefix(Self.limit)
            let addresses = found.isEmpty ? [own] : found.map { $0.withPort(address.port).quicAddress(version: .v1) }
            cache = (addresses, Self.stopwatch(clock))
            return addresses
        }
    }

    private func isServed(_ interface: NetworkAddress) -> Bool {
        guard !interface.isUnspecified, !interface.isLinkLocalIPv6 else { return false }
        return interface.family == address.family || address.family == .ip6
    }

    private static func stopwatch<C: Clock<Duration>>(_ clock: C) -> @Sendable () -> Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }

    /// The IP addresses of this machine's interfaces; none when the system does not tell.
    static func ofTheSystem() -> [NetworkAddress] {
        ((try? System.enumerateDevices()) ?? []).compactMap { device in
            guard let text = device.address?.ipAddress, let address = try? Multiaddr.quic(host: text, port: 0) else {
                return nil
            }
            return address.quicEndpoint.flatMap { NetworkAddress($0) }
        }
    }
}

extension NetworkAddress {
    /// Whether the address is one of `fe80::/10`.
    fileprivate var isLinkLocalIPv6: Bool {
        family == .ip6 && ipBytes.starts(with: [0xfe]) && ipBytes[1] & 0xc0 == 0x80
    }
}
