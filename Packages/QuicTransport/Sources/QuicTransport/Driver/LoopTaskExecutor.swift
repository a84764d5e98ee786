import DequeModule
import NIOCore
import Synchronization

/// Runs tasks on an event loop: a task that waits for a stream of the loop is resumed without waking another thread, and
/// what it writes goes out without waking this one.
///
/// Jobs run in turns. What the jobs of a turn write, and what they owe the peer for what they read, goes out at its end, in as
/// few datagrams as hold it.
final class LoopTaskExecutor: TaskExecutor {
    private struct State {
        var jobs: Deque<UnownedJob> = []
        /// A turn is scheduled or going on.
        var isBusy = false
        /// Who sends at the end of a turn; `nil` before it is there, and once its socket is closed.
        var driver: NIOLoopBound<EndpointDriver>?
    }

    /// A turn ends after so many jobs, or so many nanoseconds: what was written goes out, and timers and what others have given
    /// the loop to do have their turn. Sockets are read only when no job is left: SwiftNIO looks at them when nothing waits to
    /// be run at once. A task that never waits for anything else than its own turn keeps the loop from them.
    private static let jobsPerTurn = 64
    private static let longestTurn: UInt64 = 100_000
    /// The jobs of a turn that begins when nothing was going on. A peer that waits for what they write, and for nothing else,
    /// has something to do the sooner, while the further jobs run.
    private static let jobsOfFirstTurn = 16

    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Says who sends at the end of a turn; `nil` to let go of it.
    func attach(_ driver: NIOLoopBound<EndpointDriver>?) {
        state.withLock { $0.driver = driver }
    }

    /// Whether a turn is going on or to come, at whose end what is to be sent is sent.
    var isBusy: Bool { state.withLock { $0.isBusy && $0.driver != nil } }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isFirst = state.withLock { state in
            state.jobs.append(job)
            defer { state.isBusy = true }
            return !state.isBusy
        }
        if isFirst { eventLoop.execute { self.takeTurn(of: Self.jobsOfFirstTurn) } }
    }

    private func takeTurn(of most: Int) {
        let start = NIODeadline.now().uptimeNanoseconds
        var count = 0
        while count < most, let job = state.withLock({ $0.jobs.popFirst() }) {
            job.runSynchronously(on: asUnownedTaskExecutor())
            count += 1
            if NIODeadline.now().uptimeNanoseconds - start >= Self.longestTurn { break }
        }
        let (isBusy, driver) = state.withLock { state in
            state.isBusy = !state.jobs.isEmpty
            return (state.isBusy, state.driver)
        }
        driver?.value.serviceTouched()
        if isBusy { eventLoop.execute { self.takeTurn(of: Self.jobsPerTurn) } }
    }
}
