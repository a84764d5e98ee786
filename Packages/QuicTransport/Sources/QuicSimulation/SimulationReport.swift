/// What came about in simulations, beside what went wrong: excuses must not become the rule.
public struct SimulationTally: Sendable, Hashable {
    /// Connections that were dialed.
    public var dials = 0
    /// Of those, how many got through their handshake.
    public var handshakes = 0
    /// Streams that were opened and not cut short on purpose.
    public var streams = 0
    /// Of those, how many brought their whole answer.
    public var wholeStreams = 0
    /// Connections, each side counted, that ended as the scenario expected, or excused, and not by a close of either side.
    public var excusedEnds = 0

    /// Nothing yet.
    public init() {}

    /// Adds what came about in another simulation.
    public mutating func add(_ other: SimulationTally) {
        dials += other.dials
        handshakes += other.handshakes
        streams += other.streams
        wholeStreams += other.wholeStreams
        excusedEnds += other.excusedEnds
    }
}

extension Simulation {
    /// What came about.
    var tally: SimulationTally {
        var tally = SimulationTally()
        tally.excusedEnds = excusedEnds
        for connection in nodes.flatMap(\.connections) {
            if !connection.isServer {
                tally.dials += 1
                tally.handshakes += connection.handshake == nil ? 0 : 1
            }
            let opened = connection.streams.filter { $0.isOpener && !isCut($0) }
            tally.streams += opened.count + connection.waiting.count
            tally.wholeStreams += opened.count { $0.hasEnded && $0.received == $0.expected?.count }
        }
        return tally
    }

    /// Whether a stream was reset or stopped, which both sides only do where the scenario says so.
    private func isCut(_ stream: SimulatedStream) -> Bool {
        stream.ownResetCode != nil || stream.ownStopCode != nil || stream.resetCode != nil
    }
}

/// How a simulation went.
public struct SimulationReport: Sendable {
    /// What everything followed from.
    public var seed: UInt64
    /// The hash over everything that was sent.
    public var hash: PacketHash
    /// What became of the datagrams.
    public var statistics: NetworkStatistics
    /// How much virtual time passed.
    public var elapsed: Duration
    /// How many connections there were, each side counted.
    public var connections: Int
    /// What came about, and what did not.
    public var tally: SimulationTally
    /// What went wrong; empty if all is well.
    public var problems: [String]
    /// Figures to print beside the outcome.
    public var figures: [(name: String, value: String)]

    /// Whether all is well.
    public var isGood: Bool { problems.isEmpty }
}
