/// What went wrong on a stream or a connection, whatever the concrete error type of the transport is.
public enum StreamFailureKind: Sendable, Hashable {
    /// The stream was reset, with its code, by this side or by the peer.
    case reset(code: UInt64, byPeer: Bool)
    /// The connection is closed, with its code, by this side or by the peer.
    case connectionClosed(code: UInt64, byPeer: Bool)
    /// The operation needs a half of the stream that was closed before.
    case closed
    /// A deadline passed.
    case timeout
    /// The waiting task was cancelled.
    case cancelled
    /// A limit on streams, connections or memory was reached.
    case limitExceeded
    /// Anything else.
    case other
}

/// An error that says what it means for a stream.
///
/// Transports throw their own error types; the layers above only look at this.
public protocol ClassifiedStreamError: Error {
    /// The meaning of this error for a stream.
    var streamFailureKind: StreamFailureKind { get }

    /// Whether a close that ended so, of kind ``StreamFailureKind/cancelled`` or ``StreamFailureKind/timeout``, had closed the
    /// writing half before. Not so unless the error says it.
    var hasEndedWriting: Bool { get }
}

extension ClassifiedStreamError {
    /// The stream is as it was.
    public var hasEndedWriting: Bool { false }
}

/// One bidirectional, ordered, reliable byte stream of a connection.
///
/// Safe to use from many tasks. At most one read and one write make sense at a time; implementations serialise the
/// rest. A cancelled wait throws an error of kind ``StreamFailureKind/cancelled`` and leaves the stream as it was: no
/// byte is lost or sent twice.
///
/// A stream that nobody holds any more breaks off what is still open, with code 0, so that the peer does not wait for it.
public protocol MuxedStream: AnyObject, Sendable {
    /// The stream's number, unique within its connection.
    var id: UInt64 { get }

    /// Who opened the stream.
    var direction: Direction { get }

    /// Waits for bytes.
    ///
    /// Bytes that arrived before the end of the stream or a reset are delivered first.
    ///
    /// - Parameter maxLength: The most bytes to return, at least 1.
    /// - Returns: Between 1 and `maxLength` bytes, or `nil` at the end of the stream.
    /// - Throws: A ``ClassifiedStreamError``.
    nonisolated(nonsending) func read(upTo maxLength: Int) async throws -> [UInt8]?

    /// Takes bytes that are there, between 1 and `maxLength` of them; saves what waiting needs. `nil` when there are none, or
    /// somebody else waits for them, and at the end of the stream: call ``read(upTo:)``, which says what it is.
    func readAtOnce(upTo maxLength: Int) -> [UInt8]?

    /// Sends bytes, in order.
    ///
    /// Suspends while the stream's send buffer is above its high-water mark, which is the case when the peer does not
    /// read. Returns when the bytes are buffered, not when the peer has acknowledged them.
    ///
    /// - Throws: A ``ClassifiedStreamError``. When it is thrown, part of `bytes` may have been sent.
    nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws

    /// Sends bytes if that needs no waiting; saves what waiting needs. `false` when it does, and nothing was done: call
    /// ``write(_:)``, which also says what is wrong with the stream.
    func writeAtOnce(_ bytes: [UInt8]) -> Bool

    /// Ends the sending half: the peer reads what was written and then the end of the stream.
    func closeWrite() async throws

    /// Asks the peer to stop sending. Reads end from here on.
    func closeRead() async throws

    /// Closes both halves in an orderly way: what was written is still delivered.
    ///
    /// One that is cancelled when it has closed the writing half says so (``ClassifiedStreamError/hasEndedWriting``), and may be
    /// called again.
    func close() async throws

    /// Breaks both halves at once. Never fails; does nothing on a stream that is already over.
    func reset(code: StreamErrorCode)

    /// Tells the transport which protocol is spoken on the stream, so that it can say so when it lists its streams. `nil`
    /// when that is not known any more. A stream that wraps another one passes it on.
    func note(protocolID: String?)
}

extension MuxedStream {
    /// Always waits.
    public func readAtOnce(upTo maxLength: Int) -> [UInt8]? { nil }

    /// Always waits.
    public func writeAtOnce(_ bytes: [UInt8]) -> Bool { false }

    /// Forgotten at once: for transports that list no streams.
    public func note(protocolID: String?) {}
}
