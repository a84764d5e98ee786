import QuicCore
import Synchronization

@testable import QuicTransport

/// Timers that fire when the test says so. That a timer was armed also tells that an operation has begun to wait.
final class FakeTimers: Sendable {
    private struct State {
        var timers: [Int: @Sendable () -> Void] = [:]
        var armed = 0
        var cancelled = 0
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())

    var schedule: ScheduleTimeout {
        { [self] _, fire in
            let (id, ready) = state.withLock { state -> (Int, [CheckedContinuation<Void, Never>]) in
                state.armed += 1
                state.timers[state.armed] = fire
                let ready = state.waiters.filter { $0.count <= state.armed }.map(\.continuation)
                state.waiters.removeAll { $0.count <= state.armed }
                return (state.armed, ready)
            }
            for waiter in ready { waiter.resume() }
            return StreamTimer { [self] in
                state.withLock { state in
                    state.timers[id] = nil
                    state.cancelled += 1
                }
            }
        }
    }

    /// Waits until so many timers have been armed in all.
    func armed(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                if state.armed >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if ready { continuation.resume() }
        }
    }

    func fireAll() {
        let timers = state.withLock { state in
            defer { state.timers = [:] }
            return Array(state.timers.values)
        }
        for timer in timers { timer() }
    }

    var pending: Int { state.withLock { $0.timers.count } }
}

/// A mailbox with what a loop would know of it.
final class MailboxBench: Sendable {
    let timers = FakeTimers()
    let mailbox: StreamMailbox
    private let wakeCount: WakeCount
    /// What the mailbox takes for the time, in nanoseconds.
    let time: Shared<UInt64>

    final class WakeCount: Sendable {
        let value = Atomic<Int>(0)
    }

    init(window: Int = 1000, highWater: Int = 1000, lowWater: Int = 400, memory: SendMemory = .unlimited()) {
        let count = WakeCount()
        wakeCount = count
        let time = Shared<UInt64>(1)
        self.time = time
        mailbox = StreamMailbox(
            limits: .init(window: window, highWater: highWater, lowWater: lowWater),
            memory: memory,
            clock: { time.withLock { $0 } },
            scheduleTimeout: timers.schedule,
            wakeLoop: { _ in count.value.add(1, ordering: .relaxed) }
        )
    }

    var wakes: Int { wakeCount.value.load(ordering: .relaxed) }

    func take() -> (bytes: [UInt8], orders: StreamOrders) {
        var segments: [OutboundSegment] = []
        let orders = mailbox.takeOutbound(into: &segments)
        return (segments.flatMap { Array(UnsafeRawBufferPointer(start: $0.base, count: $0.count)) }, orders)
    }
}

func code(of body: () async throws -> Void) async -> QuicError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? QuicError)?.code
    }
}

/// A value that tasks share.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) {
        mutex = Mutex(value)
    }

    func withLock<Result: Sendable>(_ body: (inout sending Value) -> Result) -> Result {
        mutex.withLock { body(&$0) }
    }
}

extension StreamMailbox {
    /// Delivers one chunk as a read batch of its own.
    func deliver(_ chunk: [UInt8], fin: Bool) {
        var readers: InboundHalf<Reader>.Served = []
        deliver(chunk, fin: fin, to: &readers)
        for reader in readers { reader.waiter.resume(returning: reader.outcome) }
    }
}

extension SendMemory {
    static func unlimited(_ pool: SendChunkPool = SendChunkPool()) -> SendMemory {
        SendMemory(pool: pool, limit: .max, wakeLoop: {})
    }

    /// Says what a loop does when it is woken.
    func serveThoseInLine() {
        while let (waiter, bytes, ticket) = next() { waiter.memoryGranted(bytes, for: ticket) }
    }
}
