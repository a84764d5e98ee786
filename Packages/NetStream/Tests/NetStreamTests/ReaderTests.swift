import NetStream
import NetStreamTesting
import Testing

@Suite struct ReaderTests {
    @Test func readExactlyGathersAndLeavesTheRest() async throws {
        let (near, far) = try await MemoryPair().openStream()
        async let bytes = near.readExactly(5)
        try await far.write([1, 2])
        try await far.write([3, 4, 5, 6])
        #expect(try await bytes == [1, 2, 3, 4, 5])
        #expect(try await near.read() == [6])
        #expect(try await near.readExactly(0) == [])
    }

    @Test func readExactlyAtTheEndKeepsWhatArrived() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([1, 2])
        try await far.closeWrite()
        #expect(await code { _ = try await near.readExactly(3) } == .unexpectedEnd)
        #expect(near.state == .open)
        #expect(try await near.read() == [1, 2])
        #expect(try await near.read() == nil)
        #expect(near.state == .closedRead)
    }

    @Test func aCancelledReadExactlyLosesNothing() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([1, 2])
        let reading = Task { await code { _ = try await near.readExactly(3) } }
        await Task.yield()
        reading.cancel()
        #expect(await reading.value == .cancelled)
        #expect(near.state == .open)
        try await far.write([3])
        #expect(try await near.readExactly(3) == [1, 2, 3])
    }

    @Test func aReaderInTheQueueCanBeCancelled() async throws {
        let (near, far) = try await MemoryPair().openStream()
        async let first = near.readExactly(2)
        let second = Task { await code { _ = try await near.readExactly(2) } }
        await Task.yield()
        second.cancel()
        #expect(await second.value == .cancelled)
        try await far.write([1, 2, 3])
        #expect(try await first == [1, 2])
        #expect(try await near.read() == [3])
    }

    @Test func concurrentReadersAndWritersKeepTheirBytesTogether() async throws {
        let (near, far) = try await MemoryPair().openStream()
        let echo = Task {
            while let bytes = try await far.read(upTo: 777) { try await far.write(bytes) }
            try await far.closeWrite()
        }
        let sizes = 200
        try await withThrowingTaskGroup(of: UInt8?.self) { group in
            for index in 0..<sizes {
                group.addTask {
                    try await near.write([UInt8](repeating: UInt8(index), count: 1000))
                    return nil
                }
                group.addTask {
                    let bytes = try await near.readExactly(1000)
                    #expect(Set(bytes).count == 1)
                    return bytes.first
                }
            }
            var seen: Set<UInt8> = []
            for try await byte in group { if let byte { seen.insert(byte) } }
            #expect(seen.count == sizes)
        }
        try await near.closeWrite()
        #expect(try await near.read() == nil)
        try await echo.value
    }

    @Test func readToEndIsBounded() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([UInt8](repeating: 7, count: 100))
        #expect(await code { _ = try await near.readToEnd(limit: 99) } == .limitExceeded)
        try await far.closeWrite()
        #expect(try await near.readToEnd(limit: 100).count == 100)
        #expect(near.state == .closedRead)
    }

    @Test func linesComeOneByOne() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write(Array("one\ntwo\n\nrest".utf8))
        #expect(try await near.readLine(limit: 3) == Array("one".utf8))
        #expect(try await near.readLine(limit: 3) == Array("two".utf8))
        #expect(try await near.readLine(limit: 0) == [])
        #expect(await code { _ = try await near.readLine(limit: 3) } == .limitExceeded)
        #expect(try await near.readExactly(2) == Array("re".utf8))
        try await far.closeWrite()
        #expect(await code { _ = try await near.readLine(limit: 10) } == .unexpectedEnd)
        #expect(try await near.readToEnd(limit: 10) == Array("st".utf8))
    }

    @Test func aLineAtTheEndIsNil() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([10])
        try await far.closeWrite()
        #expect(try await near.readLine(limit: 10) == [])
        #expect(try await near.readLine(limit: 10) == nil)
        #expect(near.state == .closedRead)
    }

    @Test(arguments: [0, 1, 127, 128, 300, 20_000])
    func messagesComeWithTheirLength(_ size: Int) async throws {
        let (near, far) = try await MemoryPair().openStream()
        let message = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        try await near.writeMessage(message)
        try await near.writeMessage([9])
        try await near.closeWrite()
        while let bytes = try await far.read(upTo: 100) { try await far.write(bytes) }
        try await far.closeWrite()
        #expect(try await near.readMessage(limit: size) == message)
        #expect(try await near.readMessage(limit: 1) == [9])
        #expect(try await near.readMessage(limit: 1) == nil)
    }

    @Test(
        arguments: [
            ([0x80, 0x00], NetStreamError.Code.malformedLength),
            ([0x81, 0x80, 0x00, 1, 2], .malformedLength),
            ([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80], .malformedLength),
            ([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], .limitExceeded),
            ([0xff, 0xff, 0x03], .limitExceeded),
            ([0x80], .unexpectedEnd),
            ([0x02, 0x61], .unexpectedEnd),
        ] as [([UInt8], NetStreamError.Code)]
    )
    func badLengthsAreRefused(_ bytes: [UInt8], _ expected: NetStreamError.Code) async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write(bytes)
        try await far.closeWrite()
        #expect(await code { _ = try await near.readMessage(limit: 1024) } == expected)
    }

    @Test func unreadBytesComeFirst() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([3])
        try near.unread([2])
        try near.unread([0, 1])
        #expect(try await near.readExactly(4) == [0, 1, 2, 3])
    }

    @Test func chunksEndWithTheStream() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([UInt8](repeating: 1, count: 10_000))
        try await far.closeWrite()
        var total = 0
        for try await chunk in near.chunks(upTo: 999) {
            #expect(chunk.count <= 999)
            total += chunk.count
        }
        #expect(total == 10_000)
        for try await _ in near.chunks { Issue.record("bytes after the end") }
    }

    @Test func chunksThrowWhenTheStreamBreaks() async throws {
        let (near, far) = try await MemoryPair().openStream()
        try await far.write([1])
        far.reset(code: .rateLimited)
        await #expect(throws: NetStreamError.self) {
            for try await chunk in near.chunks { #expect(chunk == [1]) }
        }
    }

    @Test func foolishArgumentsAreRefused() async throws {
        let (near, far) = try await MemoryPair().openStream()
        defer { withExtendedLifetime(far) {} }
        #expect(await code { _ = try await near.read(upTo: 0) } == .invalidArgument)
        #expect(await code { _ = try await near.readExactly(-1) } == .invalidArgument)
    }

    /// Whatever the chunking and whichever reader: the bytes come complete and in order.
    @Test func randomReadersSeeEveryByteInOrder() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            var configuration = MemoryConfiguration()
            configuration.windowSize = Int.random(in: 1...500, using: &random)
            let (near, far) = try await MemoryPair(configuration: configuration).openStream()
            let payload = (0..<3000).map { _ in UInt8.random(in: 0...20, using: &random) }
            let writerSeed = random.next()
            let writer = Task {
                var random = SeededGenerator(seed: writerSeed)
                var rest = payload[...]
                while !rest.isEmpty {
                    let count = Int.random(in: 1...700, using: &random)
                    try await far.write(Array(rest.prefix(count)))
                    rest = rest.dropFirst(count)
                }
                try await far.closeWrite()
            }
            var got: [UInt8] = []
            while got.count < payload.count {
                let left = payload.count - got.count
                switch Int.random(in: 0..<4, using: &random) {
                case 0: got += try await near.readExactly(Int.random(in: 0...min(left, 600), using: &random))
                case 1:
                    let isLine = payload[got.count...].contains(10)
                    guard isLine, let line = try await near.readLine(limit: 3000) else { continue }
                    got += line + [10]
                case 2:
                    guard let bytes = try await near.read(upTo: Int.random(in: 1...600, using: &random)) else {
                        continue
                    }
                    if Bool.random(using: &random) { try near.unread(bytes) } else { got += bytes }
                default:
                    let reading = Task { try await near.read(upTo: 5) }
                    reading.cancel()
                    if let bytes = try? await reading.value { got += bytes }
                }
            }
            #expect(got == payload, "seed \(seed)")
            #expect(try await near.read() == nil, "seed \(seed)")
            try await writer.value
        }
    }

    @Test func aLengthNearTheLargestIntegerIsRefused() async throws {
        let (near, far) = try await MemoryPair().openStream()
        // 2^63 - 1, the most that nine bytes hold.
        try await far.write([UInt8](repeating: 0xff, count: 8) + [0x7f])
        #expect(await code { _ = try await near.readMessage(limit: .max) } == .limitExceeded)
    }
}
