public import Multiaddr
public import PeerID

/// Why a connection ended.
public struct ConnectionCloseReason: Sendable {
    /// The application code, or the transport's own code when ``isApplication`` is false.
    public var code: UInt64
    /// Whether ``code`` is an application code (as the `ConnectionErrorCode`s are) or one of the transport.
    public var isApplication: Bool
    /// Whether the peer closed it.
    public var byPeer: Bool
    /// The text that came with the close; may be empty. Text from the peer is bounded and lossily decoded.
    public var reason: String
    /// The error that ended the connection, when it was not an orderly close.
    public var cause: (any Error)?

    /// Makes a reason from its parts.
    public init(code: UInt64, isApplication: Bool, byPeer: Bool, reason: String, cause: (any Error)? = nil) {
        self.code = code
        self.isApplication = isApplication
        self.byPeer = byPeer
        self.reason = reason
        self.cause = cause
    }
}

/// A secured connection to one peer that carries many streams.
public protocol MuxedConnection: AnyObject, Sendable {
    /// This side's peer ID.
    var localPeer: PeerID { get }
    /// The other side's peer ID, proved in the handshake.
    var remotePeer: PeerID { get }
    /// The other side's public key, proved in the handshake.
    var remotePublicKey: PublicKey { get }
    /// The local address, without `/p2p`.
    var localAddress: Multiaddr { get }
    /// The remote address, without `/p2p`.
    var remoteAddress: Multiaddr { get }
    /// Who opened the connection.
    var direction: Direction { get }
    /// Whether the connection is closed or closing.
    var isClosed: Bool { get }

    /// How long a packet and its acknowledgement take at present, smoothed (RFC 9002 §5.3). `nil` when the transport does
    /// not measure it or has no sample yet. Cheap to ask.
    var roundTripTime: Duration? { get }

    /// Where the connection is driven, for tasks that want to be woken by its streams without waking a thread. What runs
    /// there holds up everything else on it, so it must be short and must not block. `nil` where there is no such place.
    var taskExecutor: (any TaskExecutor)? { get }

    /// Opens a bidirectional stream, waiting for stream credit if there is none.
    ///
    /// - Throws: A ``ClassifiedStreamError``.
    func openStream() async throws -> any MuxedStream

    /// Opens a bidirectional stream if that needs no waiting, such as by a task on the ``taskExecutor``; saves what waiting
    /// needs. `nil` when it does, and nothing was done: call ``openStream()``.
    ///
    /// - Throws: A ``ClassifiedStreamError``.
    func openStreamAtOnce() throws -> (any MuxedStream)?

    /// Waits for the next stream that the peer opens.
    ///
    /// - Throws: A ``ClassifiedStreamError``, of kind ``StreamFailureKind/connectionClosed(code:byPeer:)`` once the
    ///   connection is closed.
    func acceptStream() async throws -> any MuxedStream

    /// Waits until the peer's side has what was written to streams whose sending half was ended here, as far as they are not
    /// broken. Returns early when the connection is over or the task is cancelled. There is no deadline: a peer that does
    /// not read keeps it waiting.
    func flush() async

    /// Closes the connection and all its streams. Idempotent; returns when the close is done or its deadline passed.
    func close(code: ConnectionErrorCode, reason: String) async

    /// Waits until the connection is over and says why.
    func waitUntilClosed() async -> ConnectionCloseReason
}

extension MuxedConnection {
    /// No place of its own: its streams are driven by the tasks that use them.
    public var taskExecutor: (any TaskExecutor)? { nil }

    /// Always waits.
    public func openStreamAtOnce() throws -> (any MuxedStream)? { nil }

    /// Not measured.
    public var roundTripTime: Duration? { nil }

    /// Returns at once: for transports in which what was written has arrived.
    public func flush() async {}
}
