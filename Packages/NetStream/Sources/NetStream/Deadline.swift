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
///   - duration: How long the operation may take.
///   - clock: What measures the time. Tests hand in a clock of their own.
///   - operation: What is to be done.
/// - Throws: What the operation throws, or ``NetStreamError`` of code ``NetStreamError/Code/timeout``.
public func withDeadline<Result: Sendable>(
    _ duration: Duration,
    clock: any Clock<Duration> = ContinuousClock(),
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
                throw NetStreamError(
                    .timeout,
                    "gave up after \(duration): the other side did not answer in time",
                    cause: error
                )
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
