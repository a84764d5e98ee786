import Synchronization

/// The deadlines of the whole process, on the continuous clock.
///
/// Nearly every deadline is called off long before it comes. A sleeping task for each would cost a task and a timer of the
/// system to make, and both would stay until the time is over, called off or not. Here one costs an entry in a table, and one
/// task sleeps for all of them.
///
/// Deadlines are kept by the tick that they fall into, and come at its end: late by less than two ticks, never early.
final class DeadlineTimers: Sendable {
    static let shared = DeadlineTimers()

    /// Names a deadline, to call it off.
    struct Ticket: Sendable {
        fileprivate let tick: Int64
        fileprivate let id: UInt64
    }

    private struct State {
        var ticks: [Int64: [UInt64: @Sendable () -> Void]] = [:]
        var nextID: UInt64 = 0
        /// When the tasks that sleep wake up.
        var sleepers: Set<Int64> = []
    }

    private static let ticksPerSecond: Int64 = 64
    private static let attosecondsPerTick: Int64 = 1_000_000_000_000_000_000 / ticksPerSecond
    /// The furthest deadline, about 35 years: sums of two stay far from the end of the numbers.
    private static let longest: Int64 = 1 << 30

    private let start = ContinuousClock.now
    private let state = Mutex(State())

    /// Runs `action` once after `duration`, in a task of nobody's, unless it is called off before. None waits for another.
    func schedule(after duration: Duration, _ action: @escaping @Sendable () -> Void) -> Ticket {
        let tick = Self.ticks(in: start.duration(to: .now)) + Self.ticks(in: duration) + 2
        let (ticket, wakes) = state.withLock { state -> (Ticket, Int64?) in
            state.nextID += 1
            state.ticks[tick, default: [:]][state.nextID] = action
            return (Ticket(tick: tick, id: state.nextID), Self.sleeper(for: tick, in: &state))
        }
        if let wakes { sleep(until: wakes) }
        return ticket
    }

    /// Calls a deadline off.
    ///
    /// - Returns: Whether it had not come yet.
    @discardableResult
    func cancel(_ ticket: Ticket) -> Bool {
        state.withLock { state in
            guard let isLast = state.ticks[ticket.tick].map({ $0.count == 1 }) else { return false }
            let wasThere = state.ticks[ticket.tick]?.removeValue(forKey: ticket.id) != nil
            if wasThere, isLast { state.ticks[ticket.tick] = nil }
            return wasThere
        }
    }

    /// How many deadlines are to come.
    var count: Int { state.withLock { $0.ticks.values.reduce(0) { $0 + $1.count } } }

    private static func ticks(in duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return min(seconds, longest) * ticksPerSecond + attoseconds / attosecondsPerTick
    }

    /// The time for which a further task has to sleep. `nil` when one wakes up early enough.
    private static func sleeper(for tick: Int64, in state: inout State) -> Int64? {
        if let first = state.sleepers.min(), first <= tick { return nil }
        state.sleepers.insert(tick)
        return tick
    }

    private func sleep(until tick: Int64) {
        let (seconds, rest) = tick.quotientAndRemainder(dividingBy: Self.ticksPerSecond)
        let offset = Duration(secondsComponent: seconds, attosecondsComponent: rest * Self.attosecondsPerTick)
        let instant = start + offset
        // It belongs to no caller: it serves deadlines of others too.
        Task.detached { [self] in
            // Nobody cancels it; and to look too early does no harm.
            try? await ContinuousClock().sleep(until: instant)
            wake(at: tick)
        }
    }

    private func wake(at tick: Int64) {
        let (due, wakes) = state.withLock { state -> ([@Sendable () -> Void], Int64?) in
            state.sleepers.remove(tick)
            var due: [@Sendable () -> Void] = []
            for past in state.ticks.keys.filter({ $0 <= tick }).sorted() {
                due += state.ticks.removeValue(forKey: past).map { Array($0.values) } ?? []
            }
            return (due, state.ticks.keys.min().flatMap { Self.sleeper(for: $0, in: &state) })
        }
        if let wakes { sleep(until: wakes) }
        guard due.count > 1 else {
            due.first?()
            return
        }
        // One that is slow holds none of the others up.
        for action in due { Task.detached { action() } }
    }
}
