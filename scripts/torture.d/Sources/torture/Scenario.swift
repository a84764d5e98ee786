import QuicCore
import TortureSupport

/// What came of a scenario: one row of the table.
struct Outcome {
    /// What was measured, once for each run.
    var figures: [Double] = []
    /// The unit of the figures.
    var unit = "s"
    /// What was demanded and not so; none if the scenario passed.
    var failures: [String] = []
    /// What else there is to tell.
    var note = ""

    /// Notes a failure unless something is so.
    mutating func demand(_ isSo: Bool, _ otherwise: @autoclosure () -> String) {
        if !isSo { failures.append(otherwise()) }
    }
}

/// What a scenario runs with.
struct Setting: Sendable {
    var seed: UInt64
    /// Divides the counts of the large scenarios; 1 for the real thing.
    var divisor: Int
    let loops = Loops()

    /// The default settings, with deadlines for slow links and busy machines: what is measured is said by the scenario.
    var patient: QuicConfiguration {
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.dial = .seconds(30)
        configuration.timeouts.inboundHandshake = .seconds(30)
        configuration.timeouts.streamRead = .seconds(120)
        configuration.timeouts.streamWrite = .seconds(120)
        configuration.timeouts.streamClose = .seconds(30)
        return configuration
    }
}

/// A scenario over real sockets.
struct Scenario: Sendable {
    /// What `--only` takes.
    var name: String
    /// What is demanded, as the table shows it.
    var threshold: String
    /// Does it.
    var run: @Sendable (Setting) async throws -> Outcome

    /// All there are.
    static let all = [link] + connecting + handshakes + transfers + traffic + hostile + resources
}
