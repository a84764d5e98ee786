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
        /// When the loop's timer fires; `nil` when none is armed.
        var armedFor: NIODeadline?
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
        let (id, arm) = state.withLock { state -> (UInt64, Bool) in
            state.nextID += 1
            state.entries[state.nextID] = (due, action)
            guard let armed = state.armedFor, armed <= due else {
                state.armedFor = due
                return (state.nextID, true)
            }
            return (state.nextID, false)
        }
        if arm { self.arm(due) }
        return StreamTimer { [weak self] in
            self?.state.withLock { _ = $0.entries.removeValue(forKey: id) }
        }
    }

    private func arm(_ due: NIODeadline) {
        eventLoop.scheduleTask(deadline: due + Self.slack) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        let now = NIODeadline.now()
        let (actions, next) = state.withLock { state -> ([@Sendable () -> Void], NIODeadline?) in
            // A timer that was overtaken by an earlier one finds nothing due and the other timer armed.
            var actions: [@Sendable () -> Void] = []
            for (id, entry) in state.entries where entry.due <= now {
                actions.append(entry.action)
                state.entries[id] = nil
            }
            if let armed = state.armedFor, armed > now { return (actions, nil) }
            state.armedFor = state.entries.values.map(\.due).min()
            return (actions, state.armedFor)
        }
        for action in actions { action() }
        if let next { arm(next) }
    }
}
