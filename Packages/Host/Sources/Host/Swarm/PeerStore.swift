public import Multiaddr
public import PeerID
import Synchronization

/// What is known about one peer.
public struct PeerInfo: Sendable {
    /// Who it is.
    public let peer: PeerID
    /// Where it was or may be reached, without `/p2p`.
    public var addresses: [Multiaddr] = []
    /// What it told about itself, once it was identified.
    public var identify: IdentifyInfo?
}

/// What is known about other peers. Bounded: the peer that was not touched for longest is forgotten first.
public final class PeerStore: Sendable {
    /// Addresses kept for each peer; the oldest goes first.
    public static let addressLimit = 64

    private struct Entry {
        var info: PeerInfo
        var touched: UInt64
    }

    private struct State {
        var entries: [PeerID: Entry] = [:]
        var clock: UInt64 = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// How many peers are known.
    public var count: Int { state.withLock { $0.entries.count } }

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

    /// Remembers addresses of a peer. Those that name another peer are ignored.
    public func add(_ addresses: [Multiaddr], for peer: PeerID) {
        change(peer) { info in
            for address in addresses {
                if let named = address.peerID, named != peer { continue }
                let bare = address.withoutPeerID
                info.addresses.removeAll { $0 == bare }
                info.addresses.append(bare)
            }
            info.addresses = info.addresses.suffix(Self.addressLimit)
        }
    }

    /// Remembers addresses that were met with on the way, without keeping the peer for longer because of that.
    func learn(_ addresses: [Multiaddr], of peer: PeerID) {
        add(addresses, for: peer)
    }

    /// Forgets a peer.
    public func remove(_ peer: PeerID) {
        state.withLock { $0.entries[peer] = nil }
    }

    /// Takes what a peer told. An older signed record than the one known changes no addresses.
    func record(_ told: IdentifyInfo) {
        var told = told
        change(told.peer) { info in
            if let old = info.identify?.record, old.sequence > (told.record?.sequence ?? 0) {
                told.record = old
                told.listenAddresses = info.identify?.listenAddresses ?? []
            }
            info.identify = told
        }
        add(told.listenAddresses, for: told.peer)
    }

    /// Takes note that a peer does not speak a protocol any more.
    func forget(protocol name: [UInt8], of peer: PeerID) {
        state.withLock { $0.entries[peer]?.info.identify?.protocols.removeAll { Array($0.utf8) == name } }
    }

    private func change(_ peer: PeerID, _ body: (inout PeerInfo) -> Void) {
        state.withLock { state in
            state.clock += 1
            if state.entries[peer] == nil, state.entries.count >= capacity {
                let oldest = state.entries.min { $0.value.touched < $1.value.touched }?.key
                if let oldest { state.entries[oldest] = nil }
            }
            var entry = state.entries[peer] ?? Entry(info: PeerInfo(peer: peer), touched: 0)
            entry.touched = state.clock
            body(&entry.info)
            state.entries[peer] = entry
        }
    }
}
