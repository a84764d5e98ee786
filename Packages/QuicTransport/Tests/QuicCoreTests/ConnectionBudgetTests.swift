import PeerID
import Testing

@testable import QuicCore

@Suite struct ConnectionBudgetTests {
    @Test func neverGivesMoreThanItsLimitToManyThreads() async {
        let budget = ConnectionBudget(limit: 100)
        let taken = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 { group.addTask { (0..<1000).count { _ in budget.take() } } }
            return await group.reduce(0, +)
        }
        #expect(taken == 100)
        #expect(budget.count == 100)
        budget.giveBack(30)
        #expect((0..<1000).count { _ in budget.take() } == 30)
    }

    @Test func endpointsShareOneAndGiveBackWhatTheyTook() throws {
        let budget = ConnectionBudget(limit: 3)
        let one = try CoreNode(port: 1001, seed: 1, accepts: false, budget: budget)
        let server = try CoreNode(port: 1002, seed: 3)
        let network = CoreNetwork(one, server)
        let first = try network.dial(from: one, to: server, expecting: nil)
        do {
            let two = try CoreNode(port: 1003, seed: 2, accepts: false, budget: budget)
            for _ in 0..<2 {
                _ = try two.endpoint.connect(to: server.address, from: two.address, expecting: nil, now: network.now)
            }
            #expect(budget.count == 3)
            let error = #expect(throws: QuicError.self) {
                try one.endpoint.connect(to: server.address, from: one.address, expecting: nil, now: network.now)
            }
            #expect(error?.code == .connectionLimit)
        }
        // The second endpoint is gone with its connections.
        #expect(budget.count == 1)
        network.run(seconds: 5) { one.events(of: first).isConfirmed }
        first.close(code: 0, reason: "", now: network.now)
        network.service(first, of: one)
        network.run(seconds: 30)
        #expect(budget.count == 0)
    }
}
