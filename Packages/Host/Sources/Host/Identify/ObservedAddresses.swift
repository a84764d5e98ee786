import Multiaddr
import PeerID

/// The addresses that other peers see this host at, and who says so. A part of locked state.
///
/// One peer may lie, or be behind the same router. An address counts when enough observers see it at the same time: so many
/// different peers, in so many different networks, where one IPv4 address or one IPv6 /56 is one network. What a connection
/// told is forgotten with it, so the table is no larger than the number of connections.
struct ObservedAddresses: Sendable {
    /// Most addresses that are told others, those with the most observers first.
    static let limit = 8
    /// Most bytes of an address that is believed. The longest of the usual kind has 24.
    static let byteLimit = 128

    private struct Observation {
        var address: Multiaddr
        var peer: PeerID
        var network: Network
    }

    /// Where an observer is.
    private enum Network: Hashable {
        case ip([UInt8])
        /// Where addresses are no IP addresses.
        case peer(PeerID)

        init(_ connection: ConnectionInfo) {
            if let ip = connection.remoteAddress.first(.ip4)?.ip4Address {
                self = .ip(ip)
            } else if let ip = connection.remoteAddress.first(.ip6)?.ip6Address {
                self = .ip(Array(ip.prefix(7)))
            } else {
                self = .peer(connection.peer)
            }
        }
    }

    /// Who sees an address: how many connections of each peer, and of each network.
    private struct Observers {
        private var peers: [PeerID: Int] = [:]
        private var networks: [Network: Int] = [:]

        var count: Int { min(peers.count, networks.count) }

        mutating func add(_ observation: Observation) {
            peers[observation.peer, default: 0] += 1
            networks[observation.network, default: 0] += 1
        }

        mutating func remove(_ observation: Observation) {
            Self.takeOne(observation.peer, from: &peers)
            Self.takeOne(observation.network, from: &networks)
        }

        private static func takeOne<Key: Hashable>(_ key: Key, from counts: inout [Key: Int]) {
            guard let count = counts[key] else { return }
            counts[key] = count > 1 ? count - 1 : nil
        }
    }

    /// How many have to see an address.
    let observersNeeded: Int
    private var observations: [UInt64: Observation] = [:]
    private var observers: [Multiaddr: Observers] = [:]
    /// The addresses that enough see, so that thousands of connections cost nothing when somebody asks.
    private var confirmedObservers: [Multiaddr: Int] = [:]

    init(observersNeeded: Int) {
        self.observersNeeded = observersNeeded
    }

    /// Takes note of what a peer said at the other end of a connection. It says so of the port that the connection leaves
    /// from, which tells where others reach us only when we listen there.
    mutating func note(_ address: Multiaddr?, by connection: ConnectionInfo, listening: [Multiaddr]) {
        guard let address = address?.withoutPeerID,
            listening.contains(where: { Self.isCredible(address, at: connection.localAddress, listening: $0) })
        else {
            return forget(connection.id)
        }
        forget(connection.id)
        let observation = Observation(address: address, peer: connection.peer, network: Network(connection))
        observations[connection.id] = observation
        change(address) { $0.add(observation) }
    }

    /// Forgets what was told over a connection.
    mutating func forget(_ connection: UInt64) {
        guard let observation = observations.removeValue(forKey: connection) else { return }
        change(observation.address) { $0.remove(observation) }
    }

    private mutating func change(_ address: Multiaddr, _ body: (inout Observers) -> Void) {
        body(&observers[address, default: Observers()])
        let count = observers[address]?.count ?? 0
        if count == 0 { observers[address] = nil }
        confirmedObservers[address] = count >= max(1, observersNeeded) ? count : nil
    }

    /// Whether nothing is remembered.
    var isEmpty: Bool { observations.isEmpty && observers.isEmpty && confirmedObservers.isEmpty }

    /// The addresses that enough observers see.
    var confirmed: [Multiaddr] {
        let enough = confirmedObservers.map { ($0.key, $0.value) }
        let best = enough.sorted { left, right in
            left.1 == right.1 ? left.0.bytes.lexicographicallyPrecedes(right.0.bytes) : left.1 > right.1
        }
        return best.prefix(Self.limit).map(\.0)
    }

    /// Whether an address may be what a peer sees of a connection from `local`, and lead to what listens at `listening`.
    ///
    /// A router on the way changes numbers, not protocols. Where the listener is reached from elsewhere than this machine,
    /// only an address of the public internet tells others anything new.
    private static func isCredible(_ address: Multiaddr, at local: Multiaddr, listening: Multiaddr) -> Bool {
        guard address.bytes.count <= byteLimit, isSamePlace(listening, local),
            sequence(address) == sequence(local),
            // An IPv6 listener may serve IPv4 too.
            sequence(local).dropFirst() == sequence(listening).dropFirst()
        else { return false }
        guard AddressRanking.hasIP(address) else { return true }
        return AddressRanking.isLoopback(listening)
            ? AddressRanking.isLoopback(address) : AddressRanking.isPublic(address)
    }

    private static func sequence(_ address: Multiaddr) -> [MultiaddrProtocol] {
        address.withoutPeerID.protocols
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
