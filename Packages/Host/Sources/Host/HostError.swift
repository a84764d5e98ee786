public import NetStream

/// What the host throws.
///
/// Two errors are equal when their codes are.
public struct HostError: Error, Sendable {
    /// What went wrong, as an open set that may grow.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        public let description: String

        private init(_ name: String) {
            description = name
        }

        /// The host is closed.
        public static let closed = Code("closed")
        /// The configuration makes no sense; the message names the field.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// The peer or the address is this host itself.
        public static let dialSelf = Code("dialSelf")
        /// No address of the peer is known.
        public static let noAddresses = Code("noAddresses")
        /// No transport serves the address.
        public static let noTransport = Code("noTransport")
        /// The transport cannot listen on the address; see ``HostError/cause``.
        public static let listenFailed = Code("listenFailed")
        /// Every address of the peer failed; see ``HostError/cause`` for the last failure.
        public static let dialFailed = Code("dialFailed")
        /// The known addresses failed not long ago; they are not dialled again before some time.
        public static let dialBackOff = Code("dialBackOff")
        /// The network is taken to swallow what is sent to the known addresses; see ``BlackHoleDetection``.
        public static let blackHole = Code("blackHole")
        /// The connection gater does not allow it.
        public static let gated = Code("gated")
        /// A limit of ``ResourceLimits``, or that on connections, does not allow it. ``HostError/cause`` is a
        /// ``ResourceLimitExceeded``, which names the scope, the limit and the setting.
        public static let resourceLimit = Code("resourceLimit")
        /// There is no connection to the peer.
        public static let notConnected = Code("notConnected")
        /// The peer speaks none of the protocols proposed.
        public static let protocolsNotSupported = Code("protocolsNotSupported")
        /// The other side does not follow multistream-select 1.0.
        public static let negotiationFailed = Code("negotiationFailed")
        /// A protocol name is empty, too long, or has a line feed in it.
        public static let invalidProtocolName = Code("invalidProtocolName")
        /// The peer's identify message is malformed, too large, or speaks of somebody else.
        public static let identifyFailed = Code("identifyFailed")
        /// A signed envelope is malformed.
        public static let malformedEnvelope = Code("malformedEnvelope")
        /// A signed envelope's signature is wrong, or it is of another kind than expected.
        public static let invalidEnvelope = Code("invalidEnvelope")
        /// A peer answered a ping with the wrong bytes.
        public static let pingFailed = Code("pingFailed")
        /// A peer sent another number of bytes than a measurement asked for.
        public static let perfFailed = Code("perfFailed")
        /// What a host knows could not be read from disk, or not be written to it.
        public static let storageFailed = Code("storageFailed")
        /// A deadline passed.
        public static let timeout = Code("timeout")
        /// The task was cancelled.
        public static let cancelled = Code("cancelled")
        /// A stream broke; see ``HostError/cause``.
        public static let streamFailed = Code("streamFailed")
    }

    /// What went wrong.
    public var code: Code
    /// What went wrong and what to do about it, for people.
    public var message: String
    /// The error under this one.
    public var cause: (any Error)?

    /// Makes an error from its parts.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }
}

extension HostError: Hashable {
    /// Whether two errors have the same code.
    public static func == (left: HostError, right: HostError) -> Bool { left.code == right.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension HostError: CustomStringConvertible {
    /// Code, message and cause in one line.
    public var description: String {
        "HostError.\(code): \(message)" + (cause.map { " (\($0))" } ?? "")
    }
}

extension HostError: ClassifiedStreamError {
    /// What the error means for a stream.
    public var streamFailureKind: StreamFailureKind {
        switch code {
        case .timeout: .timeout
        case .cancelled: .cancelled
        case .resourceLimit: .limitExceeded
        default: (cause as? any ClassifiedStreamError)?.streamFailureKind ?? .other
        }
    }
}

extension HostError {
    /// Wraps whatever came from below: timeouts and cancellations keep their meaning, and so does what the host itself said
    /// through a stream, as that the peer does not speak the protocol of a lazy one.
    static func wrapping(_ error: any Error, as code: Code, _ message: String) -> HostError {
        if let error = error as? HostError { return error }
        switch (error as? any ClassifiedStreamError)?.streamFailureKind {
        case .timeout: return HostError(.timeout, "\(message): it took too long", cause: error)
        case .cancelled: return HostError(.cancelled, "\(message): the task was cancelled", cause: error)
        default: break
        }
        if error is CancellationError {
            return HostError(.cancelled, "\(message): the task was cancelled", cause: error)
        }
        if let told = (error as? NetStreamError)?.cause as? HostError { return told }
        return HostError(code, message, cause: error)
    }
}
