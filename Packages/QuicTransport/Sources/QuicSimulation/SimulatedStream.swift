public import QuicCore

/// What a stream is to carry: the opener sends a header and `request` bytes, the other side answers with `response` bytes.
public struct StreamPlan: Sendable, Hashable {
    /// Bytes that the opener sends.
    public var request: Int
    /// Bytes that the other side sends.
    public var response: Int
    /// How the opener cuts the stream short, if it does.
    public var abort: Abort?

    /// Cutting a stream short.
    public struct Abort: Sendable, Hashable {
        /// Which half the opener ends.
        public enum Half: Sendable, Hashable {
            /// Its own sending half, by RESET_STREAM.
            case sending
            /// The other side's, by STOP_SENDING.
            case receiving
        }

        /// Which half.
        public var half: Half
        /// How long after the stream was opened.
        public var after: Duration
    }

    /// Plans a stream.
    public init(request: Int, response: Int, abort: Abort? = nil) {
        self.request = request
        self.response = response
        self.abort = abort
    }
}

/// One side of a stream: what it has to send and what has arrived so far.
public final class SimulatedStream {
    /// The number of the stream.
    public let id: StreamID
    /// Whether this side opened it.
    public let isOpener: Bool
    /// Bytes of the pattern that arrived in order.
    public internal(set) var received = 0
    /// Whether the end of the stream arrived.
    public internal(set) var hasEnded = false
    /// The code with which the other side reset its half.
    public internal(set) var resetCode: UInt64?
    /// Whether both halves are over.
    public internal(set) var isClosed = false
    /// When the end arrived.
    public internal(set) var endedAt: UInt64?

    /// Where in the pattern the arriving bytes begin, and how many there are to be; for the answering side once the header
    /// is there.
    var expected: (start: Int, count: Int)?
    /// The header as far as it arrived; the opener gets none.
    var header: [UInt8] = []
    var hasAnswered = false
    /// What this side did to the stream.
    var ownResetCode: UInt64?
    var ownStopCode: UInt64?

    init(id: StreamID, isOpener: Bool) {
        self.id = id
        self.isOpener = isOpener
    }

    /// Request and response: where in the pattern they begin, and their lengths.
    struct Header {
        static let length = 24
        var requestStart: Int
        var request: Int
        var responseStart: Int
        var response: Int

        var bytes: [UInt8] {
            [(requestStart, 4), (request, 8), (responseStart, 4), (response, 8)].flatMap { value, length in
                (0..<length).map { UInt8(truncatingIfNeeded: value >> (8 * (length - 1 - $0))) }
            }
        }

        init(requestStart: Int, request: Int, responseStart: Int, response: Int) {
            self.requestStart = requestStart
            self.request = request
            self.responseStart = responseStart
            self.response = response
        }

        init(_ bytes: [UInt8]) {
            func number(_ range: Range<Int>) -> Int { bytes[range].reduce(0) { $0 << 8 | Int($1) } }
            self.init(
                requestStart: number(0..<4),
                request: number(4..<12),
                responseStart: number(12..<16),
                response: number(16..<24)
            )
        }
    }
}
