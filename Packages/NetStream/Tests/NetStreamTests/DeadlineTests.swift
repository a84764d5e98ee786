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

    @Test func whatIsTooSlowOnTheContinuousClockIsCancelled() async throws {
        let (near, far) = try await MemoryPair().openStream()
        let result = await code {
            _ = try await withDeadline(.milliseconds(1)) { try await near.read() }
        }
        #expect(result == .timeout)
        try await far.write([1])
        #expect(try await near.read() == [1])
    }

    @Test func whatNeedsNotWaitIsDoneAtOnceAndLeavesNoDeadline() async throws {
        for _ in 0..<100 {
            #expect(try await withDeadline(.seconds(100_000)) { 7 } == 7)
            struct Broken: Error {}
            await #expect(throws: Broken.self) { try await withDeadline(.seconds(100_000)) { throw Broken() } }
        }
    }

    @Test func anOperationOfACancelledTaskSeesThatItIsCancelled() async throws {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await withDeadline(.seconds(60)) { Task.isCancelled }
        }
        #expect(try await task.value)
    }

    @Test(arguments: [true, false]) func whatIsTooSlowIsBrokenOff(onManualClock: Bool) async throws {
        let clock = ManualClock()
        let (near, _) = try await MemoryPair().openStream()
        async let result = code {
            let clock: any Clock<Duration> = onManualClock ? clock : ContinuousClock()
            _ = try await withDeadline(.milliseconds(20), clock: clock, breakingOff: { near.reset() }) {
                try await near.read()
            }
        }
        if onManualClock {
            await clock.waitForSleepers()
            clock.advance(by: .milliseconds(20))
        }
        #expect(await result == .timeout)
        #expect(near.state == .reset)
    }

    @Test(arguments: [true, false]) func whatIsInTimeIsNotBrokenOff(onManualClock: Bool) async throws {
        let clock: any Clock<Duration> = onManualClock ? ManualClock() : ContinuousClock()
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([1])
        let bytes = try await withDeadline(.seconds(60), clock: clock, breakingOff: { near.reset() }) {
            try await near.read()
        }
        #expect(bytes == [1])
        struct Broken: Error {}
        await #expect(throws: Broken.self) {
            try await withDeadline(.seconds(60), clock: clock, breakingOff: { near.reset() }) { throw Broken() }
        }
        #expect(near.state == .open)
    }
}
