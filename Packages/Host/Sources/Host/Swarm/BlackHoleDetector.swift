import Multiaddr

/// What counts towards finding out that a network swallows what is sent, as an open set that may grow.
public struct BlackHoleKind: Sendable, Hashable, CustomStringConvertible {
    /// The kind's name.
    public let description: String

    private init(_ name: String) {
        description = name
    }

    /// Dials over UDP.
    public static let udp = BlackHoleKind("udp")
    /// Dials to IPv6 addresses.
    public static let ipv6 = BlackHoleKind("ipv6")
}

/// What is thought of a kind of dial.
public enum BlackHoleState: String, Sendable, Hashable, Codable {
    /// Too few dials were made to tell.
    case probing
    /// Enough dials succeed.
    case allowed
    /// Hardly any dial succeeds: only one in so many is made, to see whether that has changed.
    case blocked
}

/// Counts which dials of one kind succeed. go-libp2p's swarm has the same rule.
///
///     probing ── window full, enough successes ──▶ allowed
///     probing ── window full, too few ───────────▶ blocked
///     allowed ◀─ the same, with each result ─────▶ blocked
///     blocked ── a success of a probe ───────────▶ probing, with an empty window
///
/// The last `window` results count. Ask with ``request()`` once for each dial to a peer, and tell with ``record(_:)`` what
/// became of each address that was dialled.
struct BlackHoleCounter: Sendable {
    private let window: Int
    private let minimum: Int
    private var results: [Bool] = []
    private var next = 0
    private var successes = 0
    private var requests = 0
    private(set) var state = BlackHoleState.probing

    /// - Parameters:
    ///   - window: How many results are remembered, and one dial in how many is made while blocked.
    ///   - minimum: How many of them must be successes.
    init(window: Int, minimum: Int) {
        self.window = window
        self.minimum = minimum
    }

    /// Asks for leave to dial: `.blocked` means no.
    mutating func request() -> BlackHoleState {
        requests = (requests + 1) % window
        guard state == .blocked else { return state }
        return requests == 0 ? .probing : .blocked
    }

    /// Takes note of a result.
    mutating func record(_ succeeded: Bool) {
        if state == .blocked, succeeded {
            // The network is another one: what was learnt about the old one does not count.
            self = BlackHoleCounter(window: window, minimum: minimum)
            return
        }
        if results.count < window {
            results.append(succeeded)
        } else {
            if results[next] { successes -= 1 }
            results[next] = succeeded
            next = (next + 1) % window
        }
        if succeeded { successes += 1 }
        guard results.count == window else { return }
        state = successes >= minimum ? .allowed : .blocked
    }
}

/// Finds out when a network lets no UDP or no IPv6 through, so that dials do not wait for what never comes. A part of
/// locked state.
///
/// Only public addresses count and are held back: private and loopback ones, names and those in memory are not touched.
struct BlackHoleDetector: Sendable {
    private var counters: [BlackHoleKind: BlackHoleCounter] = [:]

    init(_ settings: BlackHoleDetection?) {
        guard let settings else { return }
        let counter = BlackHoleCounter(window: settings.window, minimum: settings.minimumSuccesses)
        if settings.watchesUDP { counters[.udp] = counter }
        if settings.watchesIPv6 { counters[.ipv6] = counter }
    }

    var states: [BlackHoleKind: BlackHoleState] { counters.mapValues(\.state) }

    /// Which addresses of a peer may be dialled now. Ask once for each dial.
    mutating func filter(_ addresses: [Multiaddr]) -> [Multiaddr] {
        let present = Set(addresses.flatMap(Self.kinds))
        var verdicts: [BlackHoleKind: BlackHoleState] = [:]
        for kind in present { verdicts[kind] = counters[kind]?.request() }
        return addresses.filter { address in
            let answers = Self.kinds(of: address).map { verdicts[$0] }
            // A probe of one kind is made even if the other one is blocked.
            return answers.contains(.probing) || !answers.contains(.blocked)
        }
    }

    /// Takes note of what became of a dial.
    ///
    /// - Returns: Kinds of which another thing is thought now.
    mutating func record(_ address: Multiaddr, succeeded: Bool) -> [(BlackHoleKind, BlackHoleState)] {
        var changes: [(BlackHoleKind, BlackHoleState)] = []
        for kind in Self.kinds(of: address) {
            guard let before = counters[kind]?.state else { continue }
            counters[kind]?.record(succeeded)
            if let after = counters[kind]?.state, after != before { changes.append((kind, after)) }
        }
        return changes
    }

    private static func kinds(of address: Multiaddr) -> [BlackHoleKind] {
        let isIPv6 = address.first(.ip6) != nil
        guard isIPv6 || address.first(.ip4) != nil, !AddressRanking.isPrivate(address) else { return [] }
        return (address.contains(.udp) ? [.udp] : []) + (isIPv6 ? [.ipv6] : [])
    }
}

/// When a network is taken to swallow UDP or IPv6.
public struct BlackHoleDetection: Sendable, Hashable {
    /// How many of the last dials count; while they fail, one in so many is made all the same. 100, as go-libp2p has it.
    public var window: Int
    /// How many of them must succeed. 5.
    public var minimumSuccesses: Int
    /// Whether dials over UDP are watched.
    public var watchesUDP: Bool
    /// Whether dials to IPv6 addresses are watched.
    public var watchesIPv6: Bool

    /// The defaults are those of go-libp2p.
    public init(
        window: Int = 100,
        minimumSuccesses: Int = 5,
        watchesUDP: Bool = true,
        watchesIPv6: Bool = true
    ) {
        self.window = window
        self.minimumSuccesses = minimumSuccesses
        self.watchesUDP = watchesUDP
        self.watchesIPv6 = watchesIPv6
    }
}
