extension QuicError {
    /// What went wrong. An open set: later versions may add codes, so a `switch` needs a `default`.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private let rawValue: String

        /// What the code is about.
        public let category: Category

        private init(_ rawValue: String, _ category: Category) {
            self.rawValue = rawValue
            self.category = category
        }

        /// The code's stable name.
        public var description: String { rawValue }

        // MARK: Transport

        /// A dial failed; ``QuicError/dialStage`` says how far it had come, and the message why.
        public static let dial = Code("dial", .transport)
        /// Listening failed.
        public static let listen = Code("listen", .transport)
        /// Something of TLS or of the identity failed.
        public static let security = Code("security", .transport)
        /// The transport, listener, connection or configuration is in a state that forbids the operation.
        public static let state = Code("state", .transport)
        /// The waiting task was cancelled.
        public static let cancelled = Code("cancelled", .transport)
        /// The operating system refused an operation on a socket.
        public static let socket = Code("socket", .transport)
        /// A defect of this library; please report it with the message.
        public static let `internal` = Code("internal", .transport)

        // MARK: Connection

        /// The connection is closed, in an orderly way or by an error that another code does not describe.
        public static let connectionClosed = Code("connectionClosed", .connection)
        /// A deadline passed: of a dial, a handshake, or the idle timeout of a connection.
        public static let timeout = Code("timeout", .connection)
        /// The handshake failed.
        public static let handshake = Code("handshake", .connection)
        /// The peer did not prove the expected identity, or none.
        public static let peerVerification = Code("peerVerification", .connection)
        /// The peer lost the connection's state and said so by a stateless reset (RFC 9000 §10.3).
        public static let statelessReset = Code("statelessReset", .connection)

        // MARK: Stream

        /// The half of the stream that the operation needs is closed.
        public static let streamClosed = Code("streamClosed", .stream)
        /// The stream was reset.
        public static let streamReset = Code("streamReset", .stream)
        /// The stream was opened before the handshake was done, and the server has not taken early data (0-RTT): nothing that
        /// was written to it has been delivered on this connection. Open another stream and repeat the request there.
        public static let earlyDataRejected = Code("earlyDataRejected", .stream)
        /// A deadline of a stream's operation passed. The stream itself stays as it was.
        public static let streamTimeout = Code("streamTimeout", .stream)
        /// The stream's send buffer is full and the caller chose not to wait.
        public static let backPressure = Code("backPressure", .stream)
        /// No stream can be opened: a limit is reached.
        public static let streamLimit = Code("streamLimit", .stream)
        /// The stream is in a state that forbids the operation.
        public static let streamState = Code("streamState", .stream)

        // MARK: Protocol

        /// Flow control limits were violated.
        public static let flowControl = Code("flowControl", .flowControl)
        /// A write's deadline passed while a whole window of the peer's bytes waits on the same stream to be read: where both
        /// sides only write, neither is given credit. The stream itself stays as it was.
        public static let flowControlDeadlock = Code("flowControlDeadlock", .flowControl)
        /// The peer broke the protocol.
        public static let protocolViolation = Code("protocolViolation", .protocol)
        /// A datagram is not a QUIC packet; it is to be dropped.
        public static let malformedPacket = Code("malformedPacket", .protocol)
        /// No common version was found.
        public static let versionNegotiation = Code("versionNegotiation", .protocol)
        /// The version is not supported by the installed QUIC library.
        public static let unsupportedVersion = Code("unsupportedVersion", .protocol)

        /// The peer takes no unreliable datagrams.
        public static let datagramUnsupported = Code("datagramUnsupported", .protocol)
        /// An unreliable datagram does not fit into a packet, or is more than the peer takes.
        public static let datagramTooLarge = Code("datagramTooLarge", .protocol)

        // MARK: Resources

        /// A limit that no other code describes is reached: so many pings wait for their answer.
        public static let limit = Code("limit", .resource)
        /// A memory limit is reached.
        public static let memoryLimit = Code("memoryLimit", .resource)
        /// A write's deadline passed while what the peer has not acknowledged took all send memory of the connection. The stream
        /// itself stays as it was.
        public static let sendMemoryExhausted = Code("sendMemoryExhausted", .resource)
        /// The limit on connections is reached.
        public static let connectionLimit = Code("connectionLimit", .resource)

        // MARK: Addresses and configuration

        /// The address is not one this transport can use.
        public static let invalidAddress = Code("invalidAddress", .address)
        /// A name could not be resolved.
        public static let resolution = Code("resolution", .address)
        /// A field of the configuration is invalid; ``QuicError/field`` names it.
        public static let invalidConfiguration = Code("invalidConfiguration", .configuration)
        /// This side's certificate could not be made.
        public static let certificate = Code("certificate", .configuration)
    }

    /// The groups that error codes fall into.
    public enum Category: String, Sendable, Hashable, CaseIterable {
        /// Dialing, listening, security, and the transport as a whole.
        case transport
        /// One connection.
        case connection
        /// One stream.
        case stream
        /// Credit and windows.
        case flowControl
        /// What is on the wire.
        case `protocol`
        /// Limits and memory.
        case resource
        /// Addresses and names.
        case address
        /// Settings and certificates.
        case configuration
    }

    /// What the error's ``code`` is about.
    public var category: Category { code.category }
}
