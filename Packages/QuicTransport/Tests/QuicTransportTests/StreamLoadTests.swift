import NetStream
import NetStreamTesting
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(5))) struct StreamLoadTests {
    /// Echoes every stream of a connection until the connection is over.
    private static func serveEcho(_ connection: QuicConnection) async {
        await withDiscardingTaskGroup { group in
            while let stream = try? await connection.acceptQuicStream() {
                group.addTask {
                    do {
                        while let chunk = try await stream.read() { try await stream.write(chunk) }
                        try await stream.closeWrite()
                    } catch {
                        stream.reset(code: .generic)
                    }
                }
            }
        }
    }

    /// Sends random bytes through an echo and compares what comes back.
    private static func echo(_ connection: QuicConnection, seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let count = Int(generator.next() % (1 << 20 + 1))
        var bytes = [UInt8](repeating: 0, count: count)
        for index in stride(from: 0, to: count, by: 8) {
            let word = generator.next()
            for offset in 0..<min(8, count - index) {
                bytes[index + offset] = UInt8(truncatingIfNeeded: word >> (8 * UInt64(offset)))
            }
        }
        let stream = try await connection.openQuicStream()
        async let returned = Self.readAll(stream)
        try await stream.write(bytes)
        try await stream.closeWrite()
        let result = try await returned
        #expect(result == bytes, "seed \(seed)")
    }

    private static func readAll(_ stream: QuicStream) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let chunk = try await stream.read() { bytes += chunk }
        return bytes
    }

    @Test func oneThousandStreamsOneAfterAnother() async throws {
        try await QuicPair.with { pair in
            async let served: Void = Self.serveEcho(pair.accepted)
            let seed = UInt64.random(in: 0..<1 << 40)
            for index in 0..<1000 { try await Self.echo(pair.dialed, seed: seed &+ UInt64(index)) }
            await pair.dialed.close(code: .none, reason: "done")
            await served
        }
    }

    @Test func twoHundredStreamsAtOnce() async throws {
        try await QuicPair.with { pair in
            async let served: Void = Self.serveEcho(pair.accepted)
            let seed = UInt64.random(in: 0..<1 << 40)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<200 {
                    group.addTask { try await Self.echo(pair.dialed, seed: seed &+ UInt64(index)) }
                }
                try await group.waitForAll()
            }
            await pair.dialed.close(code: .none, reason: "done")
            await served
        }
    }

    @Test func aReaderThatPausesBoundsTheMemoryOfTheSender() async throws {
        try await QuicPair.with { pair in
            let stream = try await pair.dialed.openQuicStream()
            let total = 256 << 20
            let block = [UInt8](repeating: 0x5a, count: 1 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for _ in 0..<total / block.count { try await stream.write(block) }
                    try await stream.closeWrite()
                }
                group.addTask {
                    let other = try await pair.accepted.acceptQuicStream()
                    var received = 0
                    var nextPause = 0
                    let limit = QuicConfiguration.defaults.streams.sendBufferHighWatermark
                    while let chunk = try await other.read() {
                        received += chunk.count
                        #expect(chunk.first == 0x5a && chunk.last == 0x5a)
                        if received >= nextPause {
                            nextPause += 32 << 20
                            // While nobody reads, the sender fills up to its limit, of which acknowledgements on their way
                            // take off at most half, and holds no more than that.
                            while stream.statistics.bytesUnacknowledged <= limit / 2, received < total - (8 << 20) {
                                await Task.yield()
                            }
                            #expect(stream.statistics.bytesUnacknowledged <= limit + block.count)
                        }
                    }
                    #expect(received == total)
                }
                try await group.waitForAll()
            }
        }
    }
}
