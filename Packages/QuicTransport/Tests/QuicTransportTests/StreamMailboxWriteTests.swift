import QuicCore
import Testing

@testable import QuicTransport

@Suite struct StreamMailboxWriteTests {
    let bench = MailboxBench()
    var mailbox: StreamMailbox { bench.mailbox }

    private func bytes(_ count: Int, _ value: UInt8 = 1) -> [UInt8] { [UInt8](repeating: value, count: count) }

    @Test func onlyTheFirstWriteWakesTheLoop() async throws {
        try await mailbox.write([1, 2])
        try await mailbox.write([])
        try await mailbox.write([3])
        #expect(bench.wakes == 1)
        let taken = bench.take()
        #expect(taken.bytes == [1, 2, 3])
        #expect(taken.orders == StreamOrders())
        try await mailbox.write([4])
        #expect(bench.wakes == 2)
        #expect(bench.take().bytes == [4])
    }

    @Test func aWriteAboveTheHighWaterMarkWaitsForTheLowOne() async throws {
        async let written: Void = mailbox.write(bytes(1500), timeout: .seconds(1))
        await bench.timers.armed(1)
        #expect(bench.take().bytes.count == 1000)
        mailbox.freed(bytes: 599)
        #expect(bench.take().bytes.isEmpty)
        mailbox.freed(bytes: 1)
        try await written
        #expect(bench.take().bytes.count == 500)
        #expect(mailbox.statistics.bytesUnacknowledged == 900)
        #expect(bench.timers.pending == 0)
    }

    @Test func aWriteThatJustFitsReturns() async throws {
        try await mailbox.write(bytes(1000))
        async let next: Void = mailbox.write([1], timeout: .seconds(1))
        await bench.timers.armed(1)
        _ = bench.take()
        mailbox.freed(bytes: 1000)
        try await next
    }

    @Test func writersTakeTurnsInOrder() async throws {
        async let first: Void = mailbox.write(bytes(1200, 1), timeout: .seconds(1))
        await bench.timers.armed(1)
        async let second: Void = mailbox.write(bytes(100, 2), timeout: .seconds(1))
        await bench.timers.armed(2)
        async let third: Void = mailbox.write(bytes(100, 3), timeout: .seconds(1))
        await bench.timers.armed(3)
        async let closed: Void = mailbox.closeWrite(timeout: .seconds(1))
        await bench.timers.armed(4)
        var all = bench.take().bytes
        mailbox.freed(bytes: 1000)
        _ = try await (first, second, third, closed)
        let (rest, orders) = bench.take()
        all += rest
        #expect(all == bytes(1200, 1) + bytes(100, 2) + bytes(100, 3))
        #expect(orders.isEnd)
    }

    @Test func aCancelledWriterPassesItsTurnOn() async throws {
        let first = Task { try await mailbox.write(bytes(1200, 1), timeout: .seconds(1)) }
        await bench.timers.armed(1)
        async let second: Void = mailbox.write(bytes(100, 2), timeout: .seconds(1))
        await bench.timers.armed(2)
        first.cancel()
        #expect(await code { try await first.value } == .cancelled)
        #expect(bench.take().bytes == bytes(1000, 1))
        mailbox.freed(bytes: 1000)
        try await second
        #expect(bench.take().bytes == bytes(100, 2))
    }

    @Test func aTimeoutOfAWriterLeavesTheStreamUsable() async throws {
        async let first = code { try await mailbox.write(bytes(1200, 1), timeout: .seconds(1)) }
        await bench.timers.armed(1)
        bench.timers.fireAll()
        #expect(await first == .streamTimeout)
        _ = bench.take()
        mailbox.freed(bytes: 1000)
        try await mailbox.write([9])
        #expect(bench.take().bytes == [9])
    }

    @Test func theEndComesOnceAndBehindTheBytes() async throws {
        try await mailbox.write([1])
        try await mailbox.closeWrite()
        try await mailbox.closeWrite()
        #expect(await code { try await mailbox.write([2]) } == .streamClosed)
        #expect(await code { try await mailbox.write([]) } == .streamClosed)
        let (bytes, orders) = bench.take()
        #expect(bytes == [1])
        #expect(orders.isEnd)
        #expect(!bench.take().orders.isEnd)
        try await mailbox.closeWrite()
        #expect(!bench.take().orders.isEnd)
        #expect(bench.wakes == 1)
    }

    @Test func theEndAloneWakesTheLoop() async throws {
        try await mailbox.closeWrite()
        #expect(bench.wakes == 1)
        #expect(bench.take().orders == StreamOrders(isEnd: true))
    }

    @Test func aStoppedPeerFailsWritesAndLeavesReadsOpen() async throws {
        async let waiting = code { try await mailbox.write(bytes(1200), timeout: .seconds(1)) }
        await bench.timers.armed(1)
        mailbox.peerStopped(code: 3)
        #expect(await waiting == .streamReset)
        let error = await #expect(throws: QuicError.self) { try await mailbox.write([1]) }
        #expect(error?.quicCode == 3)
        #expect(error?.isByPeer == true)
        #expect(bench.take().bytes.isEmpty)
        try await mailbox.closeWrite()
        #expect(bench.take().orders == StreamOrders())
        mailbox.deliver([1], fin: true)
        #expect(try await mailbox.read(upTo: 1) == [1])
        #expect(try await mailbox.read(upTo: 1) == nil)
    }

    @Test func resetBreaksBothHalvesOnce() async throws {
        mailbox.deliver([1, 2], fin: false)
        try await mailbox.write([1])
        mailbox.reset(code: 9)
        mailbox.reset(code: 10)
        let (bytes, orders) = bench.take()
        #expect(bytes.isEmpty)
        #expect(orders == StreamOrders(credit: 2, reset: 9, stop: 9))
        for _ in 0..<2 {
            let error = await #expect(throws: QuicError.self) { _ = try await mailbox.read(upTo: 1) }
            #expect(error?.code == .streamReset)
            #expect(error?.quicCode == 9)
            #expect(error?.isByPeer == false)
            #expect(await code { try await mailbox.write([1]) } == .streamReset)
        }
        try await mailbox.closeWrite()
        mailbox.closeRead()
        mailbox.reset(code: 11)
        #expect(bench.take().orders == StreamOrders())
    }

    @Test func resetOfAStreamThatIsOverDoesNothing() async throws {
        mailbox.deliver([], fin: true)
        try await mailbox.write([1])
        try await mailbox.closeWrite()
        _ = bench.take()
        mailbox.freed(bytes: 1)
        mailbox.reset(code: 9)
        #expect(bench.take().orders == StreamOrders())
    }

    @Test func resetBeforeTheEndIsAcknowledgedStillTellsThePeer() async throws {
        try await mailbox.write([1])
        try await mailbox.closeWrite()
        _ = bench.take()
        mailbox.reset(code: 9)
        #expect(bench.take().orders == StreamOrders(reset: 9, stop: 9))
    }

    @Test func aLostConnectionFailsEveryWaiter() async throws {
        async let first = code { try await mailbox.write(bytes(1200, 1), timeout: .seconds(1)) }
        await bench.timers.armed(1)
        async let second = code { try await mailbox.write(bytes(1, 2), timeout: .seconds(1)) }
        await bench.timers.armed(2)
        async let closing = code { try await mailbox.closeWrite(timeout: .seconds(1)) }
        await bench.timers.armed(3)
        async let reading = code { _ = try await mailbox.read(upTo: 1, timeout: .seconds(1)) }
        await bench.timers.armed(4)
        mailbox.connectionFailed(QuicError(.timeout, "idle"))
        #expect(await first == .timeout)
        #expect(await second == .timeout)
        #expect(await closing == .timeout)
        #expect(await reading == .timeout)
        #expect(await code { try await mailbox.write([1]) } == .timeout)
    }

    @Test func aLargeArrayIsSentFromWhereItIsAndWhatItsOwnerChangesIsNotSeen() async throws {
        let mailbox = StreamMailbox(
            limits: .init(window: 1000, highWater: 1 << 20, lowWater: 1 << 19),
            memory: .unlimited(),
            scheduleTimeout: bench.timers.schedule,
            wakeLoop: { _ in }
        )
        let before = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 / 3) }
        var data = before.map { $0 }
        let place = data.withUnsafeBytes { $0.baseAddress }
        try await mailbox.write([1])
        try await mailbox.write(data)
        try await mailbox.write([2])
        data[0] &+= 1
        data.append(5)
        var segments: [OutboundSegment] = []
        _ = mailbox.takeOutbound(into: &segments)
        #expect(
            segments.flatMap { Array(UnsafeRawBufferPointer(start: $0.base, count: $0.count)) } == [1] + before + [2]
        )
        #expect(segments.map(\.count) == [1, before.count, 1])
        #expect(segments[1].base == place)
    }

    @Test func aLargeArrayThatDoesNotFitGoesInParts() async throws {
        let mailbox = StreamMailbox(
            limits: .init(window: 1000, highWater: 40_000, lowWater: 10_000),
            memory: .unlimited(),
            scheduleTimeout: bench.timers.schedule,
            wakeLoop: { _ in }
        )
        let data = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 / 3) }
        async let writing: Void = mailbox.write(data)
        var sent: [UInt8] = []
        while sent.count < data.count {
            var segments: [OutboundSegment] = []
            _ = mailbox.takeOutbound(into: &segments)
            for segment in segments { sent += UnsafeRawBufferPointer(start: segment.base, count: segment.count) }
            mailbox.freed(bytes: segments.reduce(0) { $0 + $1.count })
            await Task.yield()
        }
        try await writing
        #expect(sent == data)
    }

    @Test func writesUseChunksOfThePoolAndGiveThemBack() async throws {
        let pool = SendChunkPool(limit: 2)
        let mailbox = StreamMailbox(
            limits: .init(window: 1000, highWater: 1 << 20, lowWater: 1 << 19),
            memory: .unlimited(pool),
            scheduleTimeout: bench.timers.schedule,
            wakeLoop: { _ in }
        )
        let data = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 / 3) }
        try await mailbox.write(Array(data[..<100]))
        for start in stride(from: 100, to: data.count, by: 10_000) {
            try await mailbox.write(Array(data[start..<min(start + 10_000, data.count)]))
        }
        var segments: [OutboundSegment] = []
        _ = mailbox.takeOutbound(into: &segments)
        #expect(segments.flatMap { Array(UnsafeRawBufferPointer(start: $0.base, count: $0.count)) } == data)
        #expect(segments.count <= 12)
        segments = []
        mailbox.freed(bytes: data.count)
        #expect(pool.freeCount == 2)
    }
}
