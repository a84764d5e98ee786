import QuicCore
import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(1))) struct AsyncQueueTests {
    let timers = FakeTimers()

    @Test func elementsComeInOrderAndAFullQueueRefuses() async throws {
        let queue = AsyncQueue<Int>(capacity: 2)
        #expect(queue.offer(1))
        #expect(queue.offer(2))
        #expect(!queue.offer(3))
        #expect(queue.count == 2)
        #expect(try await queue.next() == 1)
        #expect(queue.offer(4))
        #expect(try await queue.next() == 2)
        #expect(try await queue.next() == 4)
    }

    @Test func aWaiterIsServedDirectly() async throws {
        let queue = AsyncQueue<Int>(capacity: 1, scheduleTimeout: timers.schedule)
        async let first = queue.next(timeout: .seconds(1))
        await timers.armed(1)
        async let second = queue.next(timeout: .seconds(1))
        await timers.armed(2)
        #expect(queue.offer(1))
        #expect(queue.offer(2))
        #expect(queue.offer(3))
        #expect(try await first == 1)
        #expect(try await second == 2)
        #expect(queue.count == 1)
        #expect(timers.pending == 0)
    }

    @Test func aCancelledWaiterTakesNothing() async throws {
        let queue = AsyncQueue<Int>(capacity: 1, scheduleTimeout: timers.schedule)
        let task = Task { try await queue.next(timeout: .seconds(1)) }
        await timers.armed(1)
        task.cancel()
        #expect(await code { _ = try await task.value } == .cancelled)
        #expect(queue.offer(1))
        #expect(try await queue.next() == 1)
    }

    @Test func aDeadlineEndsTheWait() async throws {
        let queue = AsyncQueue<Int>(capacity: 1, scheduleTimeout: timers.schedule)
        async let failed = code { _ = try await queue.next(timeout: .seconds(1)) }
        await timers.armed(1)
        timers.fireAll()
        #expect(await failed == .timeout)
    }

    @Test func closeFailsWaitersAndReturnsWhatIsLeft() async throws {
        let queue = AsyncQueue<Int>(capacity: 3, scheduleTimeout: timers.schedule)
        async let failed = code { _ = try await queue.next(timeout: .seconds(1)) }
        await timers.armed(1)
        #expect(queue.close(QuicError(.listen, "")) == [])
        #expect(await failed == .listen)
        #expect(!queue.offer(1))
        #expect(queue.close(QuicError(.timeout, "")) == [])
        #expect(await code { _ = try await queue.next() } == .listen)
        let other = AsyncQueue<Int>(capacity: 3)
        _ = other.offer(1)
        _ = other.offer(2)
        #expect(other.close(QuicError(.listen, "")) == [1, 2])
        #expect(await code { _ = try await other.next() } == .listen)
    }

    @Test func everyElementReachesExactlyOneOfManyTakers() async throws {
        let queue = AsyncQueue<Int>(capacity: 1000)
        let taken = Shared<[Int]>([])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    while let element = try? await queue.next() {
                        let count = taken.withLock { taken in
                            taken.append(element)
                            return taken.count
                        }
                        if count == 800 { queue.close(QuicError(.listen, "")) }
                    }
                }
            }
            for producer in 0..<8 {
                group.addTask { for index in 0..<100 { #expect(queue.offer(producer * 100 + index)) } }
            }
        }
        #expect(taken.withLock { $0.sorted() } == Array(0..<800))
    }
}
