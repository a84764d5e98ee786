/// What a ``NetStream`` and the helpers of this package throw.
///
/// Two errors are equal when their codes are.
public struct NetStreamError: Error, Sendable {
    /// What went wrong, as an open set that may grow.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private let name: String

        private init(_ name: String) {
            self.name = name
        }

        /// The code's name.
        public var description: String { name }

        /// The stream was used before it was established.
        public static let notEstablished = Code("notEstablished")
        /// The stream was established twice.
        public static let alreadyEstablished = Code("alreadyEstablished")
        /// A read after the end of the stream, or after the reading half was closed.
        public static let endOfStream = Code("endOfStream")
        /// A write after the writing half was closed.
        public static let writeClosed = Code("writeClosed")
        /// The stream was reset; see ``NetStreamError/streamCode`` and ``NetStreamError/byPeer``.
        public static let reset = Code("reset")
        /// The stream failed unexpectedly; see ``NetStreamError/cause``.
        public static let failed = Code("failed")
        /// The connection under the stream is closed; see ``NetStreamError/streamCode`` and ``NetStreamError/byPeer``.
        public static let connectionClosed = Code("connectionClosed")
        /// A deadline passed. The stream is as it was.
        public static let timeout = Code("timeout")
        /// The waiting task was cancelled. The stream is as it was.
        public static let cancelled = Code("cancelled")
        /// A bound was exceeded: what the peer sent is longer than the caller allows, or the transport is at a limit.
        public static let limitExceeded = Code("limitExceeded")
        /// The stream ended in the middle of what was to be read. What had arrived can still be read.
        public static let unexpectedEnd = Code("unexpectedEnd")
        /// The length in front of a message is not a minimal unsigned varint of at most 9 bytes.
        public static let malformedLength = Code("malformedLength")
        /// An argument makes no sense.
        public static let invalidArgument = Code("invalidArgument")
    }

    /// What went wrong.
    public var code: Code
    /// What went wrong and what to do about it, for people.
    public var message: String
    /// The transport's error under this one.
    public var cause: (any Error)?
    /// The operation that was attempted.
    public var operation: StreamOperation?
    /// The state the stream was in.
    public var state: StreamState?
    /// The code that came with a reset or with the close of the connection.
    public var streamCode: UInt64?
    /// Whether the peer reset the stream or closed the connection.
    public var byPeer: Bool

    /// Makes an error from its parts.
    public init(
        _ code: Code,
        _ message: String,
        cause: (any Error)? = nil,
        operation: StreamOperation? = nil,
        state: StreamState? = nil,
        streamCode: UInt64? = nil,
        byPeer: Bool = false
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.operation = operation
        self.state = state
        self.streamCode = streamCode
        self.byPeer = byPeer
    }
}

extension NetStreamError: Hashable {
    /// Whether two errors have the same code.
    public static func == (left: NetStreamError, right: NetStreamError) -> Bool {
        left.code == right.code
    }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
    }
}

extension NetStreamError: CustomStringConvertible {
    /// Code, message and cause in one line.
    public var description: String {
        var text = "NetStreamError.\(code): \(message)"
        if let cause { text += " (\(cause))" }
        return text
    }
}

extension NetStreamError: ClassifiedStreamError {
    /// What the error means for a stream, for layers that only know ``ClassifiedStreamError``.
    public var streamFailureKind: StreamFailureKind {
        switch code {
        case .reset: .reset(code: streamCode ?? 0, byPeer: byPeer)
        case .connectionClosed: .connectionClosed(code: streamCode ?? 0, byPeer: byPeer)
        case .endOfStream, .writeClosed: .closed
        case .timeout: .timeout
        case .cancelled: .cancelled
        case .limitExceeded: .limitExceeded
        default: .other
        }
    }
}

extension NetStreamError {
    /// The error for an operation that the state machine refuses. Names state and operation.
    static func refused(
        _ refusal: StreamStateMachine.Refusal,
        operation: StreamOperation,
        state: StreamState,
        end: StreamEnd?
    ) -> NetStreamError {
        switch refusal {
        case .notEstablished:
            NetStreamError(
                .notEstablished,
                "cannot \(operation) in state \(state): call establish() first",
                operation: operation,
                state: state
            )
        case .endOfStream:
            NetStreamError(
                .endOfStream,
                "cannot \(operation) in state \(state): the reading half is over",
                operation: operation,
                state: state
            )
        case .writeClosed:
            NetStreamError(
                .writeClosed,
                "cannot \(operation) in state \(state): the writing half is over; open another stream to send more",
                operation: operation,
                state: state
            )
        case .reset:
            NetStreamError(
                .reset,
                "cannot \(operation) in state \(state): the stream was reset; open another one",
                cause: end?.cause,
                operation: operation,
                state: state,
                streamCode: end?.code,
                byPeer: end?.byPeer ?? false
            )
        case .failed:
            NetStreamError(
                end?.connectionClosed == true ? .connectionClosed : .failed,
                "cannot \(operation) in state \(state): the stream failed before; open another one",
                cause: end?.cause,
                operation: operation,
                state: state,
                streamCode: end?.code,
                byPeer: end?.byPeer ?? false
            )
        }
    }
}

extension NetStreamError {
    /// Whether it only says that the writing half is over already.
    var isEndOfWriting: Bool { code == .writeClosed || (code == .reset && byPeer) }
}

/// How a stream came to its terminal state, kept so that later operations can say it.
struct StreamEnd: Sendable {
    var code: UInt64?
    var byPeer = false
    var connectionClosed = false
    var cause: (any Error)?
}
