import NetStream
import NetStreamTesting
import Synchronization
import Testing

/// Many tasks on one stream at once. Also what the thread sanitizer is shown.
@Suite(.timeLimit(.minutes(2))) struct ConcurrencyTests {
    /// What may come of an operation while others reset and close: an error of the stream, and none of these is a surprise.
    private static let expected: Set<NetStreamError.Code> = [
        .reset, .endOfStream, .writeClosed, .unexpectedEnd, .limitExceeded, .cancelled, .connectionClosed, .failed,
    ]

    private static func attempt(_ operation: () async throws -> Void) async {
        do {
            try await operation()
        } catch {
            guard let error = error as? NetStreamError, expected.contains(error.code) else {
                Issue.record("not an error of a stream: \(error)")
                return
            }
        }
    }

    /// One task of the crowd: some operations of one kind on one end.
    private static func work(_ kind: Int, on stream: NetStream, seed: UInt64) async {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<6 {
            let count = Int.random(in: 1...3000, using: &random)
            for _ in 0..<Int.random(in: 0...3, using: &random) { await Task.yield() }
            switch kind {
            case 0: await attempt { _ = try await stream.read(upTo: count) }
            case 1:
                await attempt {
                    let bytes = try await stream.readExactly(count)
                    #expect(bytes.count == count)
                }
            case 2 where count % 3 == 0: await attempt { _ = try await stream.readMessage(limit: count) }
            case 2 where count % 3 == 1: await attempt { _ = try await stream.readLine(limit: count) }
            case 2: await attempt { _ = try await stream.readToEnd(limit: 1000 * count) }
            case 3, 4: await attempt { try await stream.write([UInt8](repeating: 1, count: count)) }
            case 5: await attempt { try await stream.closeWrite() }
            case 6: await attempt { try await stream.closeRead() }
            case 7: await attempt { try await stream.close() }
            case 8: if count < 700 { stream.reset(code: .gated) }
            default:
                _ = (stream.state, stream.protocolID, stream.isOperational)
                stream.protocolID = "/p/\(count)"
            }
        }
    }

    @Test func readersWritersClosersAndResettersAtOnce() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("NetStream: a crowd, seed \(seed)")
        var configuration = MemoryConfiguration()
        // Small, so that writers wait.
        configuration.windowSize = 1000
        for round in 0..<60 as Range<UInt64> {
            let pair = try await MemoryPair(configuration: configuration)
            let releases = (near: Counter(), far: Counter())
            let (near, bare) = try await pair.openStream(onRelease: { _ in releases.near.increment() })
            let far = NetStream(bare, connection: pair.server) { _ in releases.far.increment() }
            try far.establish()
            try await withDeadline(.seconds(30)) {
                await withTaskGroup(of: Void.self) { group in
                    for (end, stream) in [near, far].enumerated() {
                        for kind in 0..<10 {
                            // Not always with those that end it all.
                            if kind >= 5, kind < 9, (round >> UInt64(kind - 5)) & 1 == 0 { continue }
                            group.addTask {
                                let own = seed &+ round &* 100 &+ UInt64(end * 20 + kind)
                                await Self.work(kind, on: stream, seed: own)
                            }
                        }
                    }
                    // Whoever still waits for the other end is let go by this.
                    group.addTask {
                        for _ in 0..<50 { await Task.yield() }
                        near.reset()
                        far.reset()
                    }
                }
            }
            #expect(near.state == .reset && far.state == .reset, "seed \(seed)")
            #expect(releases.near.value == 1 && releases.far.value == 1, "seed \(seed)")
        }
    }

    @Test func whatOneTaskWritesAnotherReadsInOrderWhileTheOtherDirectionIsTornDown() async throws {
        let pair = try await MemoryPair()
        for _ in 0..<30 {
            let (near, bare) = try await pair.openStream()
            let far = NetStream(bare, connection: pair.server)
            try far.establish()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<100 {
                        try await near.writeMessage([UInt8](repeating: UInt8(number), count: number))
                    }
                    try await near.closeWrite()
                }
                group.addTask {
                    var number = 0
                    while let message = try await far.readMessage(limit: 100) {
                        #expect(message == [UInt8](repeating: UInt8(number), count: number))
                        number += 1
                    }
                    #expect(number == 100)
                }
                group.addTask { try await near.closeRead() }
                group.addTask { await Self.attempt { try await far.write([1, 2, 3]) } }
                try await group.waitForAll()
            }
            #expect(near.state == .closedBoth)
        }
    }
}

/// A task that waits on a stream can be cancelled wherever it waits, and the stream is as it was.
@Suite(.timeLimit(.minutes(2))) struct CancellationTests {
    /// Everything that can wait for the peer's bytes.
    enum Reader: CaseIterable, Sendable {
        case read, readExactly, readToEnd, readLine, readMessage, chunks

        func run(_ stream: NetStream) async throws {
            switch self {
            case .read: _ = try await stream.read(upTo: 10)
            case .readExactly: _ = try await stream.readExactly(10)
            case .readToEnd: _ = try await stream.readToEnd(limit: 1000)
            case .readLine: _ = try await stream.readLine(limit: 1000)
            case .readMessage: _ = try await stream.readMessage(limit: 1000)
            case .chunks: for try await _ in stream.chunks {}
            }
        }
    }

    /// Everything that can wait for room, or behind somebody who does.
    enum Writer: CaseIterable, Sendable {
        case write, writeMessage, closeWrite, close

        func run(_ stream: NetStream) async throws {
            switch self {
            case .write: try await stream.write([5])
            case .writeMessage: try await stream.writeMessage([5])
            case .closeWrite: try await stream.closeWrite()
            case .close: try await stream.close()
            }
        }
    }

    /// Starts it, lets it get so far, cancels it.
    private func cancel(after steps: Int, _ operation: @escaping @Sendable () async throws -> Void) async
        -> NetStreamError.Code?
    {
        let task = Task { await code { try await operation() } }
        for _ in 0..<steps { await Task.yield() }
        task.cancel()
        return await task.value
    }

    @Test(arguments: Reader.allCases) func aReaderIsCancelledWhereverItWaits(_ reader: Reader) async throws {
        let pair = try await MemoryPair()
        for steps in 0..<25 {
            let (near, far) = try await pair.openStream()
            // A part of what it wants is there; `read` and `chunks` would take it, and have nothing.
            let part: [UInt8] = reader == .read || reader == .chunks ? [] : [9, 8, 7]
            if !part.isEmpty { try await far.write(part) }
            // Alone, and behind another one that has its turn.
            #expect(await cancel(after: steps) { try await reader.run(near) } == .cancelled)
            let first = Task { await code { _ = try await near.readExactly(100) } }
            #expect(await cancel(after: steps) { try await reader.run(near) } == .cancelled)
            first.cancel()
            #expect(await first.value == .cancelled)
            #expect(near.state == .open)
            try await far.write([1, 2])
            try await far.closeWrite()
            #expect(try await near.readToEnd(limit: 100) == part + [1, 2])
            near.reset()
        }
    }

    @Test(arguments: Writer.allCases) func aWriterIsCancelledWhereverItWaits(_ writer: Writer) async throws {
        var configuration = MemoryConfiguration()
        configuration.windowSize = 4
        let pair = try await MemoryPair(configuration: configuration)
        for steps in 0..<25 {
            let (near, far) = try await pair.openStream()
            // The window is too small: a write waits for room, and everybody else behind it.
            let held = Task { await code { try await near.write([1, 2, 3, 4, 5, 6]) } }
            #expect(try await far.read(upTo: 1) == [1])
            let second = await cancel(after: steps) { try await writer.run(near) }
            #expect(second == .cancelled)
            held.cancel()
            #expect(await held.value == .cancelled)
            #expect(near.state == .open)
            async let rest: Void = near.write([7])
            var seen: [UInt8] = []
            while seen.count < 5, let bytes = try await far.read(upTo: 10) { seen += bytes }
            try await rest
            #expect(seen == [2, 3, 4, 5, 7])
            near.reset()
        }
    }

    @Test func aCloseThatIsCancelledInTimeDoesNothing() async throws {
        let (near, far) = try await MemoryPair().openStream()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            // Nobody has the turn: what need not wait is done all the same.
            try await near.closeWrite()
        }
        try await task.value
        #expect(near.state == .closedWrite)
        #expect(try await far.read(upTo: 1) == nil)
    }
}
