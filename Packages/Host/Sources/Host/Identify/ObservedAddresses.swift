import Multiaddr
import PeerID

/// The addresses that other peers see this host at, and who says so. A part of locked state.
///
/// One peer may lie, or be behind the same router. An address counts when enough observers see it at the same time, no two
/// of them from the same IPv4 address or the same IPv6 /56. What a connection told is forgotten with it, so the table
/// is no larger than the number of connections.
struct ObservedAddresses: Sendable {
    /// Most addresses that are told others, those with the most observers first.
    static let limit = 8

    private struct Observation {
        var address: Multiaddr
        var observer: Observer
    }

    /// What counts as one observer.
    private enum Observer: Hashable {
        case network([UInt8])
        /// Where addresses are no IP addresses.
        case peer(PeerID)

        init(_ connection: ConnectionInfo) {
            if let ip = connection.remoteAddress.first(.ip4)?.ip4Address {
                self = .network(ip)
            } else if let ip = connection.remoteAddress.first(.ip6)?.ip6Address {
                self = .network(Array(ip.prefix(7)))
            } else {
                self = .peer(connection.peer)
            }
        }
    }

    private var observations: [UInt64: Observation] = [:]

    /// Takes note of what a peer said at the other end of a connection. It says so of the port that the connection leaves
    /// from, which tells where others reach us only when we listen there.
    mutating func note(_ address: Multiaddr?, by connection: ConnectionInfo, listening: [Multiaddr]) {
        guard let address = address?.withoutPeerID, !AddressRanking.isUnspecified(address), !Self.isLoopback(address),
            listening.contains(where: { Self.isSamePlace($0, connection.localAddress) })
        else {
            observations[connection.id] = nil
            return
        }
        observations[connection.id] = Observation(address: address, observer: Observer(connection))
    }

    /// Forgets what was told over a connection.
    mutating func forget(_ connection: UInt64) {
        observations[connection] = nil
    }

    /// The addresses that enough observers see.
    func confirmed(by least: Int) -> [Multiaddr] {
        var observers: [Multiaddr: Set<Observer>] = [:]
        for each in observations.values { observers[each.address, default: []].insert(each.observer) }
        let enough = observers.filter { $0.value.count >= least }.map { ($0.key, $0.value.count) }
        let best = enough.sorted { left, right in
            left.1 == right.1 ? left.0.bytes.lexicographicallyPrecedes(right.0.bytes) : left.1 > right.1
        }
        return best.prefix(Self.limit).map(\.0)
    }

    private static func isLoopback(_ address: Multiaddr) -> Bool {
        if let ip = address.first(.ip4)?.ip4Address { return ip.first == 127 }
        if let ip = address.first(.ip6)?.ip6Address { return ip.dropLast().allSatisfy { $0 == 0 } && ip.last == 1 }
        return false
    }

    /// Whether a connection from `local` leaves from where `listening` listens: the same port, as the address of a
    /// listener may be unspecified, or the same address where there are no ports.
    private static func isSamePlace(_ listening: Multiaddr, _ local: Multiaddr) -> Bool {
        guard let port = listening.first(.udp)?.port ?? listening.first(.tcp)?.port else {
            return listening.withoutPeerID == local.withoutPeerID
        }
        return local.first(.udp)?.port ?? local.first(.tcp)?.port == port
    }
}
