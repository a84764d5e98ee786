public import NetStream
internal import QuicCore

/// One bidirectional stream of a ``QuicConnection``.
///
/// Safe to use from any task. Reads and writes that must wait do so at most for the deadlines of
/// `QuicConfiguration.Timeouts`, and then throw with the stream as it was: `streamTimeout`, or where a write knows more
/// about what it waited for, `flowControlDeadlock` or `sendMemoryExhausted`.
///
/// A stream whose last reference goes away is cleaned up: a half that is still open is reset, so that neither side keeps
/// memory for it. Data written before ``closeWrite()`` is still delivered then.
public final class QuicStream: MuxedStream {
    /// The QUIC stream number.
    public let id: UInt64
    /// Who opened the stream.
    public let direction: Direction
    /// Whether the stream was opened while the handshake was going on. What the peer says on such a stream may be a copy of what
    /// it said before to another process, sent again by somebody else, until ``QuicConnection/waitForHandshake()`` returns: do
    /// nothing before that which must not be done twice. A stream that this side opened early ends with an error of code
    /// `earlyDataRejected` if the server does not take it.
    public let isEarly: Bool
    /// The connection the stream belongs to.
    public let connection: QuicConnection

    private let mailbox: StreamMailbox

    init(id: StreamID, direction: Direction, isEarly: Bool, mailbox: StreamMailbox, connection: QuicConnection) {
        self.isEarly = isEarly
        self.id = UInt64(id.rawValue)
        self.direction = direction
        self.mailbox = mailbox
        self.connection = connection
    }

    deinit { mailbox.abandon(code: StreamErrorCode.none.rawValue) }

    /// Waits for bytes; see `MuxedStream`. A chunk of the transport that is no longer than `maxLength` is not copied.
    ///
    /// - Throws: ``QuicError`` of code `streamReset`, `streamClosed`, `streamTimeout`, `cancelled`, `earlyDataRejected`, or what
    ///   ended the connection.
    public nonisolated(nonsending) func read(upTo maxLength: Int = .max) async throws -> [UInt8]? {
        try await mailbox.read(upTo: maxLength, timeout: connection.settings.configuration.timeouts.streamRead)
    }

    /// Takes bytes that have arrived; see `MuxedStream`.
    public func readAtOnce(upTo maxLength: Int) -> [UInt8]? { mailbox.readAtOnce(upTo: maxLength) }

    /// Sends bytes; see `MuxedStream`. Fewer than 16 KiB are copied once, into memory that stays until the
    /// peer has them; a larger array is kept until then as it is.
    ///
    /// - Throws: ``QuicError`` of code `streamReset`, `streamClosed`, `streamTimeout`, `flowControlDeadlock` for a deadline
    ///   that passed while the peer too waited for somebody to read, `sendMemoryExhausted` for one that passed while what the
    ///   peer has not acknowledged took all that `QuicConfiguration.Streams.maxSendBufferOfConnection` allows, `cancelled`,
    ///   `earlyDataRejected`, or what ended the connection.
    public nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws {
        try await mailbox.write(bytes, timeout: connection.settings.configuration.timeouts.streamWrite)
    }

    /// Sends bytes if there is room for all of them and nobody else is writing; see `MuxedStream`.
    public func writeAtOnce(_ bytes: [UInt8]) -> Bool { mailbox.writeAtOnce(bytes) }

    /// Ends the sending half (FIN, RFC 9000 §3.1). Idempotent.
    public func closeWrite() async throws {
        try await mailbox.closeWrite(timeout: connection.settings.configuration.timeouts.streamClose)
    }

    /// Ends the receiving half (STOP_SENDING, RFC 9000 §3.5). Idempotent.
    public func closeRead() async throws {
        mailbox.closeRead(code: StreamErrorCode.none.rawValue)
    }

    /// Closes both halves in an orderly way: what was written is still delivered.
    ///
    /// - Throws: ``QuicError``; the stream is reset then.
    public func close() async throws {
        do {
            try await mailbox.closeWrite(timeout: connection.settings.configuration.timeouts.streamClose)
        } catch {
            reset(code: .generic)
            throw error
        }
        mailbox.closeRead(code: StreamErrorCode.none.rawValue)
    }

    /// Breaks both halves at once (RESET_STREAM and STOP_SENDING).
    public func reset(code: StreamErrorCode) {
        mailbox.reset(code: code.rawValue)
    }

    /// The protocol spoken on the stream, if the layer above has told; ``QuicConnection/activeStreams()`` names it too.
    public var protocolID: String? { mailbox.protocolID }

    /// Notes which protocol is spoken on the stream; `NetStream` calls it.
    public func note(protocolID: String?) { mailbox.note(protocolID: protocolID) }

    /// Byte counters and the timeline as they are now. Nothing is collected in the background: ask when you want to know.
    public var statistics: QuicStreamStatistics {
        mailbox.statistics
    }
}
