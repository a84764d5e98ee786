internal import QuicCore

/// How much a scenario does.
public enum ScenarioSize: Sendable {
    /// A small version of the same, for the tests.
    case small
    /// What its description says.
    case full
}

/// Something that is played through in a simulation, with what must hold.
public struct Scenario: Sendable {
    /// Its name on the command line.
    public let name: String
    /// What it does and what must hold, in one line.
    public let summary: String
    /// Why it cannot be played with the libraries at hand; `nil` if it can.
    public let unsupported: String?
    private let body: @Sendable (Simulation, ScenarioSize) throws -> Void

    init(
        _ name: String,
        _ summary: String,
        unsupported: String? = nil,
        _ body: @escaping @Sendable (Simulation, ScenarioSize) throws -> Void = { _, _ in }
    ) {
        self.name = name
        self.summary = summary
        self.unsupported = unsupported
        self.body = body
    }

    /// Plays it.
    ///
    /// - Parameters:
    ///   - seed: What everything follows from.
    ///   - size: How much of it.
    ///   - trace: Told every datagram and every event, one line each.
    /// - Throws: What the core and the TLS library report before anything begins.
    public func run(
        seed: UInt64,
        size: ScenarioSize = .full,
        trace: ((String) -> Void)? = nil
    ) throws -> SimulationReport {
        try Simulation.run(seed: seed, trace: trace) { try body($0, size) }
    }

    /// Every scenario: the random one first, then the named ones.
    public static let all: [Scenario] = [random] + handshakes + transfers + paths + ends + early

    /// The scenario of a name.
    public static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }
}

extension NodeSettings {
    /// Changes both directions of the link.
    mutating func impair(_ change: (inout LinkConditions) -> Void) {
        change(&uplink)
        change(&downlink)
    }
}

extension Simulation {
    /// A client and a server. The client's link has the conditions; the server's only the latency of the way back.
    ///
    /// - Parameters:
    ///   - latency: One way, in each direction.
    ///   - megabits: The rate in each direction, in Mbit/s.
    ///   - impair: Changes both directions of the client's link.
    func makePair(
        latency: Duration = .milliseconds(15),
        megabits: Double? = nil,
        queueBytes: Int = 64 << 10,
        configuration: QuicConfiguration = .defaults,
        impair: (inout LinkConditions) -> Void = { _ in }
    ) throws -> (client: SimulatedNode, server: SimulatedNode) {
        var near = NodeSettings()
        near.configuration = configuration
        near.accepts = false
        near.uplink.latency = latency
        near.downlink.latency = latency
        near.impair {
            $0.bitsPerSecond = megabits.map { $0 * 1e6 }
            $0.queueBytes = queueBytes
            impair(&$0)
        }
        var far = NodeSettings()
        far.configuration = configuration
        far.uplink.latency = .zero
        far.downlink.latency = .zero
        return (try addNode("client", near), try addNode("server", far))
    }

    /// Dials and waits until the server's consent is there.
    func connect(
        from client: SimulatedNode,
        to server: SimulatedNode,
        within limit: Duration = .seconds(30)
    ) throws -> SimulatedConnection {
        let connection = try dial(from: client, to: server)
        run(for: limit) { connection.confirmedAt != nil || connection.isOver }
        expect(connection.confirmedAt != nil, "\(connection.label): no handshake within \(limit)")
        return connection
    }

    /// Opens streams as planned and waits until all are over.
    ///
    /// - Returns: How long it took; `nil` if it took longer than `limit`.
    @discardableResult
    func carry(_ plans: [StreamPlan], on connection: SimulatedConnection, within limit: Duration) -> Duration? {
        let start = network.now
        for plan in plans { open(plan, on: connection) }
        guard run(for: limit, until: { connection.isIdle || connection.isOver }), connection.isIdle else {
            let left = connection.streams.filter { !$0.isClosed }.count + connection.waiting.count
            fail("\(connection.label): \(left) streams not finished within \(limit); \(connection.received) bytes came")
            return nil
        }
        return .nanoseconds(Int64(clamping: network.now - start))
    }

    func note(_ name: String, _ value: some CustomStringConvertible) {
        figures.append((name, value.description))
    }
}

/// Seconds with three decimals.
func seconds(_ duration: Duration?) -> String {
    guard let duration else { return "-" }
    let thousandths = Int((duration.secondCount * 1000).rounded())
    let rest = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest + " s"
}

/// The middle one of some durations.
func median(_ values: [Duration]) -> Duration? {
    values.isEmpty ? nil : values.sorted()[values.count / 2]
}
