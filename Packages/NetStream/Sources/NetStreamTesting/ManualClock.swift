import Synchronization

/// A clock that only moves when it is told to. For tests of deadlines, without waiting.
public final class ManualClock: Clock, Sendable {
    /// A point in the time of a ``ManualClock``.
    public struct Instant: InstantProtocol {
        /// Time since the clock was made.
        public var offset: Duration

        /// The instant a duration later.
        public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        /// The time from here to another instant.
        public func duration(to other: Instant) -> Duration { other.offset - offset }
        /// Whether one instant is before another.
        public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct Sleeper {
        var id: UInt64
        var deadline: Instant
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID: UInt64 = 0
        var sleepers: [Sleeper] = []
        /// How many sleeps there were, those that are over included.
        var begun = 0
        var watchers: [Watcher] = []

        func holds(_ watcher: Watcher) -> Bool {
            watcher.countsAll ? begun >= watcher.count : sleepers.count >= watcher.count
        }
    }

    private struct Watcher {
        var id: UInt64
        var count: Int
        var countsAll: Bool
        var continuation: CheckedContinuation<Void, Never>
    }

    private let state = Mutex(State())

    /// A clock that stands at zero.
    public init() {}

    /// Where the clock stands.
    public var now: Instant { state.withLock { $0.now } }
    /// Zero: it moves as exactly as it is told.
    public var minimumResolution: Duration { .zero }

    /// Waits until the clock was moved to the deadline.
    public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                var effects = Effects()
                state.withLock { state in
                    state.begun += 1
                    if Task.isCancelled {
                        effects.add { continuation.resume(throwing: CancellationError()) }
                    } else if deadline <= state.now {
                        effects.add { continuation.resume() }
                    } else {
                        state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    }
                    for watcher in state.watchers where state.holds(watcher) {
                        effects.add { watcher.continuation.resume() }
                    }
                    state.watchers = state.watchers.filter { !state.holds($0) }
                }
                effects.run()
            }
        } onCancel: {
            let sleeper: Sleeper? = state.withLock { state in
                state.sleepers.firstIndex { $0.id == id }.map { state.sleepers.remove(at: $0) }
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Moves the clock and wakes those whose time has come.
    public func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let now = state.now
            defer { state.sleepers.removeAll { $0.deadline <= now } }
            return state.sleepers.filter { $0.deadline <= now }
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Waits until at least `count` tasks sleep on this clock, or the calling task is cancelled.
    public func waitForSleepers(_ count: Int = 1) async {
        await wait(for: count, countsAll: false)
    }

    /// Waits until tasks went to sleep on this clock so many times in all, whether they still do or not, or the calling task
    /// is cancelled. Where one sleeper takes the place of another, ``waitForSleepers(_:)`` may see the former one.
    public func waitForSleeps(begun count: Int) async {
        await wait(for: count, countsAll: true)
    }

    private func wait(for count: Int, countsAll: Bool) async {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    let watcher = Watcher(id: id, count: count, countsAll: countsAll, continuation: continuation)
                    if state.holds(watcher) || Task.isCancelled { return true }
                    state.watchers.append(watcher)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let watcher = state.withLock { state in
                state.watchers.firstIndex { $0.id == id }.map { state.watchers.remove(at: $0) }
            }
            watcher?.continuation.resume()
        }
    }

    /// Runs an operation while this clock moves on by `step` as soon as somebody sleeps on it.
    public func ticking<Result>(
        by step: Duration,
        isolation: isolated (any Actor)? = #isolation,
        during operation: () async throws -> Result
    ) async rethrows -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    await self.waitForSleepers()
                    if !Task.isCancelled { self.advance(by: step) }
                    await Task.yield()
                }
            }
            defer { group.cancelAll() }
            return try await operation()
        }
    }
}
