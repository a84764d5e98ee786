internal import QuicCore

extension Scenario {
    /// Why connections cannot move; `nil` if they can.
    private static let noMigration: String? =
        QuicVersion.libraryVersion.hasPrefix("0.")
        ? "ngtcp2 \(QuicVersion.libraryVersion) retires a connection ID twice when a path changes, so paths are pinned"
        : nil

    /// Cases about paths that change or break.
    static let paths: [Scenario] = [
        Scenario("blackhole", "5 MiB at 10 Mbit/s over a link that is dead for 2 s of every 5 s") { simulation, size in
            let (client, server) = try simulation.makePair(megabits: 10) {
                $0.blackhole = .init(start: .seconds(1), period: .seconds(5), length: .seconds(2))
            }
            simulation.isImpaired = true
            let connection = try simulation.connect(from: client, to: server)
            let plan = StreamPlan(request: 0, response: size == .full ? 5 << 20 : 2 << 20)
            simulation.note("time", seconds(simulation.carry([plan], on: connection, within: .seconds(120))))
            simulation.expect(simulation.network.statistics.swallowed > 0, "the blackhole swallowed nothing")
        },
        Scenario(
            "port-rebinding",
            "10 MiB at 10 Mbit/s while the client gets another port every 5 s",
            unsupported: noMigration
        ) {
            try move($0, size: $1) { $0.rebindPort(of: $1) }
        },
        Scenario(
            "address-rebinding",
            "10 MiB at 10 Mbit/s while the client gets another IP address every 5 s",
            unsupported: noMigration
        ) {
            try move($0, size: $1) { $0.rebindAddress(of: $1) }
        },
        Scenario(
            "migration",
            "the client moves to another address of its own in the middle of 2 MiB",
            unsupported: noMigration
        ) {
            simulation,
            size in
            let (client, server) = try simulation.makePair(megabits: 10)
            let connection = try simulation.connect(from: client, to: server)
            simulation.open(StreamPlan(request: 0, response: size == .full ? 2 << 20 : 512 << 10), on: connection)
            simulation.run(for: .milliseconds(200))
            let before = simulation.peer(of: connection)?.core?.remoteAddress
            try simulation.migrate(connection)
            simulation.expect(
                simulation.run(for: .seconds(30)) { connection.isIdle },
                "not finished: \(connection.received) bytes came"
            )
            let after = simulation.peer(of: connection)?.core?.remoteAddress
            simulation.expect(connection.pathsValidated == 1, "the path was not validated once")
            simulation.expect(before == client.address && after != before, "the server still sends to \(before as Any)")
        },
        Scenario(
            "shrinking-path",
            "5 MiB over a path that shrinks to 1250 bytes half way and widens again: packets do the same"
        ) {
            simulation,
            size in
            let (client, server) = try simulation.makePair(megabits: 10)
            simulation.isImpaired = true
            let connection = try simulation.connect(from: client, to: server)
            for (delay, payload) in [(Duration.milliseconds(700), 1250), (.seconds(3), 1500)] {
                simulation.after(delay) {
                    var down = client.downlinkConditions
                    down.maximumPayload = payload
                    client.setDownlink(down)
                }
            }
            let plan = StreamPlan(request: 0, response: size == .full ? 5 << 20 : 2 << 20)
            simulation.note("time", seconds(simulation.carry([plan], on: connection, within: .seconds(30))))
            simulation.expect(simulation.network.statistics.tooLarge > 0, "nothing was too large")
            guard let sender = simulation.peer(of: connection)?.core else { return simulation.fail("no other side") }
            let reductions = sender.pathStatistics.payloadSizeReductions
            simulation.expect(reductions == 1, "the sender came down \(reductions) times")
            simulation.expect(sender.pathStatistics.maxPayloadSize <= 1250, "the sender did not stay down")
            // Ten seconds after coming down it tries larger packets, one for each size, while there is something to send.
            for _ in 0..<200 where sender.pathStatistics.maxPayloadSize <= 1250 {
                simulation.carry([StreamPlan(request: 0, response: 4000)], on: connection, within: .seconds(5))
                simulation.run(for: .milliseconds(100))
            }
            simulation.note("largest payload at the end", sender.pathStatistics.maxPayloadSize)
            simulation.expect(sender.pathStatistics.maxPayloadSize > 1250, "the sender never came up again")
        },
        Scenario("mtu", "2 MiB over a path that carries 1300 bytes only: discovery stays below") { simulation, size in
            let (client, server) = try simulation.makePair(megabits: 10) { $0.maximumPayload = 1300 }
            let connection = try simulation.connect(from: client, to: server)
            let plan = StreamPlan(request: 0, response: size == .full ? 2 << 20 : 512 << 10)
            simulation.note("time", seconds(simulation.carry([plan], on: connection, within: .seconds(10))))
            simulation.expect(simulation.network.statistics.tooLarge > 0, "nothing larger was tried")
        },
    ]

    /// A download during which the client moves every 5 s: without a request of its own, since a translator does it.
    private static func move(
        _ simulation: Simulation,
        size: ScenarioSize,
        _ move: @escaping (Simulation, SimulatedNode) -> Void
    ) throws {
        let (client, server) = try simulation.makePair(megabits: 10)
        simulation.isImpaired = true
        let connection = try simulation.connect(from: client, to: server)
        var moves = 0
        let period = size == .full ? Duration.seconds(5) : .seconds(1)
        func again() {
            guard !connection.isIdle, !connection.isOver else { return }
            moves += 1
            move(simulation, client)
            simulation.after(period, again)
        }
        simulation.after(period, again)
        let plan = StreamPlan(request: 0, response: size == .full ? 10 << 20 : 2 << 20)
        simulation.note("time", seconds(simulation.carry([plan], on: connection, within: .seconds(120))))
        simulation.note("moves", moves)
        let accepted = simulation.peer(of: connection)
        simulation.expect(moves > 0, "the client never moved")
        simulation.expect(
            accepted?.core?.remoteAddress == client.translations[client.address],
            "the server did not follow"
        )
    }
}
