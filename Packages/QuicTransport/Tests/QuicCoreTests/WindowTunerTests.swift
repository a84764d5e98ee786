import Testing

@testable import QuicCore

/// How windows grow where the library cannot be left to do it.
@Suite struct WindowTunerTests {
    private let roundTrip: UInt64 = 10_000_000

    @Test func aReaderThatKeepsUpDoublesTheWindowUpToTheLimit() {
        var tuner = WindowTuner(window: 1000, limit: 3000)
        #expect(tuner.consumed(400, now: 0, roundTrip: roundTrip) == 0)
        #expect(tuner.consumed(100, now: roundTrip, roundTrip: roundTrip) == 1000)
        #expect(tuner.window == 2000)
        #expect(tuner.consumed(900, now: roundTrip, roundTrip: roundTrip) == 0)
        #expect(tuner.consumed(100, now: 2 * roundTrip, roundTrip: roundTrip) == 1000)
        #expect(tuner.window == 3000)
        #expect(tuner.consumed(3000, now: 2 * roundTrip, roundTrip: roundTrip) == 0)
        #expect(tuner.consumed(3000, now: 2 * roundTrip, roundTrip: roundTrip) == 0)
        #expect(tuner.window == 3000)
    }

    @Test func aSlowReaderKeepsTheWindow() {
        var tuner = WindowTuner(window: 1000, limit: 8000)
        for turn in 0..<100 {
            let now = UInt64(turn) * (2 * roundTrip + 1)
            #expect(tuner.consumed(400, now: now, roundTrip: roundTrip) == 0)
        }
        #expect(tuner.window == 1000)
    }

    @Test func creditNeverExceedsWhatWasReadAndTheLimit() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<1000 {
            let start = UInt64.random(in: 1...10_000, using: &generator)
            var tuner = WindowTuner(window: start, limit: UInt64.random(in: 1...100_000, using: &generator))
            var extra: UInt64 = 0
            for turn in 0..<50 {
                let count = UInt64.random(in: 1...20_000, using: &generator)
                extra += tuner.consumed(count, now: UInt64(turn), roundTrip: roundTrip)
            }
            #expect(start + extra <= max(start, tuner.limit))
            #expect(start + extra == tuner.window)
        }
    }
}
