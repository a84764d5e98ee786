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

    /// The TLS session; `nil` once the handshake is confirmed and it has no more to do.
    private(set) var session: TLSSession?
    /// Who the other end is, once every check has passed.
    var verifiedPeer: VerifiedPeer?
    let entropy: any ConnectionEntropy
    var pointer: OpaquePointer?

    // MARK: streams

    // These two are looked at many times for each packet. A release build does not check that access to them is exclusive, which
    // would cost more than the access. It is: a connection belongs to one thread, and no method calls another one, or the C
    // library, which calls back, from inside a change of either. Debug builds, which the tests and the sanitizers run, check
    // just that, and stop the process where it is not so.
    #if !DEBUG
    @exclusivity(unchecked)
    #endif
    var streams: [StreamID: StreamRecord] = [:]
    #if !DEBUG
    @exclusivity(unchecked)
    #endif
    var queues = ConnectionQueues()

    // MARK: output

    let qlogSink: QlogSink?
    let closeTimeout: UInt64
    let keepAlive: UInt64
    /// Where the close packet goes: the path in use when this side closed.
    var closePath: (remote: NetworkAddress, local: NetworkAddress)?
    /// A packet that was written for another path than the batch it came in.
    var stash: Stash?
    let maxQueuedDatagrams: Int
    /// For the window of the connection, and to copy for that of each stream; `nil` where the library sees to them.
    var connectionTuner: WindowTuner?
    let streamTuner: WindowTuner?
    /// When the last batch was written.
    var lastSent: UInt64 = 0
    /// What was sent since pacing was last told.
    var unpacedBytes = 0
    /// The time before which pacing holds back what comes next, and the deadline without that: where nothing waited when the
    /// last burst was sent, until something is tried again.
    var idlePacing: (next: UInt64, otherwise: UInt64)?
    var nextDatagramID: UInt64 = 0
    let vectors = UnsafeMutablePointer<lp2p_vec>.allocate(capacity: ConnectionCore.maxVectors)
    static let maxVectors = 16

    // MARK: path

    /// Keeps packets small on a path that has shrunk.
    var pathSize = PathSizeGuard()
    /// What the path carries, as of the batch that is being written.
    var payloadNow = PathSizeGuard.minimum
    /// More than a packet takes was there to be sent on one stream.
    var hasSentMuch = false
    /// The largest datagram offered to the library.
    let maxPayload: Int
    /// The socket addresses of the last datagram, so that they are not built again for each. The C form stands in memory
    /// of its own, because callbacks touch this object while C reads it.
    var lastRemote: NetworkAddress {
        didSet { remoteLength = lastRemote.store(in: remoteSockaddr) }
    }
    var lastLocal: NetworkAddress {
        didSet { localLength = lastLocal.store(in: localSockaddr) }
    }
    /// The sockets of a dialed connection that are bound to the unspecified address, so that the system chooses the address
    /// of this side. To the library it stays unspecified, or the first answer would seem to come by another path.
    var openLocals: [NetworkAddress] = []
    /// The path in use, the address of this side as datagrams arrived there.
    var path: NetworkPath
    let migration: QuicConfiguration.Migration
    private let remoteSockaddr = NetworkAddress.makeSockaddr()
    private let localSockaddr = NetworkAddress.makeSockaddr()
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
    var isConfirmed = false
    var isUnverified = false
    var earlyData = EarlyDataPhase.none
    /// Whether this server has taken early data; known when the handshake is done.
    var tookEarlyData = false
    /// The QUIC version as far as it is known.
    let firstVersion: UInt32
    var needsKeepAlive = false
    /// The endpoint has nothing more to do for the handshake.
    var isSettled = false
    /// The end of the connection, once it is known.
    public internal(set) var termination: ConnectionTermination?
    /// Counters of datagrams and bytes.
    public var traffic: ConnectionTraffic { counted }
    var counted = ConnectionTraffic()
    /// How many streams there have been.
    public internal(set) var streamCounts = StreamCounts()
    /// The number of the next stream that this side opens (RFC 9000 §2.1). When early data is refused, the numbers of its
    /// streams are given to the next ones.
    public internal(set) var nextStreamID: StreamID
    /// What became of unreliable datagrams.
    public var datagramCounts: DatagramCounts { countedDatagrams }
    var countedDatagrams = DatagramCounts()
    var identifierCounts = ConnectionIDCounts()
    /// The connection IDs of this side that are in use, with their numbers: as many as the peer asked for.
    var ownIDs: [(id: ConnectionID, sequence: UInt64)]

    /// Opens a connection: a client's first packet is in its next batch, a server waits for the client's.
    ///
    /// - Throws: ``QuicError`` of what the library reports.
    init(_ opening: ConnectionOpening, now: UInt64) throws(QuicError) {
        handle = opening.handle
        isServer = opening.isServer
        session = opening.session
        entropy = opening.entropy
        qlogSink = opening.qlogSink
        closeTimeout = opening.parameters.closeTimeout
        keepAlive = opening.parameters.keepAlive
        maxPayload = max(opening.parameters.initialPayload, opening.parameters.maxPayload)
        initialRemote = opening.remote
        lastRemote = opening.remote
        lastLocal = opening.local
        if !opening.isServer, opening.local.isUnspecified { openLocals = [opening.local] }
        path = NetworkPath(local: opening.local, remote: opening.remote)
        migration = opening.parameters.migration
        maxQueuedDatagrams = opening.parameters.maxQueuedDatagrams
        firstVersion = opening.parameters.version
        ownIDs = [(opening.source, 0)]
        nextStreamID = StreamID(rawValue: opening.isServer ? 1 : 0)
        (connectionTuner, streamTuner) = opening.parameters.windowTuners
        remoteLength = opening.remote.store(in: remoteSockaddr)
        localLength = opening.local.store(in: localSockaddr)
        try open(opening, now: now)
    }

    /// Frees the C connection and everything that only it needs. The connection must be finished.
    func dispose() {
        guard case .finished = phase else { return }
        lp2p_conn_delete(pointer)
        pointer = nil
        streams.removeAll()
        queues.dirtyStreams.removeAll()
        queues.acknowledgedStreams.removeAll()
        stash = nil
    }

    deinit {
        lp2p_conn_delete(pointer)
        vectors.deallocate()
        remoteSockaddr.deallocate()
        localSockaddr.deallocate()
    }

    private func open(_ opening: ConnectionOpening, now: UInt64) throws(QuicError) {
        var config = opening.config(now: now)
        let pathSizes = PathSizes.discovery(upTo: opening.parameters.maxPayload)
        var status = LP2P_OK
        let owner = Unmanaged.passUnretained(self).toOpaque()
        let session = UnsafeMutableRawPointer(opening.session.handle)
        var peer = lp2p_cid(opening.destination)
        var own = lp2p_cid(opening.source)
        var events = connectionCallbacks()
        let make = isServer ? lp2p_conn_server_new : lp2p_conn_client_new
        pointer = opening.token.withUnsafeBufferPointer { token in
            config.token = token.baseAddress
            config.token_length = token.count
            return pathSizes.withUnsafeBufferPointer { sizes in
                config.path_sizes = sizes.baseAddress
                config.path_size_count = sizes.count
                return withSocketAddresses { local, localLength, remote, remoteLength in
                    make(
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
        }
        guard pointer != nil else { throw QuicError(status: status, while: "making a connection") }
        try rememberServer()
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
            var expiry = lp2p_conn_expiry(pointer)
            if let idlePacing, expiry == idlePacing.next { expiry = idlePacing.otherwise }
            expiry = min(expiry, queues.pings.deadline ?? .max)
            return expiry == .max ? nil : expiry
        case .closing(let until), .draining(let until): return until
        case .finished: return nil
        }
    }

    /// Whether bytes or datagrams wait to be sent, such as for congestion control to allow it. What flow control holds up does
    /// not count.
    public var hasQueuedData: Bool { !queues.sendQueue.isEmpty || !queues.outgoingDatagrams.isEmpty }

    /// Where the peer is now; it may move (RFC 9000 §9).
    public var remoteAddress: NetworkAddress { path.remote }

    /// The address of this side on the path in use.
    public var localAddress: NetworkAddress { path.local }

    /// Streams that can still be opened before the peer gives more credit.
    public var streamsLeft: UInt64 { isOpen ? lp2p_conn_streams_left(pointer, 1) : 0 }

    /// Round-trip times, congestion window and bytes in flight.
    public var pathStatistics: PathStatistics {
        var stats = lp2p_conn_stats()
        if pointer != nil { lp2p_conn_get_stats(pointer, &stats) }
        return PathStatistics(stats, pathSize)
    }

    /// How many connection IDs each side has had.
    public var connectionIDCounts: ConnectionIDCounts {
        var counts = identifierCounts
        var stats = lp2p_conn_stats()
        if pointer != nil { lp2p_conn_get_stats(pointer, &stats) }
        counts.changes = stats.peer_id_changes
        counts.available = stats.peer_ids_spare
        return counts
    }

    /// The next thing that happened, or `nil`.
    public func nextEvent() -> ConnectionEvent? {
        if queues.events.isEmpty {
            if !queues.dirtyStreams.isEmpty {
                for record in queues.dirtyStreams { flush(record) }
                queues.dirtyStreams.removeAll(keepingCapacity: true)
            }
            if !queues.acknowledgedStreams.isEmpty {
                for record in queues.acknowledgedStreams { flushAcknowledged(record) }
                queues.acknowledgedStreams.removeAll(keepingCapacity: true)
            }
        }
        return queues.events.popFirst()
    }

    /// Takes what the endpoint has to know, oldest first.
    func takeRoutingChanges() -> [RoutingChange] {
        guard !queues.routingChanges.isEmpty else { return [] }
        // There are none for most of a connection's life: no memory is kept for them.
        defer { queues.routingChanges = [] }
        return queues.routingChanges
    }

    /// Sends a client the token with which its next connection skips address validation (RFC 9000 §8.1.3). Failing means
    /// that the client is not given one, which does no harm.
    func submit(addressToken: [UInt8]) {
        guard isOpen, !addressToken.isEmpty else { return }
        _ = lp2p_conn_submit_token(pointer, addressToken, addressToken.count)
    }
}

extension ConnectionCore {
    /// Sends a client a ticket with which it may resume the TLS session, where tickets are enabled.
    func sendSessionTicket() {
        guard isOpen, isServer else { return }
        session?.sendTicket()
    }

    /// Frees the TLS session, several times the size of everything else that an idle connection needs, when the handshake is
    /// confirmed: no byte of TLS is read after that, unless there are tickets. Not from inside a callback of the library.
    func releaseSession() {
        guard isConfirmed, let session, !session.isNeededAfterHandshake else { return }
        lp2p_conn_forget_session(pointer)
        self.session = nil
    }
}
