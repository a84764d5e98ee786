import DequeModule
import QuicCore
import Synchronization

/// A bounded queue between an event loop that offers and tasks that wait.
///
/// For accept queues: a full queue refuses, so that what nobody takes cannot pile up. Waiters are served in the order
/// they came; an element is given to exactly one of them.
final class AsyncQueue<Element: Sendable>: Sendable {
    private typealias Waiter = CheckedContinuation<Result<Element, QuicError>, Never>

    private struct State {
        var elements: Deque<Element> = []
        var waiters: Deque<(id: UInt64, waiter: Waiter)> = []
        var failure: QuicError?
        var nextID: UInt64 = 0
    }

    private let capacity: Int
    private let scheduleTimeout: ScheduleTimeout?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - capacity: The most elements that wait for a taker, at least 1.
    ///   - scheduleTimeout: Arms the timers of ``next(timeout:)``; without it timeouts are not kept.
    init(capacity: Int, scheduleTimeout: ScheduleTimeout? = nil) {
        self.capacity = max(1, capacity)
        self.scheduleTimeout = scheduleTimeout
    }

    /// How many elements wait for a taker.
    var count: Int { state.withLock { $0.elements.count } }

    /// Adds an element. False when the queue is full or closed: then the element stays with the caller.
    func offer(_ element: Element) -> Bool {
        var taker: Waiter?
        let isTaken = state.withLock { state -> Bool in
            guard state.failure == nil else { return false }
            taker = state.waiters.popFirst()?.waiter
            if taker != nil { return true }
            guard state.elements.count < capacity else { return false }
            state.elements.append(element)
            return true
        }
        taker?.resume(returning: .success(element))
        return isTaken
    }

    /// Waits for the next element.
    ///
    /// - Throws: ``QuicError`` with the code `cancelled`, `timeout`, or what the queue was closed with.
    func next(timeout: Duration? = nil) async throws(QuicError) -> Element {
        var id: UInt64 = 0
        let ready = state.withLock { state -> Result<Element, QuicError>? in
            state.nextID += 1
            id = state.nextID
            return Self.take(&state)
        }
        if let ready { return try ready.get() }
        let own = id
        var timer: StreamTimer?
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: Waiter) in
                let ready = state.withLock { state -> Result<Element, QuicError>? in
                    if let ready = Self.take(&state) { return ready }
                    // Asked under the lock, so that the handler below either made this true or finds the waiter.
                    if Task.isCancelled { return .failure(Self.cancelled) }
                    state.waiters.append((own, continuation))
                    return nil
                }
                if let ready {
                    continuation.resume(returning: ready)
                } else if let timeout {
                    timer = scheduleTimeout?(timeout) { [weak self] in self?.endWait(own, Self.timedOut) }
                }
            }
        } onCancel: {
            endWait(own, Self.cancelled)
        }
        timer?.cancel()
        return try outcome.get()
    }

    /// Ends the queue: waiters and later calls of ``next(timeout:)`` get `error`. Idempotent; the first error stays.
    ///
    /// - Returns: The elements nobody took; they are the caller's to dispose of.
    @discardableResult
    func close(_ error: QuicError) -> [Element] {
        let (elements, waiters) = state.withLock { state -> ([Element], [Waiter]) in
            if state.failure == nil { state.failure = error }
            defer {
                state.elements = []
                state.waiters = []
            }
            // An empty Deque made an Array writes into the empty array that the whole process shares.
            return (state.elements.isEmpty ? [] : Array(state.elements), state.waiters.map(\.waiter))
        }
        for waiter in waiters { waiter.resume(returning: .failure(error)) }
        return elements
    }

    private static func take(_ state: inout State) -> Result<Element, QuicError>? {
        if let element = state.elements.popFirst() { return .success(element) }
        return state.failure.map { .failure($0) }
    }

    private func endWait(_ id: UInt64, _ error: QuicError) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiters.remove(at: index).waiter
        }
        waiter?.resume(returning: .failure(error))
    }

    private static var cancelled: QuicError { QuicError(.cancelled, "the waiting task was cancelled") }
    private static var timedOut: QuicError { QuicError(.timeout, "nothing arrived in time; try again") }
}
