import NetStream
import QuicCore
import Testing

@testable import QuicTransport

/// The limit on what all streams of a connection have written and the peer has not acknowledged.
@Suite(.timeLimit(.minutes(1))) struct SendMemoryTests {
    private typealias Written = (stream: QuicStream, code: QuicError.Code?)
    private static let small = SendChunkPool.smallChunkSize
    private static let large = SendChunkPool.chunkSize

    private static func memory(_ limit: Int) -> SendMemory {
        SendMemory(pool: SendChunkPool(), limit: limit, wakeLoop: {})
    }

    private static func filled(_ count: Int, _ value: UInt8 = 1) -> [UInt8] { [UInt8](repeating: value, count: count) }

    @Test func chunksAreChargedUntilNobodyNeedsTheirBytes() {
        let memory = Self.memory(Self.large)
        #expect(memory.reserve(Self.large))
        var chunk: SendChunk? = memory.chunk(Self.large)
        #expect(memory.used == Self.large && !memory.reserve(1))
        // What is on its way keeps its memory, whatever became of the stream.
        var segment = chunk.map { OutboundSegment(chunk: $0, offset: 0, count: 1) }
        chunk = nil
        #expect(segment != nil && memory.used == Self.large)
        segment = nil
        #expect(memory.used == 0)
        #expect(memory.reserve(1))
    }

    @Test(arguments: [(1, 4096), (4096, 4096), (4097, 8192), (8193, 16384), (32_769, 65_536), (1 << 20, 65_536)])
    func aChunkIsAsLargeAsWhatItIsFor(count: Int, capacity: Int) {
        #expect(SendChunkPool.capacity(for: count) == capacity)
    }

    @Test func fiveThousandStreamsWithFiveKilobytesEachFitIntoTheDefault() {
        let memory = Self.memory(QuicConfiguration.manyStreams.streams.maxSendBufferOfConnection)
        let benches = (0..<5000).map { _ in MailboxBench(highWater: 128 << 10, memory: memory) }
        let bytes = Self.filled(5000)
        #expect(benches.allSatisfy { $0.mailbox.writeAtOnce(bytes) })
    }

    @Test func oneChunkIsGivenHoweverSmallTheLimit() {
        let memory = Self.memory(1)
        #expect(memory.reserve(Self.large))
        #expect(!memory.reserve(1))
    }

    @Test func anArrayThatIsKeptIsChargedWhatIsSentOfIt() async throws {
        let memory = Self.memory(10 * Self.large)
        let bench = MailboxBench(highWater: 100_000, lowWater: 50_000, memory: memory)
        async let written: Void = bench.mailbox.write(Self.filled(130_000), timeout: .seconds(1))
        await bench.timers.armed(1)
        #expect(memory.used == 100_000)
        #expect(bench.take().bytes.count == 100_000)
        #expect(memory.used == 0)
        bench.mailbox.freed(bytes: 100_000)
        try await written
        #expect(memory.used == 30_000)
    }

    @Test func aWriterWaitsForWhatAnotherStreamHolds() async throws {
        let memory = Self.memory(Self.large)
        let (greedy, other) = (
            MailboxBench(highWater: 1 << 20, memory: memory), MailboxBench(highWater: 1 << 20, memory: memory)
        )
        try await greedy.mailbox.write(Self.filled(Self.large))
        async let written: Void = other.mailbox.write(Self.filled(10_000, 2), timeout: .seconds(1))
        await other.timers.armed(1)
        #expect(memory.next() == nil)
        #expect(greedy.take().bytes.count == Self.large)
        greedy.mailbox.freed(bytes: Self.large)
        let next = try #require(memory.next())
        // It has its first chunk already.
        #expect(next.waiter === other.mailbox && next.bytes == 8 << 10)
        #expect(memory.next() == nil, "it stands in line once")
        next.waiter.memoryGranted(next.bytes, for: next.ticket)
        try await written
        #expect(other.take().bytes == Self.filled(10_000, 2))
    }

    @Test func whoNeedsLittleIsServedWhenThereIsLittle() throws {
        let memory = Self.memory(Self.large)
        #expect(memory.reserve(Self.large))
        let bench = MailboxBench(memory: memory)
        let ticket = try #require(memory.wait(bench.mailbox, needs: Self.small))
        memory.giveBack(Self.small)
        let next = try #require(memory.next())
        #expect(next.ticket == ticket && memory.used == Self.large)
    }

    @Test func nobodyIsServedPastThoseInLine() throws {
        let memory = Self.memory(Self.large)
        #expect(memory.reserve(Self.large))
        let (first, second) = (MailboxBench(memory: memory), MailboxBench(memory: memory))
        let ticket = try #require(memory.wait(first.mailbox, needs: Self.large))
        memory.giveBack(Self.large / 2)
        #expect(!memory.reserve(1))
        #expect(!second.mailbox.writeAtOnce(Self.filled(5000)))
        #expect(memory.wait(second.mailbox, needs: 1) != nil)
        #expect(memory.next() == nil)
        memory.giveBack(Self.large / 2)
        #expect(memory.next()?.ticket == ticket)
        // What it got is its own until it is used or given back, however often the loop asks.
        #expect(memory.next() == nil)
        memory.giveBack(Self.large)
        #expect(memory.next()?.waiter === second.mailbox)
    }

    @Test func whoSaysLittleIsHeldUpByNobody() async throws {
        let memory = Self.memory(Self.large)
        #expect(memory.reserve(Self.large))
        let (waiting, short) = (MailboxBench(memory: memory), MailboxBench(highWater: 1 << 20, memory: memory))
        _ = try #require(memory.wait(waiting.mailbox, needs: Self.large))
        #expect(short.mailbox.writeAtOnce([1, 2, 3]))
        #expect(short.take().bytes == [1, 2, 3])
        // As long as there is room in its chunk, and no longer.
        #expect(short.mailbox.writeAtOnce(Self.filled(Self.small - 3)))
        #expect(!short.mailbox.writeAtOnce([1]))
        #expect(memory.used == Self.large + Self.small)
        #expect(short.take().bytes.count == Self.small - 3)
        short.mailbox.freed(bytes: Self.small)
        #expect(memory.used == Self.large)
        #expect(short.mailbox.writeAtOnce([4]))
        // It holds those in line.
        memory.close()
    }

    @Test func aStreamThatSendsMuchMakesDoWithTheMemoryThereIs() async throws {
        let memory = Self.memory(3 * Self.large)
        let bench = MailboxBench(highWater: 1 << 20, memory: memory)
        try await bench.mailbox.write(Self.filled(100_000))
        #expect(memory.reserve(3 * Self.large - 100_000 - Self.small))
        // It would take a chunk of 64 KiB.
        try await bench.mailbox.write([1, 2])
        #expect(memory.used == 3 * Self.large)
    }

    @Test func theLoopIsWokenOnceWhenThereIsRoomForTheFirstInLine() throws {
        let wakes = Shared(0)
        let memory = SendMemory(pool: SendChunkPool(), limit: 100, wakeLoop: { wakes.withLock { $0 += 1 } })
        #expect(memory.reserve(100))
        let bench = MailboxBench(memory: memory)
        let first = try #require(memory.wait(bench.mailbox, needs: 50))
        _ = try #require(memory.wait(bench.mailbox, needs: 10))
        memory.giveBack(40)
        #expect(wakes.withLock { $0 } == 0)
        // The one behind needs less.
        memory.leave(first)
        #expect(wakes.withLock { $0 } == 1)
        memory.giveBack(10)
        #expect(wakes.withLock { $0 } == 1)
        memory.serveThoseInLine()
        #expect(memory.waiting == 0)
    }

    @Test func bytesKeepTheirOrderWhereTheMemoryRunsOutInAWrite() async throws {
        let memory = Self.memory(Self.large + Self.small)
        // Whoever comes first gets what he asks for, so somebody else does.
        #expect(memory.reserve(Self.small))
        let bench = MailboxBench(highWater: 1 << 20, memory: memory)
        let first = (0..<Self.large + 5000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        async let written: Void = bench.mailbox.write(first, timeout: .seconds(1))
        await bench.timers.armed(1)
        async let behind: Void = bench.mailbox.write([9, 9], timeout: .seconds(1))
        await bench.timers.armed(2)
        var bytes = bench.take().bytes
        #expect(bytes.count == Self.large)
        bench.mailbox.freed(bytes: bytes.count)
        memory.serveThoseInLine()
        try await written
        try await behind
        bytes += bench.take().bytes
        #expect(bytes == first + [9, 9])
    }

    @Test func aDeadlineThatPassesForWantOfMemorySaysSo() async throws {
        let memory = Self.memory(Self.large)
        let (greedy, other) = (
            MailboxBench(highWater: 1 << 20, memory: memory), MailboxBench(highWater: 1 << 20, memory: memory)
        )
        try await greedy.mailbox.write(Self.filled(Self.large))
        async let late = code { try await other.mailbox.write(Self.filled(5000, 2), timeout: .seconds(1)) }
        await other.timers.armed(1)
        #expect(memory.waiting == 1)
        other.timers.fireAll()
        #expect(await late == .sendMemoryExhausted)
        #expect(memory.waiting == 0)
        // The stream is as it was.
        _ = greedy.take()
        greedy.mailbox.freed(bytes: Self.large)
        try await other.mailbox.write([3])
        #expect(other.take().bytes == Self.filled(Self.small, 2) + [3])
    }

    @Test func theEndOfAStreamNeedsNoMemory() async throws {
        let memory = Self.memory(Self.large)
        let (greedy, other) = (
            MailboxBench(highWater: 1 << 20, memory: memory), MailboxBench(highWater: 1 << 20, memory: memory)
        )
        try await greedy.mailbox.write(Self.filled(Self.large))
        let writing = Task { await code { try await other.mailbox.write(Self.filled(5000), timeout: .seconds(1)) } }
        await other.timers.armed(1)
        async let closed: Void = other.mailbox.closeWrite(timeout: .seconds(1))
        await other.timers.armed(2)
        // It waits for the writer before it, and for nothing else.
        writing.cancel()
        #expect(await writing.value == .cancelled)
        try await closed
        #expect(other.take().orders.isEnd)
    }

    @Test func whatWasSetAsideForAWriterThatIsGoneGoesToTheNext() async throws {
        let memory = Self.memory(Self.large)
        #expect(memory.reserve(Self.large))
        let (gone, other) = (
            MailboxBench(highWater: 1 << 20, memory: memory), MailboxBench(highWater: 1 << 20, memory: memory)
        )
        let writing = Task { await code { try await gone.mailbox.write(Self.filled(5000), timeout: .seconds(1)) } }
        await gone.timers.armed(1)
        async let written: Void = other.mailbox.write(Self.filled(5000, 2), timeout: .seconds(1))
        await other.timers.armed(1)
        // The first chunks of both are beyond the limit.
        memory.giveBack(3 * Self.small)
        let (waiter, bytes, ticket) = try #require(memory.next())
        writing.cancel()
        #expect(await writing.value == .cancelled)
        waiter.memoryGranted(bytes, for: ticket)
        memory.serveThoseInLine()
        try await written
        #expect(other.take().bytes == Self.filled(5000, 2))
    }

    @Test func aStreamThatEndsLeavesTheLine() async throws {
        let memory = Self.memory(Self.large)
        #expect(memory.reserve(Self.large))
        let bench = MailboxBench(highWater: 1 << 20, memory: memory)
        async let failed = code { try await bench.mailbox.write(Self.filled(5000), timeout: .seconds(1)) }
        await bench.timers.armed(1)
        #expect(memory.waiting == 1)
        bench.mailbox.reset(code: 1)
        #expect(await failed == .streamReset)
        #expect(memory.waiting == 0)
    }

    @Test func nobodyWaitsForTheMemoryOfAConnectionThatIsOver() {
        let memory = Self.memory(Self.large)
        let bench = MailboxBench(memory: memory)
        #expect(memory.reserve(Self.large))
        #expect(memory.wait(bench.mailbox, needs: 1) != nil)
        memory.close()
        #expect(memory.wait(bench.mailbox, needs: 1) != nil)
        #expect(memory.waiting == 0)
        memory.giveBack(Self.large)
        #expect(memory.next() == nil)
    }

    @Test func aStreamOfTheLayerAboveGoesOnAfterADeadlineForWantOfMemory() async throws {
        var near = QuicConfiguration.defaults
        near.streams.maxSendBufferOfConnection = 1 << 20
        near.timeouts.streamWrite = .seconds(1)
        try await QuicPair.with(client: near) { pair in
            let greedy = try await pair.dialed.openQuicStream()
            let late = await code { try await greedy.write([UInt8](repeating: 1, count: 4 << 20)) }
            #expect([.streamTimeout, .sendMemoryExhausted].contains(late))
            // The rest of the memory, where the greedy one was held by its own mark.
            let rest = try await pair.dialed.openQuicStream()
            _ = await code { try await rest.write([UInt8](repeating: 1, count: 4 << 20)) }
            let stream = NetStream(try await pair.dialed.openStream(), connection: pair.dialed)
            try stream.establish()
            do {
                try await stream.write(Self.filled(5000))
                Issue.record("there was memory")
            } catch let error as NetStreamError {
                #expect(error.code == .timeout)
                #expect((error.cause as? QuicError)?.code == .sendMemoryExhausted)
            }
            greedy.reset(code: .none)
            rest.reset(code: .none)
            try await stream.write([2])
            try await stream.closeWrite()
            while let accepted = try? await pair.accepted.acceptQuicStream() {
                guard accepted.id == stream.id else { continue }
                var bytes: [UInt8] = []
                while let more = try await accepted.read() { bytes += more }
                // Of the write that was given up, what a stream may always send.
                #expect(bytes == Self.filled(Self.small) + [2])
                break
            }
        }
    }

    @Test func twoHundredStreamsThatNobodyReadsStayWithinTheLimit() async throws {
        let (streams, each, limit) = (200, 256 << 10, 4 << 20)
        var near = QuicConfiguration.defaults
        near.streams.sendBufferHighWatermark = 256 << 10
        near.streams.maxSendBufferOfConnection = limit
        near.timeouts.streamWrite = .seconds(2)
        var far = QuicConfiguration.defaults
        far.streams.initialInboundCredit = streams
        try await QuicPair.with(server: far, client: near) { pair in
            let connection = pair.dialed
            let bytes = [UInt8](repeating: 7, count: each)
            let opened = try await withThrowingTaskGroup(of: Written.self) { group in
                for _ in 0..<streams {
                    let stream = try await connection.openQuicStream()
                    group.addTask { (stream, await code { try await stream.write(bytes) }) }
                }
                var all: [Written] = []
                for try await one in group { all.append(one) }
                return all
            }
            // The peer's windows took 64 KiB of each stream and 1 MiB of all, and what is written beyond stays here.
            let refused = opened.filter { $0.code == .sendMemoryExhausted }
            #expect(refused.count > streams / 2)
            #expect(opened.allSatisfy { [nil, .sendMemoryExhausted, .streamTimeout].contains($0.code) })
            let unacknowledged = opened.reduce(0) { $0 + $1.stream.statistics.bytesUnacknowledged }
            #expect(unacknowledged > limit / 2 && unacknowledged <= limit)
            // What the peer reads lets the others go on.
            let reader = Task {
                await withDiscardingTaskGroup { group in
                    while let stream = try? await pair.accepted.acceptQuicStream() {
                        group.addTask { while (try? await stream.read()) ?? nil != nil {} }
                    }
                }
            }
            let blocked = try #require(refused.first).stream
            #expect(await code { try await blocked.write(bytes) } == nil)
            reader.cancel()
            await reader.value
        }
    }
}
