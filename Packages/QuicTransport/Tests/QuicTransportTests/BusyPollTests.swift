import NIOCore
import NIOPosix
import NetStreamTesting
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

/// Counts the tasks of an event loop.
private final class TaskCounter: NIOEventLoopMetricsDelegate {
    private let tasks = Atomic(0)

    var count: Int { tasks.load(ordering: .relaxed) }

    func processedTick(info: NIOEventLoopTickInfo) { tasks.add(info.numberOfTasks, ordering: .relaxed) }
}

private let loopback4 = NetworkAddress.ip4(127, 0, 0, 1, port: 0)

@Suite(.timeLimit(.minutes(1))) struct BusyPollTests {
    private static func at(_ microseconds: UInt64) -> NIODeadline { .uptimeNanoseconds(microseconds * 1000) }

    // MARK: the state

    @Test func withoutAWindowNothingIsPolled() {
        #expect(BusyPoll(window: .zero) == nil)
    }

    @Test func eachDatagramMovesTheEnd() throws {
        var poll = try #require(BusyPoll(window: .microseconds(50)))
        let starts = [poll.extend(now: Self.at(1000)), poll.extend(now: Self.at(1049))]
        #expect(starts == [true, false], "the first has to start it, for the second it is under way")
        let goesOn = [poll.goesOn(now: Self.at(1098)), poll.goesOn(now: Self.at(1099))]
        #expect(goesOn == [true, false])
    }

    @Test func whatHasEndedStartsAgain() throws {
        var poll = try #require(BusyPoll(window: .microseconds(50)))
        let before = poll.goesOn(now: Self.at(100))
        #expect(!before, "nothing has come yet")
        poll.loopHasSelected(now: Self.at(1000))
        let first = (start: poll.extend(now: Self.at(1000)), goesOn: poll.goesOn(now: Self.at(1050)))
        #expect(first == (true, false))
        let second = (start: poll.extend(now: Self.at(1100)), goesOn: poll.goesOn(now: Self.at(1101)))
        #expect(second == (true, true))
    }

    /// The loop has other sockets too, and sees to them only when none is polled.
    @Test(arguments: [(50, 250), (1000, 1000)])
    func itEndsThoughDatagramsKeepComing(window: Int, most: UInt64) throws {
        var poll = try #require(BusyPoll(window: .microseconds(window)))
        poll.loopHasSelected(now: Self.at(10_000))
        let start = poll.extend(now: Self.at(10_000))
        #expect(start)
        for time in 10_000..<10_000 + most {
            let extended = poll.extend(now: Self.at(time))
            let goesOn = poll.goesOn(now: Self.at(time))
            #expect(!extended && goesOn)
        }
        let end = 10_000 + most
        let goesOn = poll.goesOn(now: Self.at(end))
        #expect(!goesOn)
        let sent = [poll.extend(now: Self.at(end)), poll.extend(now: Self.at(end + 2 * most - 1))]
        #expect(sent == [false, false], "what is sent does not show that the loop has seen to the others")
        poll.loopHasSelected(now: Self.at(end + 2 * most - 1))
        let again = poll.extend(now: Self.at(end + 2 * most - 1))
        #expect(again)
    }

    @Test func whatIsSentAfterARestStartsIt() throws {
        var poll = try #require(BusyPoll(window: .microseconds(50)))
        let first = (start: poll.extend(now: Self.at(10_000)), goesOn: poll.goesOn(now: Self.at(10_050)))
        #expect(first == (true, false))
        let soon = poll.extend(now: Self.at(10_300))
        #expect(!soon, "too long after the loop has seen to its sockets, too soon for it to have done so again")
        let later = poll.extend(now: Self.at(10_550))
        #expect(later)
    }

    @Test func theOptionReachesTheSocket() {
        var settings = QuicConfiguration.UDP()
        settings.busyPoll = .microseconds(70)
        #expect(UDPSocketOptions(settings).busyPoll == .microseconds(70))
    }

    // MARK: the loop

    /// The most tasks that a loop ran within ten milliseconds of a datagram's coming, of some datagrams, until more than
    /// `enough`.
    ///
    /// Of several, because whoever polls gives way to others: on a busy machine the window may be over after the first look.
    private func tasks(busyPoll: Duration, enough: Int) async throws -> Int {
        let counter = TaskCounter()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1, metricsDelegate: counter)
        let other = try await TestEndpoint(loopback4)
        var options = UDPSocketOptions()
        options.busyPoll = busyPoll
        let endpoint = try await TestEndpoint(loopback4, options: options, on: group.next())
        func count(in time: TimeAmount) async throws -> Int {
            try await group.next().scheduleTask(in: time) { counter.count }.futureResult.get()
        }
        var (most, before) = (0, counter.count)
        for _ in 0..<50 where most <= enough {
            #expect(try await other.send([1, 2, 3], to: endpoint.address) == .sent)
            #expect(await endpoint.handler.take(bytes: 3).flatMap(\.bytes) == [1, 2, 3])
            let after = try await count(in: .milliseconds(10))
            (most, before) = (max(most, after - before), after)
        }
        try await endpoint.close()
        try await other.close()
        try await group.shutdownGracefully()
        return most
    }

    @Test func theLoopStaysAwakeOnlyWhereItIsAskedTo() async throws {
        let polled = try await tasks(busyPoll: .milliseconds(1), enough: 6)
        #expect(polled > 6, "each look is a task")
        let asleep = try await tasks(busyPoll: .zero, enough: 0)
        #expect(asleep <= 4)
    }

    /// SwiftNIO looks after its sockets only when no task is left: one whose traffic never ends must not keep it from that.
    @Test func anotherSocketOfTheLoopIsServedThoughOneIsAlwaysBusy() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var options = UDPSocketOptions()
        options.busyPoll = .milliseconds(1)
        let busy = try await TestEndpoint(loopback4, options: options, on: group.next())
        let other = try await TestEndpoint(loopback4, on: group.next())
        let sender = try await TestEndpoint(loopback4)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                while !Task.isCancelled { _ = try await sender.send([1], to: busy.address) }
            }
            _ = await busy.handler.take(bytes: 100)
            for number in 0..<20 {
                #expect(try await sender.send([UInt8(number)], to: other.address) == .sent)
                #expect(await other.handler.take(bytes: 1).flatMap(\.bytes) == [UInt8(number)])
            }
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
        for endpoint in [busy, other, sender] { try await endpoint.close() }
        try await group.shutdownGracefully()
    }

    @Test func tasksAndTimersOfTheLoopHaveTheirTurnsMeanwhile() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var options = UDPSocketOptions()
        options.busyPoll = .milliseconds(1)
        let a = try await TestEndpoint(loopback4, options: options, on: group.next())
        let b = try await TestEndpoint(loopback4, options: options, on: group.next())
        for number in 0..<50 {
            let message = [UInt8](repeating: UInt8(number), count: 100)
            // The task that sends comes from elsewhere, to a loop that is awake for both sockets.
            #expect(try await a.send(message, to: b.address) == .sent)
            #expect(await b.handler.take(bytes: 100).flatMap(\.bytes) == message)
            try await group.next().scheduleTask(in: .microseconds(200)) {}.futureResult.get()
        }
        try await a.close()
        try await b.close()
        try await group.shutdownGracefully()
    }

    @Test func aConnectionWorksWithPollingLoops() async throws {
        var awake = QuicConfiguration.defaults
        awake.udp.busyPoll = .microseconds(200)
        try await QuicPair.with(server: awake, client: awake) { pair in
            let message = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 / 7) }
            let stream = try await pair.dialed.openQuicStream()
            async let written: Void = {
                try await stream.write(message)
                try await stream.closeWrite()
            }()
            let accepted = try await pair.accepted.acceptQuicStream()
            var received: [UInt8] = []
            while let chunk = try await accepted.read() { received += chunk }
            try await written
            #expect(received == message)
        }
    }
}
