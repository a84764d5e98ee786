public import Multiaddr
public import PeerID
import Synchronization

/// What is known about one peer.
public struct PeerInfo: Sendable {
    /// Who it is.
    public let peer: PeerID
    /// Where it was or may be reached, without `/p2p`.
    public var addresses: [Multiaddr] = []
    /// What it told about itself, once it was identified. Large answers are only kept while it is connected.
    public var identify: IdentifyInfo?

    /// Roughly the memory it takes, in bytes.
    var size: Int { 256 + Self.size(of: addresses) + (identify.map(Self.size) ?? 0) }

    static func size(of told: IdentifyInfo) -> Int {
        512 + told.protocolVersion.utf8.count + told.agentVersion.utf8.count
            + told.protocols.reduce(0) { $0 + $1.utf8.count + 32 }
            + size(of: told.listenAddresses) + size(of: told.record?.addresses ?? [])
    }

    private static func size(of addresses: [Multiaddr]) -> Int {
        addresses.reduce(0) { $0 + $1.bytes.count + 64 }
    }
}

/// What is known about other peers.
///
/// Bounded in number and in bytes: the peer that was not touched for longest is forgotten first. Peers that are connected
/// are never forgotten, nor are those that the program added with ``add(_:for:)`` until it calls ``remove(_:)``; they do
/// not count towards the bytes.
public final class PeerStore: Sendable {
    /// Addresses kept for each peer; the oldest goes first.
    public static let addressLimit = 64
    /// The largest answer to identify that is kept of a peer which is not connected, in bytes.
    static let absentIdentifyLimit = 4096

    private struct Entry {
        var info: PeerInfo
        /// What it counts for.
        var size = 0
        var touched: UInt64 = 0
        /// The program named it.
        var isAdded = false
        /// Its open connections.
        var connections = 0

        var isKept: Bool { isAdded || connections > 0 }
    }

    private struct State {
        var entries: [PeerID: Entry] = [:]
        var clock: UInt64 = 0
        var size = 0
    }

    private let capacity: Int
    private let byteLimit: Int
    private let state = Mutex(State())

    init(capacity: Int, byteLimit: Int = .max) {
        self.capacity = capacity
        self.byteLimit = byteLimit
    }

    /// How many peers are known.
    public var count: Int { state.withLock { $0.entries.count } }

    /// Roughly the memory that peers take which may be forgotten, in bytes.
    var size: Int { state.withLock { $0.size } }

    /// What is known about a peer.
    public func info(for peer: PeerID) -> PeerInfo? {
        state.withLock { $0.entries[peer]?.info }
    }

    /// Where a peer was or may be reached, without `/p2p`.
    public func addresses(of peer: PeerID) -> [Multiaddr] {
        info(for: peer)?.addresses ?? []
    }

    /// The protocols a peer told, or `nil` when it was not identified.
    public func protocols(of peer: PeerID) -> [String]? {
        info(for: peer)?.identify?.protocols
    }

    /// Remembers addresses of a peer, and keeps the peer until ``remove(_:)``. Addresses that name another peer are
    /// ignored.
    public func add(_ addresses: [Multiaddr], for peer: PeerID) {
        change(peer) { entry in
            entry.isAdded = true
            Self.insert(addresses, into: &entry.info)
        }
    }

    /// Remembers addresses of a peer that were met with on the way, as long as there is room.
    func learn(_ addresses: [Multiaddr], of peer: PeerID) {
        change(peer) { Self.insert(addresses, into: &$0.info) }
    }

    /// Forgets a peer. What a connected peer tells from then on is remembered again.
    public func remove(_ peer: PeerID) {
        state.withLock { state in
            guard let entry = state.entries[peer] else { return }
            guard entry.connections > 0 else { return Self.drop(peer, from: &state) }
            state.entries[peer] = Entry(
                info: PeerInfo(peer: peer),
                touched: entry.touched,
                connections: entry.connections
            )
        }
    }

    /// Takes what a peer told. An older signed record than the one known changes no addresses.
    func record(_ told: IdentifyInfo) {
        change(told.peer) { entry in
            var told = told
            if let old = entry.info.identify?.record, old.sequence > (told.record?.sequence ?? 0) {
                told.record = old
                told.listenAddresses = entry.info.identify?.listenAddresses ?? []
            }
            entry.info.identify = told
            Self.insert(told.listenAddresses, into: &entry.info)
            Self.thinOut(&entry)
        }
    }

    /// Takes note that a peer does not speak a protocol any more.
    func forget(protocol name: [UInt8], of peer: PeerID) {
        state.withLock { $0.entries[peer]?.info.identify?.protocols.removeAll { Array($0.utf8) == name } }
    }

    /// Takes note of a connection to a peer.
    func connected(_ peer: PeerID) {
        change(peer) { $0.connections += 1 }
    }

    /// Takes note of the end of a connection to a peer.
    func disconnected(_ peer: PeerID) {
        change(peer) { entry in
            entry.connections = max(0, entry.connections - 1)
            Self.thinOut(&entry)
        }
    }

    // MARK: Inside

    private static func insert(_ addresses: [Multiaddr], into info: inout PeerInfo) {
        for address in addresses {
            if let named = address.peerID, named != info.peer { continue }
            let bare = address.withoutPeerID
            info.addresses.removeAll { $0 == bare }
            info.addresses.append(bare)
        }
        info.addresses = info.addresses.suffix(addressLimit)
    }

    /// A peer that is not here any more has to content itself with little room.
    private static func thinOut(_ entry: inout Entry) {
        guard entry.connections == 0, let told = entry.info.identify else { return }
        if PeerInfo.size(of: told) > absentIdentifyLimit { entry.info.identify = nil }
    }

    private static func drop(_ peer: PeerID, from state: inout State) {
        state.size -= state.entries.removeValue(forKey: peer)?.size ?? 0
    }

    private func change(_ peer: PeerID, _ body: (inout Entry) -> Void) {
        state.withLock { state in
            state.clock += 1
            var entry = state.entries[peer] ?? Entry(info: PeerInfo(peer: peer))
            entry.touched = state.clock
            body(&entry)
            // Those that stay push nobody out.
            let size = entry.isKept ? 0 : entry.info.size
            state.size += size - entry.size
            entry.size = size
            state.entries[peer] = entry
            while state.entries.count > capacity || state.size > byteLimit {
                let oldest = state.entries.lazy.filter { !$0.value.isKept }.min { $0.value.touched < $1.value.touched }
                guard let oldest else { break }
                Self.drop(oldest.key, from: &state)
            }
        }
    }
}
