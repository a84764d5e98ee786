internal import CNgtcp2Shims
internal import DequeModule
internal import Libp2pTLS

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Names a connection inside its endpoint. Never reused.
public struct ConnectionHandle: Sendable, Hashable {
    /// A running number.
    public let rawValue: UInt64

    /// Wraps a number.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// Takes the qlog of one connection (draft-ietf-quic-qlog-main-schema), piece by piece, and whether it was the last one.
/// The bytes are valid during the call.
public typealias QlogSink = (_ bytes: UnsafeRawBufferPointer, _ isLast: Bool) -> Void

/// Where a connection's unpredictable bytes and connection IDs come from.
public protocol ConnectionEntropy: AnyObject {
    /// Fills memory with unpredictable bytes.
    func fill(_ bytes: UnsafeMutableRawBufferPointer)

    /// Makes a connection ID of `length` bytes and the stateless reset token that goes with it (16 bytes).
    func makeConnectionID(length: Int) -> (id: ConnectionID, resetToken: [UInt8])
}

/// One QUIC connection without I/O: no socket, no clock, no lock.
///
/// Drive it in this order, always from the same thread or event loop:
///
/// 1. Feed one input: ``receive(_:from:to:ecn:now:)``, ``handleTimer(now:)``, or any of the operations on streams and on
///    the connection.
/// 2. Take ``nextEvent()`` until it returns `nil`.
/// 3. Call ``writeBatch(into:maxSegments:now:)`` until it returns `nil`, and send what it wrote.
/// 4. Arm one timer for ``nextDeadline``.
/// 5. Once ``isFinished`` is true, let the connection go.
///
/// Times are nanoseconds of any monotonic clock; a time before an earlier one counts as that earlier one.
///
/// The object owns one C connection and its TLS session and frees them when it is released. C calls back into it through
/// an unretained pointer, and only from inside the object's own methods, so the pointer is always valid.
public final class ConnectionCore {
    /// The name of the connection in its endpoint.
    public let handle: ConnectionHandle
    /// Whether this side accepted the connection.
    public let isServer: Bool
    /// The address the peer was first seen at or dialed at.
    public let initialRemote: NetworkAddress

    let session: TLSSession
    let entropy: any ConnectionEntropy
    var pointer: OpaquePointer?

    // MARK: streams

    var streams: [StreamID: StreamRecord] = [:]
    /// Streams with something to send, in turn.
    var sendQueue: Deque<StreamRecord> = []
    /// Streams that wait for the connection's flow-control credit.
    var heldByConnection: [StreamRecord] = []
    var dirtyStreams: [StreamRecord] = []
    var acknowledgedStreams: [StreamRecord] = []
    /// STOP_SENDING frames in the datagram that is being read.
    var stops: [(stream: StreamID, code: UInt64)] = []

    // MARK: output

    var events: Deque<ConnectionEvent> = []
    /// Connection IDs issued and retired since the endpoint last looked.
    var identifierChanges: [IdentifierChange] = []
    let qlogSink: QlogSink?
    let closeTimeout: UInt64
    let keepAlive: UInt64
    /// Where the close packet goes: the path in use when this side closed.
    var closePath: (remote: NetworkAddress, local: NetworkAddress)?
    /// A packet that was written for another path than the batch it came in.
    var stash: Stash?
    var outgoingDatagrams: Deque<[UInt8]> = []
    var nextDatagramID: UInt64 = 0
    let vectors = UnsafeMutablePointer<lp2p_vec>.allocate(capacity: ConnectionCore.maxVectors)
    static let maxVectors = 16

    // MARK: path

    /// The socket addresses of the last datagram, so that they are not built again for each. The C form stands in memory
    /// of its own, because callbacks touch this object while C reads it.
    var lastRemote: NetworkAddress {
        didSet { remoteLength = lastRemote.store(in: remoteSockaddr) }
    }
    var lastLocal: NetworkAddress {
        didSet { localLength = lastLocal.store(in: localSockaddr) }
    }
    /// The socket is bound to the unspecified address and the connection was dialed, so that the system chooses the address
    /// of this side. To the library it stays unspecified, or the first answer would seem to come by another path.
    let isLocalOpen: Bool
    /// Where the last datagram arrived.
    var observedLocal: NetworkAddress
    private let remoteSockaddr = UnsafeMutablePointer<sockaddr_storage>.allocate(capacity: 1)
    private let localSockaddr = UnsafeMutablePointer<sockaddr_storage>.allocate(capacity: 1)
    private var remoteLength: socklen_t
    private var localLength: socklen_t

    // MARK: life

    enum Phase {
        case open
        /// This side closed: the packet answers what still arrives.
        case closing(until: UInt64)
        /// The peer closed: silence.
        case draining(until: UInt64)
        case finished
    }

    var phase = Phase.open
    var closePacket: [UInt8] = []
    var closePacketPending = false
    var datagramsSinceClose = 0
    var wasReset = false
    var handshakeDone = false
    var isUnverified = false
    var needsKeepAlive = false
    /// The end of the connection, once it is known.
    public internal(set) var termination: ConnectionTermination?
    /// Counters of datagrams and bytes.
    public internal(set) var traffic = ConnectionTraffic()

    /// What changed about the connection IDs that route to this connection.
    enum IdentifierChange {
        case issued(ConnectionID)
        case retired(ConnectionID)
    }

    struct Stash {
        var bytes: [UInt8]
        var remote: NetworkAddress
        var local: NetworkAddress
        var ecn: UInt8
    }

    init(
        handle: ConnectionHandle,
        isServer: Bool,
        session: TLSSession,
        entropy: any ConnectionEntropy,
        remote: NetworkAddress,
        local: NetworkAddress,
        parameters: ConnectionParameters,
        qlogSink: QlogSink?
    ) {
        self.handle = handle
        self.isServer = isServer
        self.session = session
        self.entropy = entropy
        self.qlogSink = qlogSink
        closeTimeout = parameters.closeTimeout
        keepAlive = parameters.keepAlive
        initialRemote = remote
        lastRemote = remote
        lastLocal = local
        isLocalOpen = !isServer && local.isUnspecified
        observedLocal = local
        remoteLength = remote.store(in: remoteSockaddr)
        localLength = local.store(in: localSockaddr)
    }

    /// Frees the C connection and everything that only it needs. The connection must be finished.
    func dispose() {
        guard case .finished = phase else { return }
        lp2p_conn_delete(pointer)
        pointer = nil
        streams.removeAll()
        dirtyStreams.removeAll()
        acknowledgedStreams.removeAll()
        stash = nil
    }

    deinit {
        lp2p_conn_delete(pointer)
        vectors.deallocate()
        remoteSockaddr.deallocate()
        localSockaddr.deallocate()
    }

    /// Makes the client side of a connection.
    static func client(
        handle: ConnectionHandle,
        session: TLSSession,
        entropy: any ConnectionEntropy,
        parameters: ConnectionParameters,
        destination: ConnectionID,
        source: ConnectionID,
        token: [UInt8],
        remote: NetworkAddress,
        local: NetworkAddress,
        qlogSink: QlogSink? = nil,
        now: UInt64
    ) throws(QuicError) -> ConnectionCore {
        let core = ConnectionCore(
            handle: handle,
            isServer: false,
            session: session,
            entropy: entropy,
            remote: remote,
            local: local,
            parameters: parameters,
            qlogSink: qlogSink
        )
        var config = lp2p_config(parameters, now: now)
        config.qlog = qlogSink == nil ? 0 : 1
        config.original_dcid = lp2p_cid(destination)
        try core.open(config: config, destination: destination, source: source, token: token)
        return core
    }

    /// Makes the server side for a client's first Initial.
    ///
    /// - Parameters:
    ///   - original: The client's first destination connection ID.
    ///   - peer: The client's source connection ID.
    static func server(
        handle: ConnectionHandle,
        session: TLSSession,
        entropy: any ConnectionEntropy,
        parameters: ConnectionParameters,
        original: ConnectionID,
        peer: ConnectionID,
        source: ConnectionID,
        resetToken: [UInt8],
        remote: NetworkAddress,
        local: NetworkAddress,
        qlogSink: QlogSink? = nil,
        now: UInt64
    ) throws(QuicError) -> ConnectionCore {
        let core = ConnectionCore(
            handle: handle,
            isServer: true,
            session: session,
            entropy: entropy,
            remote: remote,
            local: local,
            parameters: parameters,
            qlogSink: qlogSink
        )
        var config = lp2p_config(parameters, now: now)
        config.qlog = qlogSink == nil ? 0 : 1
        config.original_dcid = lp2p_cid(original)
        if resetToken.count == Int(LP2P_RESET_TOKEN_LENGTH) {
            config.has_reset_token = 1
            withUnsafeMutableBytes(of: &config.reset_token) { $0.copyBytes(from: resetToken) }
        }
        try core.open(config: config, destination: peer, source: source, token: [])
        return core
    }

    private func open(
        config: lp2p_config,
        destination: ConnectionID,
        source: ConnectionID,
        token: [UInt8]
    ) throws(QuicError) {
        var config = config
        var status = LP2P_OK
        let owner = Unmanaged.passUnretained(self).toOpaque()
        let session = UnsafeMutableRawPointer(self.session.handle)
        var peer = lp2p_cid(destination)
        var own = lp2p_cid(source)
        let isServer = self.isServer
        var events = connectionCallbacks()
        pointer = token.withUnsafeBufferPointer { token in
            config.token = token.baseAddress
            config.token_length = token.count
            return withSocketAddresses { local, localLength, remote, remoteLength in
                isServer
                    ? lp2p_conn_server_new(
                        &config,
                        &peer,
                        &own,
                        local,
                        localLength,
                        remote,
                        remoteLength,
                        session,
                        &events,
                        owner,
                        &status
                    )
                    : lp2p_conn_client_new(
                        &config,
                        &peer,
                        &own,
                        local,
                        localLength,
                        remote,
                        remoteLength,
                        session,
                        &events,
                        owner,
                        &status
                    )
            }
        }
        guard pointer != nil else { throw QuicError(status: status, while: "making a connection") }
    }

    /// The addresses of the path as the C library wants them.
    func withSocketAddresses<Result>(
        _ body: (UnsafeRawPointer, socklen_t, UnsafeRawPointer, socklen_t) -> Result
    ) -> Result {
        body(UnsafeRawPointer(localSockaddr), localLength, UnsafeRawPointer(remoteSockaddr), remoteLength)
    }

    // MARK: asking

    /// Whether the connection needs no more driving and can be let go.
    public var isFinished: Bool {
        if case .finished = phase { return true }
        return false
    }

    /// Whether the connection is neither closing nor closed.
    public var isOpen: Bool {
        if case .open = phase { return true }
        return false
    }

    /// Whether the handshake is done and the peer verified.
    public var isEstablished: Bool { handshakeDone }

    /// The time at which ``handleTimer(now:)`` is to be called; `nil` for never.
    public var nextDeadline: UInt64? {
        switch phase {
        case .open:
            let expiry = lp2p_conn_expiry(pointer)
            return expiry == .max ? nil : expiry
        case .closing(let until), .draining(let until): return until
        case .finished: return nil
        }
    }

    /// Where the peer is now; it may move (RFC 9000 §9).
    public var remoteAddress: NetworkAddress {
        guard pointer != nil else { return lastRemote }
        var local: UnsafeRawPointer?
        var localLength: UInt32 = 0
        var remote: UnsafeRawPointer?
        var remoteLength: UInt32 = 0
        lp2p_conn_current_path(pointer, &local, &localLength, &remote, &remoteLength)
        let bytes = UnsafeRawBufferPointer(start: remote, count: remote == nil ? 0 : Int(remoteLength))
        return NetworkAddress(sockaddr: bytes) ?? lastRemote
    }

    /// The address of this side on the path in use.
    public var localAddress: NetworkAddress { observedLocal }

    /// Streams that can still be opened before the peer gives more credit.
    public var streamsLeft: UInt64 { isOpen ? lp2p_conn_streams_left(pointer, 1) : 0 }

    /// Round-trip times, congestion window and bytes in flight.
    public var pathStatistics: PathStatistics {
        var stats = lp2p_conn_stats()
        if pointer != nil { lp2p_conn_get_stats(pointer, &stats) }
        return PathStatistics(stats)
    }

    /// The next thing that happened, or `nil`.
    public func nextEvent() -> ConnectionEvent? {
        if events.isEmpty {
            for record in dirtyStreams { flush(record) }
            dirtyStreams.removeAll(keepingCapacity: true)
            for record in acknowledgedStreams { flushAcknowledged(record) }
            acknowledgedStreams.removeAll(keepingCapacity: true)
        }
        return events.popFirst()
    }

    /// Takes the changes of the connection IDs, oldest first.
    func takeIdentifierChanges() -> [IdentifierChange] {
        guard !identifierChanges.isEmpty else { return [] }
        defer { identifierChanges.removeAll(keepingCapacity: true) }
        return identifierChanges
    }
}

extension NetworkAddress {
    /// Writes the address in its C form, and returns how many bytes of it are in use.
    fileprivate func store(in memory: UnsafeMutablePointer<sockaddr_storage>) -> socklen_t {
        let (storage, length) = socketAddress
        memory.initialize(to: storage)
        return length
    }
}
