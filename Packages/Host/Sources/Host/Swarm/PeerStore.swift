public import Multiaddr
public import PeerID
import Synchronization

/// What is known about one peer.
public struct PeerInfo: Sendable {
    /// Who it is.
    public let peer: PeerID
    /// Where it was or may be reached, without `/p2p`: at most ``PeerStore/addressLimit``, those that the program added last.
    public var addresses: [Multiaddr] = []
    /// What it told about itself, once it was identified. Large answers are only kept while it is connected.
    public var identify: IdentifyInfo?

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
/// Bounded in number, in bytes and in time: the peer that was not touched for longest is forgotten first, and each when it
/// was not touched for the store's lifetime. Peers that are connected are never forgotten, nor are those that the program
/// added with ``add(_:for:)`` until it calls ``remove(_:)``; they do not count towards the bytes.
///
/// ``storedPeers()``, ``restore(_:)`` and ``changes()`` are for those who keep it on disk, as the product
/// `HostPeerStoreSQLite` does.
///
/// What a peer tells of itself never takes the place of an address that the program added or that a caller named, and is
/// only taken as far as it can be true: a peer that is seen at a public address has no loopback, link-local or private ones
/// to offer.
public final class PeerStore: Sendable {
    /// Addresses kept for each peer. Those that only the peer itself told go first, then those where it was met, then
    /// those that the program added; of each kind the oldest.
    public static let addressLimit = PeerAddresses.limit
    /// The largest answer to identify that is kept of a peer which is not connected, in bytes.
    static let absentIdentifyLimit = 4096

    private struct Entry {
        let peer: PeerID
        var known = PeerAddresses()
        var identify: IdentifyInfo?
        /// What it counts for.
        var size = 0
        var touched: UInt64 = 0
        /// When that was; and how long before, when it was in an earlier run of the program.
        var seen: ClockMoment
        var ageWhenSeen = Duration.zero
        /// The program named it.
        var isAdded = false
        /// Its open connections.
        var connections = 0

        var info: PeerInfo { PeerInfo(peer: peer, addresses: known.all, identify: identify) }
        /// Roughly the memory it takes, in bytes.
        var footprint: Int { 256 + known.size + (identify.map(PeerInfo.size) ?? 0) }
        var isKept: Bool { isAdded || connections > 0 }
        var age: Duration { connections > 0 ? .zero : ageWhenSeen + seen.elapsed() }

        init(_ peer: PeerID, clock: any Clock<Duration>) {
            self.peer = peer
            seen = clock.now()
        }
    }

    private struct State {
        var entries: [PeerID: Entry] = [:]
        /// Those that may be forgotten, in the order in which they were touched; older words on a peer are skipped.
        var order = TouchOrder<PeerID>()
        var clock: UInt64 = 0
        var size = 0
        /// When peers were last looked through for those whose time is over.
        var swept: ClockMoment

        /// Whether a peer may be forgotten, and was not touched since.
        func isForgettable(_ peer: PeerID, _ touched: UInt64) -> Bool {
            guard let entry = entries[peer] else { return false }
            return !entry.isKept && entry.touched == touched
        }
    }

    private let capacity: Int
    private let byteLimit: Int
    private let lifetime: Duration
    private let clock: any Clock<Duration>
    private let state: Mutex<State>
    private let signal = ChangeSignal()

    init(
        capacity: Int,
        byteLimit: Int = .max,
        lifetime: Duration = HostConfiguration.defaults.rememberedFor,
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.capacity = capacity
        self.byteLimit = byteLimit
        self.lifetime = lifetime
        self.clock = clock
        state = Mutex(State(swept: clock.now()))
    }

    /// How many peers are known.
    public var count: Int { state.withLock { $0.entries.count } }

    /// Roughly the memory that peers take which may be forgotten, in bytes.
    var size: Int { state.withLock { $0.size } }

    /// What is known about a peer.
    public func info(for peer: PeerID) -> PeerInfo? {
        state.withLock { state in
            guard let entry = state.entries[peer], !isOver(entry) else { return nil }
            return entry.info
        }
    }

    /// Where a peer was or may be reached, without `/p2p`.
    public func addresses(of peer: PeerID) -> [Multiaddr] {
        info(for: peer)?.addresses ?? []
    }

    /// The protocols a peer told, or `nil` when it was not identified.
    public func protocols(of peer: PeerID) -> [String]? {
        state.withLock { state in
            guard let entry = state.entries[peer], !isOver(entry) else { return nil }
            return entry.identify?.protocols
        }
    }

    /// The addresses of a peer that the program has added.
    func addedAddresses(of peer: PeerID) -> [Multiaddr] {
        state.withLock { $0.entries[peer]?.known.added ?? [] }
    }

    /// The addresses of a peer for which somebody else than the peer vouches: the program, or a caller who named them.
    func vouchedAddresses(of peer: PeerID) -> [Multiaddr] {
        state.withLock { $0.entries[peer]?.known.vouched ?? [] }
    }

    /// Remembers addresses of a peer, and keeps the peer until ``remove(_:)``. Addresses that name another peer are
    /// ignored.
    public func add(_ addresses: [Multiaddr], for peer: PeerID) {
        change(peer) { entry in
            entry.isAdded = true
            entry.known.add(Self.bare(addresses, of: peer))
        }
    }

    /// Remembers addresses that a caller named or that a peer has answered at, as long as there is room.
    func learn(_ addresses: [Multiaddr], of peer: PeerID) {
        change(peer) { $0.known.meet(Self.bare(addresses, of: peer)) }
    }

    /// Forgets a peer. What a connected peer tells from then on is remembered again.
    public func remove(_ peer: PeerID) {
        state.withLock { state in
            guard let entry = state.entries[peer] else { return }
            guard entry.connections > 0 else { return Self.drop(peer, from: &state) }
            state.clock += 1
            var bare = Entry(peer, clock: clock)
            bare.touched = state.clock
            bare.connections = entry.connections
            state.entries[peer] = bare
        }
        signal.send()
    }

    // MARK: On disk

    /// What is worth keeping for another run of the program: the peers of which an address is known.
    public func storedPeers() -> [StoredPeer] {
        state.withLock { state in
            state.entries.values.filter { !$0.known.isEmpty && !isOver($0) }.map { entry in
                StoredPeer(
                    peer: entry.peer,
                    addresses: entry.known.all,
                    addedAddresses: Set(entry.known.added),
                    isAdded: entry.isAdded,
                    age: entry.age,
                    revision: entry.touched
                )
            }
        }
    }

    /// Takes in what an earlier run of the program knew. What this run has learned already counts as newer. Bounds and
    /// lifetime hold for these peers too.
    public func restore(_ peers: [StoredPeer]) {
        let known = state.withLock { Set($0.entries.keys) }
        // The oldest first, those of this run last: when there is no room for all, the newest stay.
        let ordered = peers.sorted { left, right in
            let (isLeftKnown, isRightKnown) = (known.contains(left.peer), known.contains(right.peer))
            return isLeftKnown == isRightKnown ? left.age > right.age : isRightKnown
        }
        for stored in ordered where stored.isAdded || stored.age <= lifetime {
            change(stored.peer) { entry in
                let isKnown = !entry.known.isEmpty
                let added = stored.addresses.filter { stored.addedAddresses?.contains($0) ?? stored.isAdded }
                entry.known.restore(
                    added: Self.bare(added, of: stored.peer),
                    others: Self.bare(stored.addresses, of: stored.peer)
                )
                entry.isAdded = entry.isAdded || stored.isAdded
                if !isKnown { entry.ageWhenSeen = max(.zero, stored.age) }
            }
        }
    }

    /// Yields after changes, several at once as one. The first comes at once.
    public func changes() -> AsyncStream<Void> { signal.subscribe() }

    /// Takes what a peer told. An older signed record than the one known changes no addresses.
    ///
    /// - Parameters:
    ///   - update: What it told.
    ///   - isPush: Whether what it did not mention stays as it was.
    ///   - remote: Where it is seen while it tells this: what cannot be reached from so far is no address to keep.
    /// - Returns: What is known of it now.
    @discardableResult
    func record(_ update: IdentifyUpdate, isPush: Bool = false, seenAt remote: Multiaddr) -> IdentifyInfo {
        change(update.peer) { entry in
            let former = entry.identify
            var told = update.applied(to: isPush ? former : nil)
            if let former, let old = former.record, let new = update.record, old.sequence > new.sequence {
                told.record = old
                told.listenAddresses = former.listenAddresses
            }
            entry.identify = told
            let useful = AddressScope.useful(told.listenAddresses, toldFrom: remote)
            entry.known.tell(Self.bare(useful, of: update.peer))
            Self.thinOut(&entry)
            return told
        }
    }

    /// Takes note that a peer does not speak a protocol any more.
    func forget(protocol name: [UInt8], of peer: PeerID) {
        state.withLock { $0.entries[peer]?.identify?.protocols.removeAll { Array($0.utf8) == name } }
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
        // Of a visitor that told nothing nothing is worth keeping: made-up identities must not push out those that are.
        state.withLock { state in
            guard let entry = state.entries[peer], !entry.isKept else { return }
            if entry.known.isEmpty, entry.identify == nil { Self.drop(peer, from: &state) }
        }
    }

    // MARK: Inside

    /// Whether the peer's time is over.
    private func isOver(_ entry: Entry) -> Bool { !entry.isKept && entry.age > lifetime }

    /// Forgets all those whose time is over, if that was not done for a while.
    private func sweep(_ state: inout State) {
        guard state.swept.elapsed() > lifetime / 16 else { return }
        state.swept = clock.now()
        for (peer, entry) in state.entries where isOver(entry) { Self.drop(peer, from: &state) }
    }

    /// The addresses without `/p2p`, but for those that name another peer.
    private static func bare(_ addresses: [Multiaddr], of peer: PeerID) -> [Multiaddr] {
        addresses.compactMap { address in
            if let named = address.peerID, named != peer { return nil }
            return address.withoutPeerID
        }
    }

    /// A peer that is not here any more has to content itself with little room.
    private static func thinOut(_ entry: inout Entry) {
        guard entry.connections == 0, let told = entry.identify else { return }
        if PeerInfo.size(of: told) > absentIdentifyLimit { entry.identify = nil }
    }

    private static func drop(_ peer: PeerID, from state: inout State) {
        state.size -= state.entries.removeValue(forKey: peer)?.size ?? 0
    }

    private func change<Result: Sendable>(_ peer: PeerID, _ body: (inout Entry) -> Result) -> Result {
        defer { signal.send() }
        return state.withLock { state in
            state.clock += 1
            sweep(&state)
            var entry = state.entries[peer].flatMap { isOver($0) ? nil : $0 } ?? Entry(peer, clock: clock)
            if let old = state.entries[peer] { entry.size = old.size }
            entry.touched = state.clock
            (entry.seen, entry.ageWhenSeen) = (clock.now(), .zero)
            let result = body(&entry)
            // Those that stay push nobody out.
            let size = entry.isKept ? 0 : entry.footprint
            state.size += size - entry.size
            entry.size = size
            state.entries[peer] = entry
            if !entry.isKept { state.order.append(peer, entry.touched) }
            while state.entries.count > capacity || state.size > byteLimit {
                guard let oldest = state.order.removeOldest(where: state.isForgettable) else { break }
                Self.drop(oldest, from: &state)
            }
            if state.order.count > 2 * state.entries.count + 64 { state.order.removeAll(unless: state.isForgettable) }
            return result
        }
    }
}
