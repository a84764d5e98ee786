import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(1))) struct DeadlineQueueTests {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// Counts what fired, and tells when enough has.
    private final class Fired: Sendable {
        private struct State {
            var names: [Int] = []
            var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?
        }
        private let state = Mutex(State())

        var names: [Int] { state.withLock { $0.names } }

        func fire(_ name: Int) {
            let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
                state.names.append(name)
                guard let waiter = state.waiter, state.names.count >= waiter.count else { return nil }
                state.waiter = nil
                return waiter.continuation
            }
            waiter?.resume()
        }

        func wait(for count: Int) async {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    if state.names.count < count { state.waiter = (count, continuation) }
                    return state.names.count >= count
                }
                if isDone { continuation.resume() }
            }
        }
    }

    @Test func everyDeadlineFiresOnceOnTheLoop() async {
        let queue = DeadlineQueue(eventLoop: eventLoop)
        let fired = Fired()
        // Later ones first, so that the one timer has to be moved.
        for name in (0..<50).reversed() {
            _ = queue.schedule(after: .milliseconds(name * 2)) { [eventLoop] in
                #expect(eventLoop.inEventLoop)
                fired.fire(name)
            }
        }
        await fired.wait(for: 50)
        #expect(fired.names.sorted() == Array(0..<50))
        // Far apart they come in order; near each other one sweep may take them together.
        #expect((fired.names.firstIndex(of: 0) ?? 50) < (fired.names.firstIndex(of: 49) ?? 0))
    }

    @Test func aDeadlineThatIsCalledOffDoesNotFire() async {
        let queue = DeadlineQueue(eventLoop: eventLoop)
        let fired = Fired()
        let first = queue.schedule(after: .milliseconds(1)) { fired.fire(1) }
        let second = queue.schedule(after: .milliseconds(20)) { fired.fire(2) }
        _ = queue.schedule(after: .milliseconds(40)) { fired.fire(3) }
        first.cancel()
        second.cancel()
        second.cancel()
        await fired.wait(for: 1)
        #expect(fired.names == [3])
    }

    @Test func anActionMayArmTheNextDeadline() async {
        let queue = DeadlineQueue(eventLoop: eventLoop)
        let fired = Fired()
        _ = queue.schedule(after: .zero) {
            fired.fire(1)
            _ = queue.schedule(after: .milliseconds(1)) { fired.fire(2) }
        }
        await fired.wait(for: 2)
        #expect(fired.names == [1, 2])
    }
}
