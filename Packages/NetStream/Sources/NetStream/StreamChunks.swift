/// The bytes of a stream as they arrive, until its end.
///
/// Ends at the end of the stream and throws ``NetStreamError`` when the stream breaks.
public struct StreamChunks: AsyncSequence, Sendable {
    /// What one step yields.
    public typealias Element = [UInt8]
    /// What iterating throws: always a ``NetStreamError``.
    public typealias Failure = any Error

    let stream: NetStream
    let maxLength: Int

    /// Reads chunk after chunk.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let stream: NetStream
        let maxLength: Int
        var isOver = false

        /// Waits for the next chunk; `nil` at the end of the stream.
        public mutating func next() async throws -> [UInt8]? {
            guard !isOver else { return nil }
            do {
                let chunk = try await stream.read(upTo: maxLength)
                isOver = chunk == nil
                return chunk
            } catch let error as NetStreamError where error.code == .endOfStream {
                // Somebody else read the end, or closed the reading half.
                isOver = true
                return nil
            }
        }
    }

    /// Starts to iterate. Several iterators share the stream's bytes.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(stream: stream, maxLength: maxLength)
    }
}

extension NetStream {
    /// The stream's bytes as they arrive, in chunks of at most 64 KiB, until its end.
    public var chunks: StreamChunks { chunks(upTo: 65536) }

    /// The stream's bytes as they arrive, in chunks of at most `maxLength` bytes (at least 1), until its end.
    public func chunks(upTo maxLength: Int) -> StreamChunks {
        StreamChunks(stream: self, maxLength: maxLength)
    }
}
