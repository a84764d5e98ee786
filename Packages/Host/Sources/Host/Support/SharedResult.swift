import Synchronization

/// One result that several tasks wait for, and that is given up when none of them waits any more.
final class SharedResult<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, HostError>?
        var isAbandoned = false
        var interested = 0
        var nextID: UInt64 = 0
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Result<Value, HostError>, Never>)] = []
        var watcher: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Tasks that wait for the result.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// Announces a call of ``wait()``. Fails once the result was given up.
    func join() -> Bool {
        state.withLock { state in
            guard !state.isAbandoned else { return false }
            state.interested += 1
            return true
        }
    }

    /// Waits for the result. Call it once for each successful ``join()``.
    func wait() async throws(HostError) -> Value {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, HostError>, Never>) in
                let now: Result<Value, HostError>? = state.withLock { state in
                    if let result = state.result { return result }
                    if Task.isCancelled { return .failure(Self.cancelled) }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: .failure(Self.cancelled))
        }
        let watcher: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.interested -= 1
            guard state.interested == 0, state.result == nil else { return nil }
            state.isAbandoned = true
            defer { state.watcher = nil }
            return state.watcher
        }
        watcher?.resume()
        return try result.get()
    }

    /// Gives the result to everybody. Only the first one counts.
    func fulfil(_ result: Result<Value, HostError>) {
        let woken: State? = state.withLock { state in
            guard state.result == nil else { return nil }
            state.result = result
            defer {
                state.waiters = []
                state.watcher = nil
            }
            return state
        }
        guard let woken else { return }
        for waiter in woken.waiters { waiter.continuation.resume(returning: result) }
        woken.watcher?.resume()
    }

    /// Waits until there is a result or nobody waits for one any more. For one task.
    func waitUntilOver() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isOver = state.withLock { state in
                if state.result != nil || state.isAbandoned { return true }
                state.watcher = continuation
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    private static var cancelled: HostError { HostError(.cancelled, "the task was cancelled") }
}

/// Runs an operation to its end although the calling task may be cancelled, and waits for it.
///
/// Leaving a scope must close what was opened in it. This is the only place where a task is made outside the tree.
func uncancelled(_ operation: @escaping @Sendable () async -> Void) async {
    // What needs not wait is done before this returns.
    await Task.immediate { await operation() }.value
}
