public import Libp2pTLS

/// What a finished handshake established.
public struct HandshakeResult: Sendable {
    /// The peer whose certificate was verified.
    public var peer: VerifiedPeer
    /// The application protocol, `libp2p`.
    public var alpn: String
    /// The TLS cipher suite, such as `TLS_AES_128_GCM_SHA256`; `nil` if the library does not say.
    public var cipherSuite: String?
    /// Whether an earlier session was resumed: there were no certificates, the peer is the one of the first handshake.
    public var isResumed: Bool
    /// Whether early data was offered and the server has taken it (RFC 8446 §4.2.10).
    public var isEarlyDataAccepted: Bool
    /// The QUIC version number, `0x00000001` for version 1.
    public var version: UInt32
}

/// How a connection came to its end.
public struct ConnectionTermination: Sendable {
    /// The kind of end.
    public enum Cause: Sendable, Hashable {
        /// One side closed it with an application code (RFC 9000 §19.19, type 0x1d).
        case application
        /// One side closed it with a transport code (type 0x1c), TLS alerts included.
        case transport
        /// Nothing arrived for the idle timeout.
        case idleTimeout
        /// The handshake was not done in time.
        case handshakeTimeout
        /// The peer has lost its state and said so (RFC 9000 §10.3).
        case statelessReset
        /// The peer speaks none of our versions.
        case versionNegotiation
        /// The connection was given up without a word to the peer.
        case dropped
    }

    /// The kind of end.
    public var cause: Cause
    /// The code that was sent or received; 0 where there is none.
    public var code: UInt64
    /// The type of the frame that provoked a transport close; 0 if unknown.
    public var frameType: UInt64
    /// The reason phrase, at most 1 KiB, decoded lossily.
    public var reason: String
    /// Whether the peer ended it.
    public var byPeer: Bool
    /// The error that users of the connection see.
    public var error: QuicError

    /// Describes an end.
    public init(
        cause: Cause,
        code: UInt64,
        frameType: UInt64,
        reason: String,
        byPeer: Bool,
        error: QuicError
    ) {
        self.cause = cause
        self.code = code
        self.frameType = frameType
        self.reason = reason
        self.byPeer = byPeer
        self.error = error
    }
}

/// Both ends of a path.
public struct NetworkPath: Sendable, Hashable {
    /// The address of this side.
    public var local: NetworkAddress
    /// The address of the peer.
    public var remote: NetworkAddress

    /// Names a path.
    public init(local: NetworkAddress, remote: NetworkAddress) {
        self.local = local
        self.remote = remote
    }
}

/// What happened on a connection since it was last asked.
///
/// What is large comes seldom and stands in memory of its own: events of streams, of which there are many, stay small.
public enum ConnectionEvent: Sendable {
    /// Early data (0-RTT), while the handshake goes on; only with ``QuicConfiguration/Resumption/earlyData``. A client that
    /// has offered it may open streams and send from now on. On a server some has arrived: until ``handshakeCompleted(_:)``
    /// it may be a copy of what the peer said to another server. The result tells the peer of the earlier session; the rest is
    /// as far as known.
    indirect case earlyDataStarted(HandshakeResult)
    /// The server has not taken the early data of this client: the streams that were opened early are gone, and nothing that was
    /// written to them has been delivered. Their numbers are used again. Comes before ``handshakeCompleted(_:)``.
    case earlyDataRejected([StreamID])
    /// The peer is verified and data may flow. A client's server may still refuse it: see ``handshakeConfirmed``.
    indirect case handshakeCompleted(HandshakeResult)
    /// Both sides know that the handshake is done; for a client this means that the server has accepted it.
    case handshakeConfirmed
    /// The peer opened a stream.
    case streamOpened(StreamID)
    /// Bytes arrived in order, or the end of the stream, or both.
    case streamData(StreamID, bytes: [UInt8], isEnd: Bool)
    /// The peer reset its sending half.
    case streamReset(StreamID, code: UInt64)
    /// The peer does not want more bytes; the library has answered with a reset.
    case streamStopped(StreamID, code: UInt64)
    /// The peer acknowledged bytes of a stream; their memory was let go.
    case streamAcknowledged(StreamID, count: Int)
    /// The peer's flow control had held a stream back, or the whole connection, and what waits on the stream goes out again.
    case streamWritable(StreamID)
    /// Both halves of a stream are over; its number is free.
    case streamClosed(StreamID)
    /// The peer allows more streams.
    case streamsAvailable
    /// An unreliable datagram arrived (RFC 9221).
    case datagramReceived([UInt8])
    /// The peer has acknowledged a ``ConnectionCore/ping()``.
    case pingAcknowledged(UInt64)
    /// A token for the next connection to this server (RFC 9000 §8.1.3).
    case newToken([UInt8])
    /// The peer is given one more connection ID of this side (RFC 9000 §5.1.1). That of the handshake, number 0, is not
    /// reported.
    case connectionIDIssued(ConnectionID, sequence: UInt64)
    /// A connection ID of this side, which the peer does not use any more, is forgotten (RFC 9000 §5.1.2).
    case connectionIDRetired(ConnectionID, sequence: UInt64)
    /// A path was validated or given up.
    case pathValidated(success: Bool)
    /// The connection has moved to another path, which is validated (RFC 9000 §9).
    indirect case pathChanged(from: NetworkPath, to: NetworkPath)
    /// The connection is over. The last event.
    indirect case terminated(ConnectionTermination)
}
