import NetStream
import NetStreamTesting
import Synchronization
import Testing

/// A muxed stream whose second read is overtaken: something happens to the stream before its bytes get to the reader.
private final class OvertakenStream: MuxedStream {
    let id: UInt64 = 0
    let direction = Direction.outbound
    let reads = Mutex(0)
    let first: [UInt8]
    let onSecondRead = Mutex<(@Sendable () async -> Void)?>(nil)

    init(first: [UInt8]) { self.first = first }

    func read(upTo maxLength: Int) async throws -> [UInt8]? {
        let number = reads.withLock { reads in
            reads += 1
            return reads
        }
        if number == 1 { return first }
        await onSecondRead.withLock { $0 }?()
        return [4, 5, 6]
    }

    func write(_ bytes: [UInt8]) async throws {}
    func closeWrite() async throws {}
    func closeRead() async throws {}
    func close() async throws {}
    func reset(code: StreamErrorCode) {}
}

/// What a reader gets when the stream ends between two arrivals: the end, never less than it asked for.
@Suite struct EndedWhileReadingTests {
    enum Reader: CaseIterable, Sendable {
        case exactly, line, message, end

        func read(_ stream: NetStream) async throws {
            switch self {
            case .exactly: _ = try await stream.readExactly(8)
            case .line: _ = try await stream.readLine(limit: 100)
            case .message: _ = try await stream.readMessage(limit: 100)
            case .end: _ = try await stream.readToEnd(limit: 100)
            }
        }
    }

    @Test(arguments: Reader.allCases, [true, false])
    func aReaderThatIsOvertakenThrowsWhatEndedTheStream(reader: Reader, isReset: Bool) async throws {
        let pair = try await MemoryPair()
        let muxed = OvertakenStream(first: [8, 1, 2])
        let stream = NetStream(muxed, connection: pair.client)
        try stream.establish()
        muxed.onSecondRead.withLock {
            $0 = { if isReset { stream.reset() } else { try? await stream.closeRead() } }
        }
        let error = await #expect(throws: NetStreamError.self) { try await reader.read(stream) }
        // The stream holds the muxed one, which held the stream.
        muxed.onSecondRead.withLock { $0 = nil }
        #expect(error?.code == (isReset ? .reset : .endOfStream))
        #expect(muxed.reads.withLock { $0 } == 2)
    }
}
