import NetStreamTesting
import Testing

@testable import NetStream

/// Ends a stream when the last one lets go of it.
private final class Held: Sendable {
    private let release: AsyncStream<Void>.Continuation

    init(_ release: AsyncStream<Void>.Continuation) {
        self.release = release
    }

    deinit { release.finish() }

    func touch() {}
}

@Suite(.timeLimit(.minutes(1))) struct DeadlineTests {
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
        let (near, far) = try await MemoryPair().openStream()
        defer { withExtendedLifetime(far) {} }
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

    @Test func whatIsOverLeavesNoDeadline() async throws {
        // Other tests have a few deadlines of their own.
        let before = DeadlineTimers.shared.count
        for _ in 0..<500 {
            #expect(try await withDeadline(.seconds(100_000)) { 7 } == 7)
            struct Broken: Error {}
            await #expect(throws: Broken.self) { try await withDeadline(.seconds(100_000)) { throw Broken() } }
        }
        #expect(DeadlineTimers.shared.count < before + 500)
    }

    @Test(arguments: [true, false]) func whatSucceedsAfterItsTimeHasFailed(onManualClock: Bool) async throws {
        let clock = ManualClock()
        let (broken, breakOff) = AsyncStream<Void>.makeStream()
        async let result = code {
            let clock: any Clock<Duration> = onManualClock ? clock : ContinuousClock()
            try await withDeadline(.milliseconds(20), clock: clock, breakingOff: { breakOff.finish() }) {
                for await _ in broken {}
            }
        }
        if onManualClock {
            await clock.waitForSleepers()
            clock.advance(by: .milliseconds(20))
        }
        // What it used is broken off: its caller must not take that for a success.
        #expect(await result == .timeout)
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
        let (near, far) = try await MemoryPair().openStream()
        defer { withExtendedLifetime(far) {} }
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
        let manual = ManualClock()
        let clock: any Clock<Duration> = onManualClock ? manual : ContinuousClock()
        let (near, far) = try await MemoryPair().openStream()
        struct Broken: Error {}
        for succeeds in [true, false] {
            let (held, release) = AsyncStream<Void>.makeStream()
            try await far.write([1])
            do {
                let bytes = try await withDeadline(
                    .seconds(600),
                    clock: clock,
                    breakingOff: { [held = Held(release)] in
                        held.touch()
                        near.reset()
                    },
                    operation: {
                        guard succeeds else { throw Broken() }
                        return try await near.read()
                    }
                )
                #expect(bytes == [1])
            } catch is Broken {
                #expect(!succeeds)
            }
            // Nobody has the action any more, be it that it ran or that it was called off.
            manual.advance(by: .seconds(601))
            for await _ in held {}
            #expect(near.state == .open)
        }
    }
}
