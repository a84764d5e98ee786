import QuicSimulation
import Testing

@Suite struct DeterminismTests {
    @Test(arguments: [3, 14, 159] as [UInt64]) func theSameSeedGivesTheSamePackets(_ seed: UInt64) throws {
        let first = try Scenario.random.run(seed: seed, size: .small)
        let second = try Scenario.random.run(seed: seed, size: .small)
        #expect(first.hash == second.hash)
        #expect(first.hash.count == first.statistics.sent && first.hash.count > 0)
        #expect(first.statistics == second.statistics)
        #expect(first.elapsed == second.elapsed)
        print("seed \(seed): \(first.hash.count) packets with the hash \(first.hash)")
    }

    @Test func anotherSeedGivesOtherPackets() throws {
        let scenario = try #require(Scenario.named("handshake"))
        let first = try scenario.run(seed: 1)
        let second = try scenario.run(seed: 2)
        #expect(first.hash != second.hash)
    }

    @Test func handshakesDrawFromTheSeedOnlyInsideASimulation() throws {
        // Two hosts made outside must not share their keys with each other, whatever ran before on this thread.
        let scenario = try #require(Scenario.named("handshake"))
        _ = try scenario.run(seed: 1)
        let first = Simulation.libraryRandomness()
        _ = try scenario.run(seed: 1)
        let second = Simulation.libraryRandomness()
        #expect(first != second)
    }
}
