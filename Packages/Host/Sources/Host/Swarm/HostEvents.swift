import Metrics
import Synchronization

/// The events of a host from the moment they were asked for.
///
/// A reader that is too slow loses the oldest of the unread events beyond its buffer; ``dropped`` says how many. Ends when
/// the host is closed.
public struct HostEvents: AsyncSequence, Sendable {
    /// What one step yields.
    public typealias Element = HostEvent

    let stream: AsyncStream<HostEvent>
    let losses: EventLosses

    /// Events that were lost because nobody read them in time.
    public var dropped: Int { losses.count.load(ordering: .relaxed) }

    /// Starts to iterate.
    public func makeAsyncIterator() -> AsyncStream<HostEvent>.AsyncIterator { stream.makeAsyncIterator() }
}

/// How many events one reader lost.
final class EventLosses: Sendable {
    let count = Atomic(0)
}

/// A function that is told each event; see ``BasicHost/notify(_:)``.
public final class HostNotifiee: Sendable {
    private let onCancel: @Sendable () -> Void

    init(onCancel: @escaping @Sendable () -> Void) {
        self.onCancel = onCancel
    }

    /// Tells the function no more events, except for one that is being told just now. Idempotent.
    public func cancel() { onCancel() }
}

/// Hands events to everybody who asked for them.
final class EventHub: Sendable {
    private struct Subscriber: Sendable {
        var continuation: AsyncStream<HostEvent>.Continuation
        var losses: EventLosses
    }

    private struct State {
        var isFinished = false
        var nextID: UInt64 = 0
        var subscribers: [UInt64: Subscriber] = [:]
        var notifiees: [UInt64: @Sendable (HostEvent) -> Void] = [:]
    }

    private let state = Mutex(State())
    private let dropped: Counter?

    /// - Parameter dropped: Counts what readers lose.
    init(dropped: Counter? = nil) {
        self.dropped = dropped
    }

    func subscribe(buffering limit: Int) -> HostEvents {
        let (stream, continuation) = AsyncStream<HostEvent>.makeStream(bufferingPolicy: .bufferingNewest(max(1, limit)))
        let losses = EventLosses()
        let id: UInt64? = state.withLock { state in
            guard !state.isFinished else { return nil }
            state.nextID += 1
            state.subscribers[state.nextID] = Subscriber(continuation: continuation, losses: losses)
            return state.nextID
        }
        if let id {
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { $0.subscribers[id] = nil }
            }
        } else {
            continuation.finish()
        }
        return HostEvents(stream: stream, losses: losses)
    }

    func add(_ notifiee: @escaping @Sendable (HostEvent) -> Void) -> HostNotifiee {
        let id: UInt64? = state.withLock { state in
            guard !state.isFinished else { return nil }
            state.nextID += 1
            state.notifiees[state.nextID] = notifiee
            return state.nextID
        }
        return HostNotifiee { [weak self] in
            guard let id else { return }
            self?.state.withLock { $0.notifiees[id] = nil }
        }
    }

    func emit(_ event: HostEvent) {
        let (subscribers, notifiees) = state.withLock { state in
            (Array(state.subscribers.values), Array(state.notifiees.values))
        }
        for subscriber in subscribers {
            guard case .dropped = subscriber.continuation.yield(event) else { continue }
            subscriber.losses.count.add(1, ordering: .relaxed)
            dropped?.increment()
        }
        for notifiee in notifiees { notifiee(event) }
    }

    func finish() {
        let subscribers = state.withLock { state in
            state.isFinished = true
            defer {
                state.subscribers = [:]
                state.notifiees = [:]
            }
            return Array(state.subscribers.values)
        }
        for subscriber in subscribers { subscriber.continuation.finish() }
    }
}
