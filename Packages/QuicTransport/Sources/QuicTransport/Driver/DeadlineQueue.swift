import NIOCore
import Synchronization

/// The deadlines of everybody who waits on one event loop's connections.
///
/// Nearly every deadline is called off long before it comes, so arming and calling off cost a lock and a dictionary entry,
/// and the event loop has one timer for all of them: for the earliest, looked at again when it fires.
final class DeadlineQueue: Sendable {
    private struct State {
        var entries: [UInt64: (due: NIODeadline, action: @Sendable () -> Void)] = [:]
        var nextID: UInt64 = 0
        /// The loop's timer and when it fires; `nil` when none is armed.
        var timer: (due: NIODeadline, scheduled: Scheduled<Void>)?
    }

    /// Deadlines may be late by this much, so that many that lie close together cost one sweep.
    private static let slack = TimeAmount.milliseconds(5)

    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Runs `action` once after `duration`, on the event loop, unless it is called off before.
    func schedule(after duration: Duration, _ action: @escaping @Sendable () -> Void) -> StreamTimer {
        let due = NIODeadline.now() + TimeAmount(duration)
        let id = state.withLock { state -> UInt64 in
            state.nextID += 1
            state.entries[state.nextID] = (due, action)
            if state.timer.map({ due < $0.due }) ?? true { arm(&state, due) }
            return state.nextID
        }
        return StreamTimer { [weak self] in
            self?.state.withLock { _ = $0.entries.removeValue(forKey: id) }
        }
    }

    /// Moves the timer. There is never more than one.
    private func arm(_ state: inout State, _ due: NIODeadline) {
        state.timer?.scheduled.cancel()
        let scheduled = eventLoop.scheduleTask(deadline: due + Self.slack) { [weak self] in
            guard let self else { return }
            self.sweep()
        }
        state.timer = (due, scheduled)
    }

    private func sweep() {
        let now = NIODeadline.now()
        let actions = state.withLock { state -> [@Sendable () -> Void] in
            // A timer that was moved while it was firing.
            guard let timer = state.timer, timer.due <= now else { return [] }
            state.timer = nil
            let due = state.entries.filter { $0.value.due <= now }
            for id in due.keys { state.entries[id] = nil }
            if let next = state.entries.values.map(\.due).min() { arm(&state, next) }
            return due.values.map(\.action)
        }
        for action in actions { action() }
    }
}
