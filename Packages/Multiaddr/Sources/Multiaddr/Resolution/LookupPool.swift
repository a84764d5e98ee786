import Dispatch
import Synchronization

/// Runs calls that block (the system's resolver knows no others) on a few threads, away from Swift's own.
///
/// A caller that is cancelled returns at once; the thread finishes its lookup and its answer is dropped.
final class LookupPool: Sendable {
    static let shared = LookupPool(width: 8, backlog: 256)

    private struct State {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
    }

    private let width: Int
    private let backlog: Int
    private let state = Mutex(State())

    init(width: Int, backlog: Int) {
        self.width = width
        self.backlog = backlog
    }

    /// The result of `work`, which runs on a thread where it may block.
    ///
    /// - Throws: what `work` throws, `CancellationError`, or `resolutionLimit` when the backlog is full.
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        let ticket = Ticket<Value>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard ticket.wait(continuation) else { return }
                let accepted = enqueue {
                    guard ticket.isWanted else { return }
                    ticket.finish(Result { try work() })
                }
                guard !accepted else { return }
                ticket.finish(
                    .failure(
                        MultiaddrError(.resolutionLimit, "\(backlog) lookups are already waiting; try again later")
                    )
                )
            }
        } onCancel: {
            ticket.finish(.failure(CancellationError()))
        }
    }

    private func enqueue(_ job: @escaping @Sendable () -> Void) -> Bool {
        enum Action { case start, wait, refuse }
        let action: Action = state.withLock { state in
            if state.running < width {
                state.running += 1
                return .start
            }
            guard state.waiting.count < backlog else { return .refuse }
            state.waiting.append(job)
            return .wait
        }
        if action == .start {
            DispatchQueue.global().async {
                job()
                while let next = self.takeNext() { next() }
            }
        }
        return action != .refuse
    }

    private func takeNext() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.running -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
    }
}

/// Resumes one continuation exactly once, whoever comes first.
private final class Ticket<Value: Sendable>: Sendable {
    private enum State {
        case new
        case waiting(CheckedContinuation<Value, any Error>)
        case finished
    }

    private let state = Mutex(State.new)

    var isWanted: Bool {
        state.withLock { if case .waiting = $0 { true } else { false } }
    }

    /// False when the caller was cancelled before it waited; the continuation has then been resumed.
    func wait(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let waits = state.withLock { state in
            guard case .new = state else { return false }
            state = .waiting(continuation)
            return true
        }
        if !waits { continuation.resume(throwing: CancellationError()) }
        return waits
    }

    func finish(_ result: Result<Value, any Error>) {
        let continuation: CheckedContinuation<Value, any Error>? = state.withLock { state in
            defer { state = .finished }
            guard case .waiting(let continuation) = state else { return nil }
            return continuation
        }
        continuation?.resume(with: result)
    }
}
