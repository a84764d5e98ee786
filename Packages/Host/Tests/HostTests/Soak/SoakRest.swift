import Host
import NetStream
import PeerID

/// Hosts that nobody asks for anything any more, and what must hold of them: their connections are open, and whatever the
/// requests took is given back.
struct SoakRest: Sendable {
    /// What hosts at rest have.
    struct State: Sendable {
        /// How long it took them to come to rest.
        var after: Duration = .zero
        /// Connections, each counted at both ends.
        var connections = 0
        /// Streams, dials and handlers: none, or somebody has forgotten to give them back.
        var streams = 0
        /// The most peers that one of them knows.
        var knownPeers = 0
        /// Pings that were answered, two at once by each peer of each host.
        var pings = 0
    }

    /// How long they may take to come to rest. Longer than their transports need to notice a peer that died without a word.
    static let patience: Duration = .seconds(60)

    var hosts: [BasicHost]
    var figures: SoakRecord

    /// Waits until they are at rest, asks each of them once more for as much as a peer may at once, and waits again. What
    /// does not hold is noted as a surprise.
    func check() async {
        let took = await wait("at rest")
        let pings = await ping()
        await wait("at rest after pings")
        let state = State(
            after: took,
            connections: hosts.reduce(0) { $0 + $1.connections().count },
            streams: hosts.reduce(0) { $0 + $1.resourceUsage(of: .system).streams },
            knownPeers: hosts.map(\.peerStore.count).max() ?? 0,
            pings: pings
        )
        figures.withLock { $0.rest = state }
    }

    @discardableResult
    private func wait(_ what: String) async -> Duration {
        let start = ContinuousClock.now
        while start.duration(to: .now) < Self.patience {
            guard !problems.isEmpty else { return start.duration(to: .now) }
            await Task.yield()
        }
        let left = problems
        figures.withLock { $0.surprises += left.map { "not \(what) after \(Self.patience): \($0)" } }
        return start.duration(to: .now)
    }

    /// What keeps them from being at rest.
    private var problems: [String] {
        let underWay = figures.withLock { $0.handlers.underWay }
        return (underWay == 0 ? [] : ["\(underWay) handlers are at work"]) + hosts.flatMap(problems) + oneSided
    }

    private func problems(of host: BasicHost) -> [String] {
        let snapshot = host.snapshot()
        // Of every scope but those two nothing may be in use any more.
        var expected: [String: ResourceUsage] = [:]
        for info in host.connections() {
            var usage = ResourceUsage()
            usage.memory = host.configuration.limits.memoryPerConnection
            if info.direction == .inbound { usage.inboundConnections = 1 } else { usage.outboundConnections = 1 }
            for scope in [ResourceScope.system, .peer(info.peer)] {
                expected["\(scope)", default: ResourceUsage()].add(usage)
            }
        }
        let found = Dictionary(uniqueKeysWithValues: snapshot.usage.map { ($0.scope, $0.usage) })
        var problems = Set(expected.keys).union(found.keys).filter { expected[$0] != found[$0] }.map { scope in
            let (found, expected) = (found[scope] ?? ResourceUsage(), expected[scope] ?? ResourceUsage())
            return "\(scope) of \(host.peerID) has \(found), its connections explain \(expected)"
        }
        if snapshot.dials > 0 { problems.append("\(snapshot.dials) dials of \(host.peerID) are under way") }
        let bound = max(host.configuration.rememberedPeers, snapshot.peers.count)
        if snapshot.knownPeers > bound {
            problems.append("\(host.peerID) knows \(snapshot.knownPeers) peers, more than \(bound)")
        }
        return problems
    }

    /// Connections that only one of the two knows of.
    private var oneSided: [String] {
        struct Pair: Hashable {
            var dialer: PeerID
            var listener: PeerID
        }
        var surplus: [Pair: Int] = [:]
        for host in hosts {
            for info in host.connections() {
                if info.direction == .outbound {
                    surplus[Pair(dialer: host.peerID, listener: info.peer), default: 0] += 1
                } else {
                    surplus[Pair(dialer: info.peer, listener: host.peerID), default: 0] -= 1
                }
            }
        }
        return surplus.filter { $0.value != 0 }.map { pair, count in
            "of \(abs(count)) connections from \(pair.dialer) only "
                + "\(count > 0 ? "it" : "its peer \(pair.listener)") knows"
        }
    }

    /// Two pings at once over each connection: a place for pings that an earlier one has kept is missed now.
    private func ping() async -> Int {
        var answered = 0
        for host in hosts {
            answered += await withTaskGroup(of: Int.self) { group in
                for peer in Set(host.connections().map(\.peer)) {
                    for _ in 0..<host.configuration.pingStreamsPerPeer {
                        group.addTask {
                            do {
                                _ = try await host.ping(peer)
                                return 1
                            } catch {
                                figures.withLock { $0.surprises.append("a peer at rest answers no ping: \(error)") }
                                return 0
                            }
                        }
                    }
                }
                return await group.reduce(0, +)
            }
        }
        return answered
    }
}

extension ResourceUsage {
    fileprivate mutating func add(_ other: ResourceUsage) {
        inboundConnections += other.inboundConnections
        outboundConnections += other.outboundConnections
        memory += other.memory
    }
}
