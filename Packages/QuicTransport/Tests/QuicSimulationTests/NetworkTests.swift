import QuicCore
import QuicSimulation
import Testing

/// The checks of the simulation itself: they must notice what is wrong.
@Suite struct NetworkTests {
    /// A client and a server, 10 ms apart, and the client's conditions.
    private func pair(
        _ simulation: Simulation,
        _ change: (inout NodeSettings) -> Void = { _ in }
    ) throws -> (SimulatedNode, SimulatedNode) {
        var near = NodeSettings()
        near.uplink.latency = .milliseconds(10)
        near.downlink.latency = .milliseconds(10)
        change(&near)
        return (try simulation.addNode("client", near), try simulation.addNode("server"))
    }

    private func transfer(_ bytes: Int, _ change: (inout NodeSettings) -> Void) throws -> (SimulationReport, Double) {
        var time = 0.0
        let report = try Simulation.run(seed: 5) { simulation in
            let (client, server) = try pair(simulation, change)
            simulation.isImpaired = true
            let connection = try simulation.dial(from: client, to: server)
            simulation.run(for: .seconds(30)) { connection.isUp }
            let start = simulation.network.elapsed
            simulation.open(StreamPlan(request: 0, response: bytes), on: connection)
            let done = simulation.run(for: .seconds(60)) { connection.isIdle }
            simulation.expect(done, "not finished")
            time = (simulation.network.elapsed - start) / .seconds(1)
            // What is still on its way arrives.
            simulation.run(for: .seconds(1)) { false }
        }
        #expect(report.problems.isEmpty, "\(report.problems)")
        return (report, time)
    }

    @Test func theRateBoundsWhatArrives() throws {
        let (_, time) = try transfer(500_000) { $0.downlink.bitsPerSecond = 2e6 }
        #expect(time >= 2 && time < 3)
    }

    @Test func everyAccidentHappensAboutAsOftenAsAsked() throws {
        let (report, _) = try transfer(1_000_000) {
            $0.downlink.loss = 0.05
            $0.downlink.corruption = 0.05
            $0.downlink.duplication = 0.05
            $0.downlink.reordering = 0.05
            $0.downlink.congestionMarking = 0.05
        }
        let statistics = report.statistics
        for count in [
            statistics.lost, statistics.corrupted, statistics.duplicated, statistics.reordered, statistics.marked,
        ] { #expect((10...120).contains(count), "\(statistics)") }
        #expect(statistics.delivered == statistics.sent - statistics.lost + statistics.duplicated)
    }

    @Test func nothingLargerThanThePathCarriesArrives() throws {
        let (report, _) = try transfer(300_000) { $0.downlink.maximumPayload = 1250 }
        #expect(report.statistics.tooLarge > 0)
    }

    @Test func aConnectionThatEndsForNoReasonIsAProblem() throws {
        let report = try Simulation.run(seed: 6) { simulation in
            let (client, server) = try pair(simulation)
            let connection = try simulation.dial(from: client, to: server)
            simulation.run(for: .seconds(5)) { connection.isUp }
            var dead = client.uplinkConditions
            dead.loss = 1
            client.setUplink(dead)
            simulation.run(for: .seconds(100)) { connection.isOver }
        }
        #expect(report.problems.contains { $0.contains("idleTimeout") })
    }

    @Test func aStreamThatCarriesOtherBytesIsAProblem() throws {
        let report = try Simulation.run(seed: 7) { simulation in
            let (client, server) = try pair(simulation)
            let connection = try simulation.dial(from: client, to: server)
            simulation.run(for: .seconds(5)) { connection.isUp }
            let core = try #require(connection.core)
            let id = try #require(try core.openStream())
            // A header that announces three bytes of the pattern, and three others.
            let header: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3] + [UInt8](repeating: 0, count: 12)
            core.send([SendSegment(copying: header + [0, 0, 0])].compactMap(\.self), isEnd: true, on: id)
            simulation.run(for: .seconds(20))
        }
        #expect(report.problems.contains { $0.contains("wrong bytes") })
    }

    @Test func aConnectionThatStaysIsAProblem() throws {
        let report = try Simulation.run(seed: 8) { simulation in
            let (client, server) = try pair(simulation)
            let connection = try simulation.dial(from: client, to: server)
            simulation.run(for: .seconds(5)) { connection.isUp }
            kept.core = connection.core
        }
        #expect(report.problems.contains { $0.contains("still alive") })
    }

    private final class Keeper {
        var core: ConnectionCore?
    }

    private let kept = Keeper()

    @Test func aFilterMayDropAndChange() throws {
        let report = try Simulation.run(seed: 9) { simulation in
            let (client, server) = try pair(simulation)
            var dropped = 0
            simulation.isImpaired = true
            simulation.network.filter = { _ in
                dropped += 1
                return dropped > 1
            }
            let connection = try simulation.dial(from: client, to: server)
            simulation.run(for: .seconds(30)) { connection.isUp }
            simulation.expect(connection.isUp, "no handshake after the first datagram was lost")
            // The probe timeout brings the second attempt.
            simulation.expect(connection.handshakeTime.map { $0 > .milliseconds(100) } ?? false, "nothing was lost")
        }
        #expect(report.problems.isEmpty, "\(report.problems)")
        #expect(report.statistics.filtered == 1)
    }
}
