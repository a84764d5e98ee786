import Synchronization
import Testing

@testable import NetStream

@Suite(.timeLimit(.minutes(1))) struct DeadlineTimersTests {
    @Test func everyDeadlineComesAndNoneEarly() async {
        let timers = DeadlineTimers()
        let start = ContinuousClock.now
        let (came, sink) = AsyncStream<Int>.makeStream()
        // The last one first, so that each needs an earlier wake than those before.
        let far = timers.schedule(after: .seconds(100_000)) { Issue.record("it came") }
        for milliseconds in [90, 60, 30] {
            _ = timers.schedule(after: .milliseconds(milliseconds)) {
                #expect(start.duration(to: .now) >= .milliseconds(milliseconds))
                sink.yield(milliseconds)
            }
        }
        var arrived: Set<Int> = []
        for await milliseconds in came {
            arrived.insert(milliseconds)
            if arrived.count == 3 { break }
        }
        #expect(timers.count == 1)
        #expect(timers.cancel(far))
        #expect(timers.count == 0)
    }

    @Test func aDeadlineThatIsCalledOffLeavesNothing() async {
        let timers = DeadlineTimers()
        let came = Atomic(0)
        let tickets = (0..<1000).map { number in
            timers.schedule(after: .milliseconds(number % 3)) { came.add(1, ordering: .relaxed) }
        }
        let calledOff = tickets.count { timers.cancel($0) }
        #expect(tickets.allSatisfy { !timers.cancel($0) })
        // One behind all of them.
        let (last, ending) = AsyncStream<Never>.makeStream()
        _ = timers.schedule(after: .milliseconds(50)) { ending.finish() }
        for await _ in last {}
        // It does not wait for those before it to be through.
        while came.load(ordering: .relaxed) < 1000 - calledOff { await Task.yield() }
        #expect(came.load(ordering: .relaxed) == 1000 - calledOff)
        #expect(timers.count == 0)
    }

    @Test func eachActionHasATaskOfItsOwn() async {
        let timers = DeadlineTimers()
        let (came, sink) = AsyncStream<Bool>.makeStream()
        for _ in 0..<100 {
            _ = timers.schedule(after: .zero) {
                sink.yield(Task.isCancelled)
                // Whoever came later in the same task would see this.
                withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        var arrived = 0
        for await isOfAnother in came {
            #expect(!isOfAnother)
            arrived += 1
            if arrived == 100 { break }
        }
    }

    @Test func timesWithoutEndAndBelowZeroAreTaken() async {
        let timers = DeadlineTimers()
        let never = timers.schedule(after: .seconds(Int64.max)) { Issue.record("it came") }
        let (past, ending) = AsyncStream<Never>.makeStream()
        _ = timers.schedule(after: .seconds(-5)) { ending.finish() }
        for await _ in past {}
        #expect(timers.cancel(never))
    }
}
