import NetStream
import NetStreamTesting
import Testing

@Suite struct DeadlineTests {
    @Test func aFastOperationGivesItsResult() async throws {
        #expect(try await withDeadline(.seconds(1), clock: ManualClock()) { 7 } == 7)
    }

    @Test func aSlowReadTimesOutAndTheStreamWorksOn() async throws {
        let clock = ManualClock()
        let (near, far) = try await MemoryPair().openStream()
        async let result = code { _ = try await withDeadline(.seconds(5), clock: clock) { try await near.read() } }
        await clock.waitForSleepers()
        clock.advance(by: .seconds(4))
        clock.advance(by: .seconds(1))
        #expect(await result == .timeout)
        #expect(near.state == .open)
        try await far.write([1])
        #expect(try await near.read() == [1])
    }

    @Test func errorsOfTheOperationPassThrough() async throws {
        struct Broken: Error {}
        await #expect(throws: Broken.self) {
            try await withDeadline(.seconds(1), clock: ManualClock()) { throw Broken() }
        }
    }

    @Test func aResultInTheLastMomentIsNotLost() async throws {
        let clock = ManualClock()
        let (started, start) = AsyncStream<Void>.makeStream()
        async let result = withDeadline(.seconds(1), clock: clock) {
            start.finish()
            // Heeds cancellation, but succeeds all the same.
            await withTaskCancellationHandler {
                let (never, _) = AsyncStream<Void>.makeStream()
                for await _ in never {}
            } onCancel: {
            }
            return 5
        }
        for await _ in started {}
        await clock.waitForSleepers()
        clock.advance(by: .seconds(1))
        #expect(try await result == 5)
    }

    @Test func cancellingTheCallerCancelsTheOperation() async throws {
        let (near, _) = try await MemoryPair().openStream()
        let task = Task { await code { _ = try await withDeadline(.seconds(60)) { try await near.read() } } }
        await Task.yield()
        task.cancel()
        #expect(await task.value == .cancelled)
    }
}
