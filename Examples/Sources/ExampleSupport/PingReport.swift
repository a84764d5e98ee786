public import PeerID

/// Prints round trips as they come, and what they add up to.
public struct PingReport {
    private struct Pong: Encodable {
        var type = "pong"
        var peer: String
        var sequence: Int
        var milliseconds: Double
    }

    private struct Summary: Encodable {
        var type = "summary"
        var peer: String
        var answered: Int
        var minMilliseconds: Double
        var averageMilliseconds: Double
        var maxMilliseconds: Double
    }

    private let peer: PeerID
    private let json: Bool
    private var times: [Double] = []

    /// A report about pings to `peer`.
    public init(peer: PeerID, json: Bool) {
        self.peer = peer
        self.json = json
    }

    /// Takes and prints one round trip.
    public mutating func add(_ roundTrip: Duration) throws {
        let milliseconds = roundTrip / .milliseconds(1)
        times.append(milliseconds)
        if json {
            try Output.json(Pong(peer: peer.description, sequence: times.count, milliseconds: milliseconds))
        } else {
            Output.line("pong from \(peer): seq=\(times.count) time=\(fixed(milliseconds, 3)) ms")
        }
    }

    /// Prints the summary, when there is something to sum up.
    public func finish() {
        guard let least = times.min(), let most = times.max() else { return }
        let average = times.reduce(0, +) / Double(times.count)
        if json {
            try? Output.json(
                Summary(
                    peer: peer.description,
                    answered: times.count,
                    minMilliseconds: least,
                    averageMilliseconds: average,
                    maxMilliseconds: most
                )
            )
        } else {
            let figures = [least, average, most].map { fixed($0, 3) }.joined(separator: "/")
            Output.line("\(times.count) answered, min/avg/max = \(figures) ms")
        }
    }
}
