import Synchronization

/// Lets one task at a time through, in the order of arrival. Waiting is cancellable.
final class AsyncGate: Sendable {
    private struct Waiter {
        var id: UInt64
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct Shared {
        var isBusy = false
        var nextID: UInt64 = 0
        var waiters: [Waiter] = []
    }

    private let shared = Mutex(Shared())

    /// Takes the turn if nobody has it. A success is to be answered by one ``leave()``.
    func tryEnter() -> Bool {
        shared.withLock { shared in
            guard !shared.isBusy else { return false }
            shared.isBusy = true
            return true
        }
    }

    /// Waits for its turn. Every success is to be answered by one ``leave()``.
    ///
    /// - Returns: Whether the gate was entered; `false` when the task was cancelled.
    func enter() async -> Bool {
        let id: UInt64? = shared.withLock { shared in
            if !shared.isBusy {
                shared.isBusy = true
                return nil
            }
            shared.nextID += 1
            return shared.nextID
        }
        guard let id else { return true }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
                let now: Bool? = shared.withLock { shared in
                    if !shared.isBusy {
                        shared.isBusy = true
                        return true
                    }
                    // The cancellation handler takes this lock after the task was marked as cancelled, so either it
                    // finds the waiter or this sees the mark.
                    if Task.isCancelled { return false }
                    shared.waiters.append(Waiter(id: id, continuation: continuation))
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            let waiter: Waiter? = shared.withLock { shared in
                guard let index = shared.waiters.firstIndex(where: { $0.id == id }) else { return nil }
                return shared.waiters.remove(at: index)
            }
            waiter?.continuation.resume(returning: false)
        }
    }

    /// Lets the next task in.
    func leave() {
        let next: Waiter? = shared.withLock { shared in
            if shared.waiters.isEmpty {
                shared.isBusy = false
                return nil
            }
            return shared.waiters.removeFirst()
        }
        next?.continuation.resume(returning: true)
    }
}
