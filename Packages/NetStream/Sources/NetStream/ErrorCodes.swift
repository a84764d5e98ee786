/// The code that travels with a stream's reset.
///
/// An open number: any 62-bit value can arrive from the wire. The named members are those of the libp2p error-code
/// registry for streams.
public struct StreamErrorCode: RawRepresentable, Sendable, Hashable {
    /// The number on the wire, at most 2^62 − 1.
    public var rawValue: UInt64

    /// Wraps a number from the wire.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// No particular reason; what most implementations send when they are simply done with a stream.
    public static let none = StreamErrorCode(rawValue: 0)
    /// A stream broke on an error that has no code of its own.
    public static let generic = StreamErrorCode(rawValue: 1)
    /// Protocol negotiation failed.
    public static let protocolNegotiationFailed = StreamErrorCode(rawValue: 0x1001)
    /// A resource limit was reached.
    public static let resourceLimitExceeded = StreamErrorCode(rawValue: 0x1002)
    /// The peer asks too often.
    public static let rateLimited = StreamErrorCode(rawValue: 0x1003)
    /// The peer broke the protocol spoken on the stream.
    public static let protocolViolation = StreamErrorCode(rawValue: 0x1004)
    /// Another stream took this one's place.
    public static let supplanted = StreamErrorCode(rawValue: 0x1005)
    /// The stream was idle and was collected.
    public static let garbageCollected = StreamErrorCode(rawValue: 0x1006)
    /// The node is shutting down.
    public static let shutdown = StreamErrorCode(rawValue: 0x1007)
    /// A gater refused the stream.
    public static let gated = StreamErrorCode(rawValue: 0x1008)
}

/// The application code that travels with a connection's close.
public struct ConnectionErrorCode: RawRepresentable, Sendable, Hashable {
    /// The number on the wire, at most 2^62 − 1.
    public var rawValue: UInt64

    /// Wraps a number from the wire.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// An orderly close.
    public static let none = ConnectionErrorCode(rawValue: 0)
    /// Protocol negotiation failed.
    public static let protocolNegotiationFailed = ConnectionErrorCode(rawValue: 0x1000)
    /// A resource limit was reached.
    public static let resourceLimitExceeded = ConnectionErrorCode(rawValue: 0x1001)
    /// The peer connects or asks too often.
    public static let rateLimited = ConnectionErrorCode(rawValue: 0x1002)
    /// The peer broke the protocol.
    public static let protocolViolation = ConnectionErrorCode(rawValue: 0x1003)
    /// Another connection took this one's place.
    public static let supplanted = ConnectionErrorCode(rawValue: 0x1004)
    /// The connection was idle and was collected.
    public static let garbageCollected = ConnectionErrorCode(rawValue: 0x1005)
    /// The node is shutting down.
    public static let shutdown = ConnectionErrorCode(rawValue: 0x1006)
    /// A gater refused the connection.
    public static let gated = ConnectionErrorCode(rawValue: 0x1007)
}
