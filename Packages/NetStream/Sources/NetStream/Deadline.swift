import Synchronization

private enum DeadlineOutcome<Result: Sendable>: Sendable {
    case finished(Result)
    case failed(any Error)
    case elapsed
    case clockStopped
}

/// Runs an operation and gives it up when it takes too long.
///
/// When the time is over, the operation is cancelled and waited for, so it must heed cancellation. If it succeeds all
/// the same, its result is returned: nothing it made is lost.
///
/// - Parameters:
///   - duration: How long the operation may take. On the `ContinuousClock` the deadline comes up to 32 ms late, never early:
///     what has to be more exact sleeps by itself.
///   - clock: What measures the time. Tests hand in a clock of their own.
///   - operation: What is to be done.
/// - Throws: What the operation throws, or ``NetStreamError`` of code ``NetStreamError/Code/timeout``.
public func withDeadline<Result: Sendable>(
    _ duration: Duration,
    clock: any Clock<Duration> = ContinuousClock(),
    operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    guard clock is ContinuousClock else { return try await withDeadline(duration, on: clock, operation: operation) }
    let isCancelled = Task.isCancelled
    // What needs not wait is done before this returns.
    let task = Task.immediate {
        if isCancelled { withUnsafeCurrentTask { $0?.cancel() } }
        return try await operation()
    }
    let ticket = DeadlineTimers.shared.schedule(after: duration) { task.cancel() }
    let result = await withTaskCancellationHandler {
        await task.result
    } onCancel: {
        task.cancel()
    }
    let isElapsed = !DeadlineTimers.shared.cancel(ticket)
    do {
        return try result.get()
    } catch  where isElapsed {
        throw NetStreamError.gaveUp(after: duration, error)
    }
}

/// Runs an operation in the calling task and breaks it off when it takes too long: cheaper than
/// ``withDeadline(_:clock:operation:)``, for what ends by itself once something is done to it, as a stream's reading ends when
/// the stream is reset.
///
/// Once the time is over the operation has failed, even if it still succeeds: what it used is broken off, or is about to be.
///
/// - Parameters:
///   - duration: How long the operation may take. On the `ContinuousClock` the deadline comes up to 32 ms late, never early.
///   - clock: What measures the time. Tests hand in a clock of their own.
///   - isolation: Where the operation runs; the caller's, unless told otherwise.
///   - breakOff: Called when the time is over, from any task, at most once. It must make the operation end.
///   - operation: What is to be done.
/// - Throws: What the operation throws, or ``NetStreamError`` of code ``NetStreamError/Code/timeout``.
public func withDeadline<Result>(
    _ duration: Duration,
    clock: any Clock<Duration> = ContinuousClock(),
    isolation: isolated (any Actor)? = #isolation,
    breakingOff breakOff: @escaping @Sendable () -> Void,
    operation: () async throws -> Result
) async throws -> Result {
    let deadline = Deadline(duration, clock: clock, breakOff)
    let result: Result
    do {
        result = try await operation()
    } catch {
        guard !deadline.cancel() else { throw error }
        throw NetStreamError.gaveUp(after: duration, error)
    }
    // The action may still be about to run: the caller must not go on with what it breaks off.
    guard deadline.cancel() else { throw NetStreamError.gaveUp(after: duration) }
    return result
}

/// A deadline that does something when it comes.
private struct Deadline {
    private enum Timer {
        case ticket(DeadlineTimers.Ticket)
        case task(Task<Void, Never>, isOver: Flag)
    }

    /// Whether a deadline has come or was called off, whichever was first.
    private final class Flag: Sendable {
        private let isSet = Atomic(false)

        /// `true` for the first one who sets it.
        func set() -> Bool { !isSet.exchange(true, ordering: .acquiringAndReleasing) }
    }

    private let timer: Timer

    init(_ duration: Duration, clock: any Clock<Duration>, _ action: @escaping @Sendable () -> Void) {
        guard !(clock is ContinuousClock) else {
            timer = .ticket(DeadlineTimers.shared.schedule(after: duration, action))
            return
        }
        let isOver = Flag()
        let task = Task {
            do { try await clock.sleep(for: duration) } catch { return }
            if isOver.set() { action() }
        }
        timer = .task(task, isOver: isOver)
    }

    /// Calls it off. `false` when it has come.
    func cancel() -> Bool {
        switch timer {
        case .ticket(let ticket): return DeadlineTimers.shared.cancel(ticket)
        case .task(let task, let isOver):
            task.cancel()
            return isOver.set()
        }
    }
}

/// The same on any clock: a task sleeps beside the operation.
private func withDeadline<Result: Sendable>(
    _ duration: Duration,
    on clock: any Clock<Duration>,
    operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: DeadlineOutcome<Result>.self) { group in
        group.addTask {
            do {
                return .finished(try await operation())
            } catch {
                return .failed(error)
            }
        }
        group.addTask {
            do {
                try await clock.sleep(for: duration)
                return .elapsed
            } catch {
                return .clockStopped
            }
        }
        var isElapsed = false
        while let outcome = try await group.next() {
            switch outcome {
            case .finished(let result):
                group.cancelAll()
                return result
            case .failed(let error):
                group.cancelAll()
                guard isElapsed else { throw error }
                throw NetStreamError.gaveUp(after: duration, error)
            case .elapsed:
                isElapsed = true
                group.cancelAll()
            case .clockStopped:
                // The caller was cancelled; the operation, cancelled too, says what that means.
                continue
            }
        }
        throw NetStreamError(.cancelled, "the task was cancelled")
    }
}

extension NetStreamError {
    fileprivate static func gaveUp(after duration: Duration, _ cause: (any Error)? = nil) -> NetStreamError {
        NetStreamError(
            .timeout,
            "gave up after \(duration): the other side did not answer in time",
            cause: cause
        )
    }
}
