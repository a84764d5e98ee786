public import NetStream
import Synchronization

/// One end of a stream in memory.
public final class MemoryStream: MuxedStream {
    /// The stream's number, unique within its connection.
    public let id: UInt64
    /// Who opened it.
    public let direction: Direction
    private let input: MemoryPipe
    private let output: MemoryPipe
    /// Makes the stream known to the peer: like a QUIC stream, it is not seen before something is sent on it.
    private let announce: @Sendable () -> Void

    init(
        id: UInt64,
        direction: Direction,
        input: MemoryPipe,
        output: MemoryPipe,
        announce: @escaping @Sendable () -> Void
    ) {
        self.id = id
        self.direction = direction
        self.input = input
        self.output = output
        self.announce = announce
    }

    /// Whoever let go of it does not read any more, nor end what it was writing: the peer must not wait for that. What was
    /// ended before is left to be delivered.
    deinit {
        output.abandon()
        input.stop(code: 0, byReset: false)
    }

    /// Waits for bytes; `nil` at the end of the stream.
    public func read(upTo maxLength: Int) async throws -> [UInt8]? {
        guard maxLength > 0 else { throw MemoryError(.other, "maxLength must be at least 1") }
        return try await input.read(upTo: maxLength)
    }

    /// Sends bytes; suspends while the window is full.
    public func write(_ bytes: [UInt8]) async throws {
        announce()
        try await output.write(bytes)
    }

    /// Ends the sending half.
    public func closeWrite() async throws {
        announce()
        try output.finish()
    }

    /// Asks the peer to stop sending, with code 0.
    public func closeRead() async throws {
        announce()
        input.stop(code: 0, byReset: false)
    }

    /// Ends both halves. Does nothing about a half that is over.
    public func close() async throws {
        announce()
        input.stop(code: 0, byReset: false)
        do {
            try output.finish()
        } catch let error as MemoryError {
            if case .connectionClosed = error.streamFailureKind { throw error }
        }
    }

    /// Breaks both halves.
    public func reset(code: StreamErrorCode) {
        announce()
        output.reset(code: code.rawValue)
        input.stop(code: code.rawValue, byReset: true)
    }
}
