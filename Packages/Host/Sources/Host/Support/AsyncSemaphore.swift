import Synchronization

/// A counted number of permits, handed out in the order of arrival. Waiting is cancellable.
final class AsyncSemaphore: Sendable {
    private struct State {
        var permits: Int
        var nextID: UInt64 = 0
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
    }

    private let state: Mutex<State>

    init(permits: Int) {
        state = Mutex(State(permits: permits))
    }

    /// Tasks that wait for a permit.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// Takes a permit if there is one now.
    func tryAcquire() -> Bool {
        state.withLock { state in
            guard state.permits > 0 else { return false }
            state.permits -= 1
            return true
        }
    }

    /// Waits for a permit.
    ///
    /// - Throws: ``HostError/Code/cancelled``. No permit was taken then.
    func acquire() async throws(HostError) {
        if tryAcquire() { return }
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let isAcquired = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
                let now: Bool? = state.withLock { state in
                    if state.permits > 0 {
                        state.permits -= 1
                        return true
                    }
                    // The handler below takes this lock after the task was marked as cancelled: either it finds the
                    // waiter or this sees the mark.
                    if Task.isCancelled { return false }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: false)
        }
        guard isAcquired else { throw HostError(.cancelled, "cancelled while waiting for a turn") }
    }

    /// Gives a permit back.
    func release() {
        let next: CheckedContinuation<Bool, Never>? = state.withLock { state in
            guard !state.waiters.isEmpty else {
                state.permits += 1
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        next?.resume(returning: true)
    }

    /// Runs an operation with a permit.
    func withPermit<Result>(
        isolation: isolated (any Actor)? = #isolation,
        _ operation: () async throws -> Result
    ) async throws -> Result {
        try await acquire()
        defer { release() }
        return try await operation()
    }
}
