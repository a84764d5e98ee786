import NetStreamTesting
import QuicCore
import Testing

@testable import QuicTransport

/// Random sequences of inputs to the two pure machines, compared with the simplest thing that could be right.
@Suite struct StreamHalvesModelTests {
    private enum Expected {
        case bytes([UInt8])
        case end
        case failure(QuicError.Code)
    }

    @Test(arguments: 0..<40) func inboundAgreesWithAQueueOfBytes(round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        print("inboundAgreesWithAQueueOfBytes \(round) seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let window = 1 + Int(random.next() % 300)
        var half = InboundHalf<Int>(window: window)
        var model: [UInt8] = []
        var modelReaders: [(id: Int, max: Int)] = []
        var end: Expected?
        var closed = false
        var counter: UInt8 = 0
        var consumed = 0
        var returned = 0
        var nextID = 0

        func expectation(_ max: Int) -> Expected? {
            if closed { return .failure(.streamClosed) }
            return model.isEmpty ? end : .bytes(Array(model.prefix(max)))
        }
        func check(_ outcome: InboundHalf<Int>.Outcome, _ max: Int) {
            switch (outcome, expectation(max)) {
            case (.success(let bytes?), .bytes(let expected)):
                // It may give less than there is, never nothing, and the right bytes.
                #expect(!bytes.isEmpty && bytes == Array(expected.prefix(bytes.count)))
                model.removeFirst(min(bytes.count, model.count))
                consumed += bytes.count
            case (.success(nil), .end): break
            case (.failure(let error), .failure(let code)): #expect(error.code == code)
            case (let outcome, let expected): Issue.record("\(outcome) instead of \(String(describing: expected))")
            }
        }
        func check(_ served: InboundHalf<Int>.Served) {
            for reader in served {
                #expect(modelReaders.first?.id == reader.waiter)
                check(reader.outcome, modelReaders.removeFirst().max)
            }
            #expect(modelReaders.isEmpty || expectation(1) == nil)
        }

        for _ in 0..<400 {
            switch random.next() % 40 {
            case 0..<14:
                let chunk = (0..<Int(random.next() % 60)).map { _ -> UInt8 in
                    counter &+= 1
                    return counter
                }
                let fin = random.next() % 60 == 0
                if closed {
                    consumed += chunk.count
                } else if end == nil {
                    model += chunk
                    if fin { end = .end }
                }
                var served: InboundHalf<Int>.Served = []
                half.deliver(chunk, fin: fin, to: &served)
                check(served)
            case 14..<30:
                let max = 1 + Int(random.next() % 80)
                if let outcome = half.read(upTo: max) {
                    #expect(modelReaders.isEmpty)
                    check(outcome, max)
                } else {
                    #expect(!modelReaders.isEmpty || expectation(max) == nil)
                    nextID += 1
                    half.wait(id: UInt64(nextID), upTo: max, waiter: nextID)
                    modelReaders.append((nextID, max))
                }
            case 30..<34:
                guard let index = modelReaders.indices.randomElement(using: &random) else { break }
                let id = modelReaders.remove(at: index).id
                let cancelled = half.cancel(id: UInt64(id))
                #expect(cancelled == id)
                let again = half.cancel(id: UInt64(id))
                #expect(again == nil)
            case 34..<38:
                returned += half.takeCredit()
            case 38:
                guard random.next() % 20 == 0 else { break }
                if !closed, end == nil { end = .failure(.streamReset) }
                check(half.fail(.streamReset(code: 1, byPeer: true)))
            default:
                guard random.next() % 20 == 0 else { break }
                let wasOpen = end == nil && !closed
                if !closed { consumed += model.count }
                model = []
                closed = true
                end = nil
                let (served, tells) = half.close(.closedForReading)
                #expect(tells == wasOpen)
                check(served)
            }
            #expect(half.buffered == model.count)
            #expect(half.unreturnedCredit + returned == consumed)
            let due = half.unreturnedCredit > 0 && (model.isEmpty || half.unreturnedCredit * 2 >= window)
            #expect(half.isCreditDue == due)
        }
    }

    @Test(arguments: 0..<40) func outboundKeepsOrderAndMarks(round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        print("outboundKeepsOrderAndMarks \(round) seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let high = 2 + Int(random.next() % (round > 0 ? 9000 : 60_000))
        let low = Int(random.next() % UInt64(high))
        var half = OutboundHalf<UInt64>(highWater: high, lowWater: low, memory: .unlimited())
        // A writer's bytes, all of the writer's own value; they must come out one writer after the other.
        var left: [UInt64: Int] = [:]
        var order: [UInt64] = []
        var waiting: Set<UInt64> = []
        var runnable: [UInt64] = []
        var written: [UInt8] = []
        var taken: [UInt8] = []
        var acknowledged = 0
        var nextID: UInt64 = 0

        func run(_ id: UInt64) {
            switch half.takeTurn(id: id) {
            case .failed: Issue.record("not over")
            case .wait:
                half.wait(id: id, waiter: id)
                waiting.insert(id)
            case .proceed:
                #expect(order.first == id)
                let count = left[id] ?? 0
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: id), count: count + 3)
                let done = half.append(bytes, from: 3)
                #expect(half.outstanding <= high)
                written += [UInt8](repeating: UInt8(truncatingIfNeeded: id), count: done)
                left[id] = count - done
                if done == count {
                    order.removeFirst()
                    resume(half.endTurn(id: id))
                } else {
                    half.wait(id: id, waiter: id)
                    waiting.insert(id)
                    resume(half.advance())
                }
            }
        }
        func resume(_ id: UInt64?) {
            guard let id else { return }
            let wasWaiting = waiting.remove(id) != nil
            #expect(wasWaiting)
            runnable.append(id)
        }

        for _ in 0..<400 {
            switch random.next() % 10 {
            case 0..<3:
                nextID += 1
                left[nextID] = 1 + Int(random.next() % (round > 0 ? 12_000 : 80_000))
                order.append(nextID)
                run(nextID)
            case 3..<5:
                if let index = runnable.indices.randomElement(using: &random) { run(runnable.remove(at: index)) }
            case 5..<7:
                var segments: [OutboundSegment] = []
                let isEnd = half.take(into: &segments)
                #expect(!isEnd)
                for segment in segments {
                    taken += UnsafeRawBufferPointer(start: segment.base, count: segment.count)
                }
                #expect(taken == written)
            case 7..<9:
                let count = Int(random.next() % UInt64(taken.count - acknowledged + 1))
                acknowledged += count
                resume(half.freed(count))
            default:
                guard let id = waiting.randomElement(using: &random) else { break }
                let (cancelled, next) = half.cancel(id: id)
                #expect(cancelled == id)
                waiting.remove(id)
                order.removeAll { $0 == id }
                resume(next)
            }
            #expect(half.outstanding == written.count - acknowledged)
            // Nobody is forgotten: with room and nobody running, nobody waits.
            if runnable.isEmpty, half.outstanding <= low { #expect(waiting.isEmpty) }
        }
        // The other end of the stream comes.
        let released = half.fail(.streamReset(code: 1, byPeer: false))
        #expect(Set(released) == waiting)
    }
}

/// Two mailboxes joined by a fake loop: what one is given to send is delivered to the other.
private actor FakeLoop {
    /// Weak, because the mailboxes hold the loop.
    private struct Peer {
        weak var mailbox: StreamMailbox?
    }

    private var peers: [ObjectIdentifier: Peer] = [:]

    func join(_ a: StreamMailbox, _ b: StreamMailbox) {
        peers[ObjectIdentifier(a)] = Peer(mailbox: b)
        peers[ObjectIdentifier(b)] = Peer(mailbox: a)
    }

    func service(_ mailbox: StreamMailbox) {
        guard let peer = peers[ObjectIdentifier(mailbox)]?.mailbox else { return }
        var segments: [OutboundSegment] = []
        let orders = mailbox.takeOutbound(into: &segments)
        var bytes: [UInt8] = []
        for segment in segments { bytes += UnsafeRawBufferPointer(start: segment.base, count: segment.count) }
        let count = bytes.count
        if count > 0 || orders.isEnd { peer.deliver(bytes, fin: orders.isEnd) }
        if let code = orders.reset { peer.peerReset(code: code) }
        if let code = orders.stop { peer.peerStopped(code: code) }
        mailbox.freed(bytes: count)
    }
}

@Suite(.timeLimit(.minutes(1))) struct StreamMailboxConcurrencyTests {
    private func pair(high: Int = 5000) async -> (StreamMailbox, StreamMailbox) {
        let loop = FakeLoop()
        let timers = FakeTimers()
        let memory = SendMemory.unlimited()
        func make() -> StreamMailbox {
            StreamMailbox(
                limits: .init(window: 2000, highWater: high, lowWater: high / 2),
                memory: memory,
                scheduleTimeout: timers.schedule,
                wakeLoop: { mailbox in Task { await loop.service(mailbox) } }
            )
        }
        let (a, b) = (make(), make())
        await loop.join(a, b)
        return (a, b)
    }

    @Test func writersOfManyTasksDoNotMix() async throws {
        let (a, b) = await pair()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for value: UInt8 in 0..<16 {
                group.addTask {
                    for size in [1, 700, 4000, 9000] { try await a.write([UInt8](repeating: value, count: size)) }
                }
            }
            group.addTask {
                var runs: [(value: UInt8, count: Int)] = []
                var total = 0
                while total < 16 * 13_701, let bytes = try await b.read(upTo: 3000) {
                    total += bytes.count
                    for byte in bytes {
                        if runs.last?.value == byte { runs[runs.count - 1].count += 1 } else { runs.append((byte, 1)) }
                    }
                }
                // Each write is one run of its value, or several writes of one task follow each other.
                #expect(
                    runs.allSatisfy {
                        [1, 700, 701, 4000, 4700, 4701, 9000, 13_000, 13_700, 13_701].contains($0.count)
                    }
                )
                #expect(runs.count <= 64)
            }
            try await group.waitForAll()
        }
    }

    @Test func anEchoOfMuchDataComesBackWhole() async throws {
        let (a, b) = await pair()
        let data = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* 13 / 5) }
        async let echo: Void = {
            while let bytes = try await b.read(upTo: 1777) { try await b.write(bytes) }
            try await b.closeWrite()
        }()
        async let sending: Void = {
            for start in stride(from: 0, to: data.count, by: 7001) {
                try await a.write(Array(data[start..<min(start + 7001, data.count)]))
            }
            try await a.closeWrite()
        }()
        var received: [UInt8] = []
        while let bytes = try await a.read(upTo: 1 << 20) { received += bytes }
        try await sending
        try await echo
        #expect(received == data)
    }

    @Test func cancelledOperationsLeaveNothingBehind() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("cancelledOperationsLeaveNothingBehind seed \(seed)")
        let (a, b) = await pair(high: 1000)
        // Writers and readers that are cancelled at some moment; every byte that was accepted is still delivered.
        let read = Shared(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<200 {
                group.addTask {
                    var random = SeededGenerator(seed: seed &+ UInt64(index))
                    let size = Int(random.next() % 1500)
                    let task = Task { try await a.write([UInt8](repeating: 1, count: size)) }
                    if random.next() % 2 == 0 { task.cancel() }
                    _ = await task.result
                    let reader = Task { try await b.read(upTo: 2000) }
                    if random.next() % 2 == 0 { reader.cancel() }
                    // Any reader might wait for ever when others took the bytes: all are cancelled in the end.
                    let watchdog = Task { reader.cancel() }
                    if let bytes = try? await reader.value { read.withLock { $0 += bytes.count } }
                    await watchdog.value
                }
            }
            group.addTask {
                // Keeps the writers going.
                while let bytes = try await b.read(upTo: 2000) { read.withLock { $0 += bytes.count } }
            }
            for _ in 0..<200 { try await group.next() }
            try await a.closeWrite()
            try await group.waitForAll()
        }
        #expect(read.withLock { $0 } == a.statistics.bytesWritten)
        #expect(b.statistics.bytesReceived == a.statistics.bytesWritten)
    }

    @Test func aResetMeetsConcurrentUse() async throws {
        for _ in 0..<50 {
            let (a, b) = await pair()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    let failed = await code { while true { try await a.write([UInt8](repeating: 1, count: 3000)) } }
                    #expect(failed == .streamReset)
                }
                group.addTask {
                    let failed = await code { while try await a.read(upTo: 100) != nil {} }
                    #expect(failed == .streamReset)
                }
                group.addTask {
                    let failed = await code { while try await b.read(upTo: 1000) != nil {} }
                    #expect(failed == .streamReset)
                }
                group.addTask { a.reset(code: 5) }
            }
        }
    }
}
