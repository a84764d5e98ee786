internal import QuicCore

extension Scenario {
    /// Cases about carrying bytes.
    static let transfers: [Scenario] = [
        Scenario("transfer", "2, 3 and 5 MB on three streams at once, each way") { simulation, size in
            let (client, server) = try simulation.makePair(megabits: 100, queueBytes: 256 << 10)
            let connection = try simulation.connect(from: client, to: server)
            let unit = size == .full ? 1_000_000 : 50_000
            let plans = [2, 3, 5].map { StreamPlan(request: $0 * unit, response: $0 * unit) }
            let time = simulation.carry(plans, on: connection, within: .seconds(60))
            simulation.note("time", seconds(time))
        },
        Scenario("transfer-loss", "2 MiB at 2 % loss, 15 ms each way and 10 Mbit/s: 6 s at most, median of 5") {
            try lossyTransfer($0, size: $1, bytes: 2 << 20, limit: .seconds(6)) { $0.loss = 0.02 }
        },
        Scenario("transfer-corruption", "2 MiB with 2 % damaged datagrams on the same link: 6 s at most, median of 5") {
            try lossyTransfer($0, size: $1, bytes: 2 << 20, limit: .seconds(6)) { $0.corruption = 0.02 }
        },
        Scenario("heavy-loss", "1 MiB at 20 % loss") {
            try lossyTransfer($0, size: $1, bytes: 1 << 20, limit: nil) { $0.loss = 0.2 }
        },
        Scenario("reordering", "1 MiB with 20 % of the datagrams overtaken, 5 % twice, and 5 ms of jitter") {
            try lossyTransfer($0, size: $1, bytes: 1 << 20, limit: nil) {
                $0.reordering = 0.2
                $0.duplication = 0.05
                $0.jitter = .milliseconds(5)
            }
        },
        Scenario("long-round-trip", "a handshake and 1 MiB at a round trip of 1.5 s") { simulation, size in
            let (client, server) = try simulation.makePair(latency: .milliseconds(750))
            let connection = try simulation.connect(from: client, to: server)
            simulation.note("handshake", seconds(connection.handshakeTime))
            let bytes = size == .full ? 1 << 20 : 100 << 10
            let time = simulation.carry(
                [StreamPlan(request: 0, response: bytes)],
                on: connection,
                within: .seconds(60)
            )
            simulation.note("time", seconds(time))
        },
        Scenario("goodput", "10 MiB at 15 ms each way and 10 Mbit/s: 80 % of the link at least") { simulation, size in
            let (client, server) = try simulation.makePair(megabits: 10)
            let connection = try simulation.connect(from: client, to: server)
            let bytes = size == .full ? 10 << 20 : 2 << 20
            let time = simulation.carry(
                [StreamPlan(request: 0, response: bytes)],
                on: connection,
                within: .seconds(120)
            )
            let share = time.map { Double(bytes) * 8 / $0.secondCount / 10e6 } ?? 0
            simulation.note("share of the link", "\(Int(share * 100)) %")
            simulation.expect(share >= 0.8, "only \(Int(share * 100)) % of the link")
        },
        Scenario("key-update", "both sides go over to new keys every 200 ms during 3 MiB each way, at 1 % loss") {
            try updateKeys($0, size: $1)
        },
        Scenario("cross-traffic", "two connections and 2 Mbit/s of other datagrams share 10 Mbit/s: none starves") {
            try shareLink($0, size: $1)
        },
        Scenario("ecn", "a link that marks 2 % of the datagrams instead of losing them slows the sender, loses nothing")
        {
            simulation,
            size in
            let bytes = size == .full ? 4 << 20 : 1 << 20
            var times: [Duration] = []
            for share in [0, 0.02] {
                let (client, server) = try simulation.makePair(megabits: 50, queueBytes: 1 << 20) {
                    $0.congestionMarking = share
                }
                let connection = try simulation.connect(from: client, to: server)
                let plan = StreamPlan(request: 0, response: bytes)
                if let time = simulation.carry([plan], on: connection, within: .seconds(60)) { times.append(time) }
            }
            let statistics = simulation.network.statistics
            simulation.note("marked", "\(statistics.marked) of \(statistics.ecnCapable)")
            simulation.note("times", times.map { seconds($0) }.joined(separator: ", "))
            simulation.expect(statistics.ecnCapable > statistics.sent / 4, "few datagrams bear ECN marks")
            simulation.expect(statistics.marked > 5, "nothing was marked")
            simulation.expect(statistics.lost == 0 && times.count == 2 && times[1] > times[0], "marks slow nobody down")
        },
        Scenario("ecn-bleached", "a link that clears the ECN bits does no harm") { simulation, _ in
            let (client, server) = try simulation.makePair { $0.clearsECN = true }
            let connection = try simulation.connect(from: client, to: server)
            simulation.carry([StreamPlan(request: 200_000, response: 200_000)], on: connection, within: .seconds(10))
        },
        Scenario("many-streams", "1,000 short streams each way on one connection, at 1 % loss") { simulation, size in
            let (client, server) = try simulation.makePair { $0.loss = 0.01 }
            simulation.isImpaired = true
            let connection = try simulation.connect(from: client, to: server)
            let count = size == .full ? 1000 : 150
            if let accepted = simulation.peer(of: connection) {
                for index in 0..<count { simulation.open(StreamPlan(request: index, response: 10), on: accepted) }
            }
            let plans = (0..<count).map { StreamPlan(request: 10, response: $0) }
            simulation.note("time", seconds(simulation.carry(plans, on: connection, within: .seconds(60))))
            simulation.run(for: .seconds(10)) { simulation.peer(of: connection)?.isIdle ?? true }
            simulation.expect(connection.streams.count == 2 * count, "\(connection.streams.count) streams in all")
        },
        Scenario("slow-reader", "1 MiB to a side that reads half a second late: credit comes, nothing is lost") {
            simulation,
            size in
            let bytes = size == .full ? 1 << 20 : 200 << 10
            let server = try simulation.addNode("server")
            var settings = NodeSettings()
            settings.readingDelay = .milliseconds(500)
            settings.configuration.flowControl.autoTuning = false
            let client = try simulation.addNode("client", settings)
            let connection = try simulation.connect(from: client, to: server)
            let time = simulation.carry([StreamPlan(request: 0, response: bytes)], on: connection, within: .seconds(60))
            simulation.note("time", seconds(time))
            // One window for each half a second.
            let least = Double(bytes) / Double(settings.configuration.flowControl.streamWindow) * 0.5 - 1
            simulation.expect(time.map { $0.secondCount >= least } ?? true, "faster than the window allows")
        },
    ]

    private static func lossyTransfer(
        _ simulation: Simulation,
        size: ScenarioSize,
        bytes: Int,
        limit: Duration?,
        impair: (inout LinkConditions) -> Void
    ) throws {
        let (client, server) = try simulation.makePair(megabits: 10, impair: impair)
        simulation.isImpaired = true
        var times: [Duration] = []
        for _ in 0..<(size == .full ? 5 : 1) {
            let connection = try simulation.connect(from: client, to: server)
            let plan = StreamPlan(request: 0, response: size == .full ? bytes : bytes / 8)
            if let time = simulation.carry([plan], on: connection, within: .seconds(120)) { times.append(time) }
            simulation.close(connection, code: 0, reason: "")
        }
        simulation.note("median", seconds(median(times)))
        simulation.note("longest", seconds(times.max()))
        guard let limit, size == .full else { return }
        simulation.expect(median(times).map { $0 <= limit } ?? false, "the median is above \(limit)")
    }

    private static func updateKeys(_ simulation: Simulation, size: ScenarioSize) throws {
        let (client, server) = try simulation.makePair(megabits: 10) { $0.loss = 0.01 }
        simulation.isImpaired = true
        let connection = try simulation.connect(from: client, to: server)
        var updates = 0
        func again() {
            for side in [connection, simulation.peer(of: connection)].compactMap(\.self) where side.isUp {
                // Refused while the peer has not acknowledged the one before.
                if (try? side.core?.updateKeys(now: simulation.network.now)) != nil { updates += 1 }
            }
            if !connection.isIdle { simulation.after(.milliseconds(200), again) }
        }
        let bytes = size == .full ? 3 << 20 : 512 << 10
        simulation.after(.milliseconds(100), again)
        simulation.carry([StreamPlan(request: bytes, response: bytes)], on: connection, within: .seconds(60))
        simulation.note("updates", updates)
        simulation.expect(updates >= 3, "only \(updates) updates of the keys")
    }

    private static func shareLink(_ simulation: Simulation, size: ScenarioSize) throws {
        var shared = NodeSettings()
        shared.uplink.latency = .milliseconds(15)
        shared.uplink.bitsPerSecond = 10e6
        let server = try simulation.addNode("server", shared)
        var near = NodeSettings()
        near.uplink.latency = .milliseconds(15)
        let clients = try (1...2).map { try simulation.addNode("client\($0)", near) }
        let connections = try clients.map { try simulation.connect(from: $0, to: server) }
        let noise = [UInt8](repeating: 0x7f, count: 1250)
        let nowhere = NetworkAddress.ip4(10, 7, 0, 1, port: 9)
        var isOn = true
        func tick() {
            guard isOn else { return }
            noise.withUnsafeBytes {
                simulation.network.send($0, from: server, local: server.address, to: nowhere, ecn: 0)
            }
            simulation.after(.milliseconds(5), tick)
        }
        tick()
        let bytes = size == .full ? 5 << 20 : 1 << 20
        let start = simulation.network.now
        for connection in connections { simulation.open(StreamPlan(request: 0, response: bytes), on: connection) }
        simulation.run(for: .seconds(60)) { connections.allSatisfy(\.isIdle) }
        isOn = false
        let ends = connections.compactMap { $0.streams.first?.endedAt }.map { Double($0 - start) / 1e9 }
        simulation.expect(ends.count == 2, "not finished")
        guard let first = ends.min(), let last = ends.max() else { return }
        simulation.note("times", "\(seconds(.seconds(first))), \(seconds(.seconds(last)))")
        let share = Double(2 * bytes) * 8 / last / 8e6
        simulation.note("share of what is left", "\(Int(share * 100)) %")
        simulation.expect(share >= 0.7, "only \(Int(share * 100)) % of what the other traffic leaves")
        // Both had as much to carry: the quicker one may not have had everything until it was done.
        simulation.expect(first >= 0.55 * last, "one of the two connections starved")
    }
}
