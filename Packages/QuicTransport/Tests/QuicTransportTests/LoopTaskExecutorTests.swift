import NIOCore
import NIOPosix
import NetStream
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

/// Tasks on the event loop of a connection.
@Suite(.timeLimit(.minutes(1))) struct LoopTaskExecutorTests {
    private final class Order: Sendable {
        let numbers = Mutex<[Int]>([])
    }

    private func onLoop(_ body: @Sendable (LoopTaskExecutor, any EventLoop) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        do {
            try await body(LoopTaskExecutor(eventLoop), eventLoop)
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    @Test func moreJobsThanATurnHoldsRunInTheirOrder() async throws {
        try await onLoop { executor, eventLoop in
            let order = Order()
            var tasks: [Task<Void, Never>] = []
            for number in 0..<500 {
                let task = Task(executorPreference: executor) {
                    #expect(eventLoop.inEventLoop)
                    order.numbers.withLock { $0.append(number) }
                }
                tasks.append(task)
            }
            for task in tasks { await task.value }
            #expect(order.numbers.withLock { $0 } == Array(0..<500))
        }
    }

    @Test func tasksThatNeverWaitLeaveTimersTheirTurn() async throws {
        try await onLoop { executor, eventLoop in
            let isDue = Mutex(false)
            let spinning = Task(executorPreference: executor) {
                while !isDue.withLock({ $0 }) { await Task.yield() }
            }
            try await eventLoop.scheduleTask(in: .milliseconds(1)) { isDue.withLock { $0 = true } }.futureResult.get()
            await spinning.value
        }
    }

    @Test func withoutASocketNobodyIsToldToWaitForATurn() async throws {
        try await onLoop { executor, _ in
            // What is put off to the end of a turn would never be sent.
            await Task(executorPreference: executor) { #expect(!executor.isBusy) }.value
        }
    }

    @Test func whatATaskLeavesUnansweredIsAcknowledgedAtTheEndOfItsTurn() async throws {
        try await QuicPair.with { pair in
            // Those who read take less than has come, and answer nothing: only the turn's end sends the acknowledgement.
            let reading = Task {
                await withDiscardingTaskGroup { group in
                    while let stream = try? await pair.accepted.acceptQuicStream() {
                        group.addTask(executorPreference: pair.accepted.taskExecutor) {
                            for _ in 0..<2 { _ = try? await stream.read(upTo: 1) }
                            _ = await pair.accepted.waitUntilClosed()
                            withExtendedLifetime(stream) {}
                        }
                    }
                }
            }
            var streams: [QuicStream] = []
            for _ in 0..<50 {
                let stream = try await pair.dialed.openQuicStream()
                try await stream.write([1])
                streams.append(stream)
            }
            // Each of them waits for more.
            while true {
                let there = await pair.accepted.activeStreams()
                if there.count == 50, there.allSatisfy({ $0.statistics.bytesUnread == 0 }) { break }
                await Task.yield()
            }
            // Forgotten, it would be sent when this side asks for it, which takes another datagram; on a busy machine that may
            // happen now and then for all that.
            func sent() async throws -> UInt64 { try #require(await pair.dialed.statistics()).traffic.datagramsSent }
            var datagrams: [UInt64] = []
            for stream in streams {
                let before = try await sent()
                try await Task(executorPreference: pair.dialed.taskExecutor) {
                    try await stream.write([2, 3])
                    try await stream.closeWrite()
                }.value
                await pair.dialed.flush()
                datagrams.append(try await sent() - before)
            }
            #expect(datagrams.count { $0 == 1 } > datagrams.count / 2, "\(datagrams)")
            await pair.dialed.close(code: .none, reason: "")
            await reading.value
        }
    }

    // MARK: Without waiting

    @Test func aTaskOnTheLoopOpensWritesAndReadsWithoutWaiting() async throws {
        try await QuicPair.with { pair in
            let opening = Task(executorPreference: pair.dialed.taskExecutor) {
                let stream = try #require(try pair.dialed.openStreamAtOnce())
                #expect(stream.readAtOnce(upTo: 9) == nil)
                #expect(stream.writeAtOnce([1, 2, 3]))
                #expect(stream.writeAtOnce([4]))
                try await stream.closeWrite()
                return stream
            }
            let accepted = try await pair.accepted.acceptQuicStream()
            let near = try await opening.value
            var bytes: [UInt8] = []
            while let more = try await accepted.read() { bytes += more }
            #expect(bytes == [1, 2, 3, 4])
            try await accepted.write([7, 8])
            try await accepted.closeWrite()
            #expect(try await near.read(upTo: 1) == [7])
            #expect(near.readAtOnce(upTo: 9) == [8])
        }
    }

    @Test func whoIsElsewhereOrCancelledGetsNoStreamAtOnce() async throws {
        try await QuicPair.with { pair in
            #expect(try pair.dialed.openStreamAtOnce() == nil)
            try await Task(executorPreference: pair.dialed.taskExecutor) {
                withUnsafeCurrentTask { $0?.cancel() }
                let stream = try pair.dialed.openStreamAtOnce()
                #expect(stream == nil)
            }.value
            // Nothing was opened by it.
            let stream = try await pair.dialed.openQuicStream()
            #expect(stream.id == 0)
        }
    }

    @Test func onceTheConnectionIsOverNoStreamIsOpenedAtOnce() async throws {
        try await QuicPair.with { pair in
            await pair.dialed.close(code: .none, reason: "")
            _ = await pair.dialed.waitUntilClosed()
            await Task(executorPreference: pair.dialed.taskExecutor) {
                _ = #expect(throws: QuicError.self) { try pair.dialed.openStreamAtOnce() }
            }.value
        }
    }

    @Test func whoeverWaitsForCreditIsNotOvertakenByATaskOnTheLoop() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.streams.initialInboundCredit = 1
        configuration.streams.maxInbound = 1
        try await QuicPair.with(server: configuration) { pair in
            let first = try await pair.dialed.openQuicStream()
            try await first.write([1])
            let far = try await pair.accepted.acceptQuicStream()
            let waiting = Task { try await pair.dialed.openQuicStream() }
            while try await pair.dialed.waitingForStreams == 0 { await Task.yield() }
            try await Task(executorPreference: pair.dialed.taskExecutor) {
                let stream = try pair.dialed.openStreamAtOnce()
                #expect(stream == nil)
            }.value
            first.reset(code: .none)
            far.reset(code: .none)
            let second = try await waiting.value
            #expect(second.id == 4)
        }
    }

    @Test func aWriteThatCannotBeDoneAtOnceLeavesNothingBehind() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.streams.sendBufferHighWatermark = 1024
        try await QuicPair.with(client: configuration) { pair in
            let stream = try await pair.dialed.openQuicStream()
            #expect(!stream.writeAtOnce([UInt8](repeating: 1, count: 4096)))
            #expect(stream.writeAtOnce([2]))
            try await stream.closeWrite()
            let accepted = try await pair.accepted.acceptQuicStream()
            var bytes: [UInt8] = []
            while let more = try await accepted.read() { bytes += more }
            #expect(bytes == [2])
        }
    }
}

extension QuicConnection {
    /// How many tasks wait for credit to open a stream.
    fileprivate var waitingForStreams: Int {
        get async throws {
            let driver = driver
            return try await eventLoop.submit { driver.value.openWaiters.count }.get()
        }
    }
}
