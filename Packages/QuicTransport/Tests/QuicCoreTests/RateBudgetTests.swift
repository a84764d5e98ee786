import Testing

@testable import QuicCore

@Suite struct RateBudgetTests {
    private let second: UInt64 = 1_000_000_000

    // Mutating calls cannot pass through the testing macros.
    private func take(_ budget: inout RateBudget, now: UInt64) -> Bool { budget.take(now: now) }

    private func taken(_ attempts: Int, of budget: inout RateBudget, at now: UInt64) -> Int {
        var count = 0
        for _ in 0..<attempts where budget.take(now: now) { count += 1 }
        return count
    }

    @Test func givesTheBurstAtOnceAndThenTheRate() {
        var budget = RateBudget(perSecond: 500, burst: 300)
        let start = 77 * second
        #expect(taken(1000, of: &budget, at: start) == 300)
        #expect(!take(&budget, now: start + 1_999_999))
        #expect(take(&budget, now: start + 2_000_000))
        #expect(!take(&budget, now: start + 2_000_001))
    }

    @Test func holdsTheRateHoweverOftenItIsAsked() {
        for step in [UInt64(1_100_000), 1_900_000, 2_000_000, 2_100_000, 333_333] {
            var budget = RateBudget(perSecond: 500, burst: 10)
            var now = second
            while budget.take(now: now) {}
            var taken = 0
            let end = now + 10 * second
            while now < end {
                now += step
                if budget.take(now: now) { taken += 1 }
            }
            // No fraction of an interval is lost, and none is given twice.
            let possible = min(5000, Int(10 * second / step))
            #expect((possible - 2...possible + 2).contains(taken), "step \(step)")
        }
    }

    @Test func keepsNoMoreThanTheBurstOverSilence() {
        var budget = RateBudget(perSecond: 500, burst: 500)
        #expect(take(&budget, now: second))
        #expect(taken(10_000, of: &budget, at: .max) == 500)
    }

    @Test func aClockThatRunsBackwardsGivesNothing() {
        var budget = RateBudget(perSecond: 1000, burst: 1)
        #expect(take(&budget, now: 10 * second))
        #expect(!take(&budget, now: 0))
        #expect(!take(&budget, now: 5 * second))
        #expect(take(&budget, now: 10 * second + 1_000_000))
    }

    @Test func anyNumbersMakeABudget() {
        for (rate, burst) in [(0, 0), (-1, -1), (Int.max, Int.max)] {
            var budget = RateBudget(perSecond: rate, burst: burst)
            #expect(take(&budget, now: 0))
        }
    }
}
