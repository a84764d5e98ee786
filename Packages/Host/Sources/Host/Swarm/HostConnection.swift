import Logging
import Metrics
import NetStream
import PeerID
import Synchronization

/// One connection of a host, with what the host keeps about it.
final class HostConnection: Sendable {
    private struct State {
        /// What it counts for. `nil` before it was taken in and once it is given back.
        var span: ResourceSpan?
        var isReserved = false
        var streamCount = 0
        var uses: [UInt64: WeakUse] = [:]
        var isTrimmed = false
        var hasBegun = false
        var end: ConnectionCloseReason?
    }

    private struct WeakUse: Sendable {
        weak var use: StreamUse?
    }

    let info: ConnectionInfo
    let muxed: any MuxedConnection
    let inboundNegotiations: AsyncSemaphore
    let outboundNegotiations: AsyncSemaphore
    let handlers: AsyncSemaphore
    let opened: ClockMoment
    let resources: ResourceAccounts
    private let metrics: HostMetrics
    fileprivate let logger: Logger
    private let bytesRead = Atomic<UInt64>(0)
    private let bytesWritten = Atomic<UInt64>(0)
    private let state = Mutex(State())

    init(
        id: UInt64,
        muxed: any MuxedConnection,
        configuration: HostConfiguration,
        resources: ResourceAccounts,
        metrics: HostMetrics,
        logger: Logger
    ) {
        info = ConnectionInfo(
            id: id,
            peer: muxed.remotePeer,
            direction: muxed.direction,
            localAddress: muxed.localAddress,
            remoteAddress: muxed.remoteAddress
        )
        self.muxed = muxed
        self.resources = resources
        self.metrics = metrics
        self.logger = logger
        opened = configuration.clock.now()
        inboundNegotiations = AsyncSemaphore(permits: configuration.streams.inboundNegotiations)
        outboundNegotiations = AsyncSemaphore(permits: configuration.streams.outboundNegotiations)
        handlers = AsyncSemaphore(permits: configuration.streams.inboundHandlers)
    }

    var peer: PeerID { info.peer }

    // MARK: Its end

    /// Whether it was chosen to be closed.
    var isTrimmed: Bool { state.withLock { $0.isTrimmed } }

    func markTrimmed() { state.withLock { $0.isTrimmed = true } }

    /// Its beginning was told.
    ///
    /// - Returns: How it ended, when that was before and is to be told now.
    func begin() -> ConnectionCloseReason? {
        state.withLock { state in
            state.hasBegun = true
            return state.end
        }
    }

    /// Takes note of its end.
    ///
    /// - Returns: Whether it is to be told now: not twice, and not before the beginning was.
    func end(_ reason: ConnectionCloseReason) -> Bool {
        state.withLock { state in
            guard state.end == nil else { return false }
            state.end = reason
            return state.hasBegun
        }
    }

    // MARK: Bytes

    /// Bytes of all its streams so far.
    var traffic: StreamTraffic {
        StreamTraffic(read: bytesRead.load(ordering: .relaxed), written: bytesWritten.load(ordering: .relaxed))
    }

    func countRead(_ count: Int) {
        bytesRead.add(UInt64(count), ordering: .relaxed)
        metrics.bytesRead.increment(by: count)
    }

    func countWritten(_ count: Int) {
        bytesWritten.add(UInt64(count), ordering: .relaxed)
        metrics.bytesWritten.increment(by: count)
    }

    // MARK: Resources

    /// Counts the connection from now on. Reports no refusal: it is called while the host's state is locked.
    ///
    /// - Parameters:
    ///   - old: A connection that goes when this one fits.
    ///   - dial: What its dial counted for.
    ///   - isReserved: Whether the peer is protected.
    func account(replacing old: HostConnection?, dial: ResourceSpan?, isReserved: Bool) throws(HostError) {
        let span = try resources.open(
            resources.connection(info.direction),
            in: [.system, .peer(peer), .connection(info.id)],
            replacing: old?.state.withLock { $0.span },
            isReserved: isReserved,
            isReported: false
        )
        dial?.end()
        state.withLock { state in
            state.span = span
            state.isReserved = isReserved
        }
    }

    /// Counts the connection no more. Its streams count until they are released.
    func giveBack() {
        let span = state.withLock { state in
            defer { state.span = nil }
            return state.span
        }
        span?.end()
    }

    // MARK: Streams

    /// Streams in use, for the choice of the least loaded connection.
    var streamCount: Int { state.withLock { $0.streamCount } }

    /// The streams in use.
    var uses: [StreamUse] { state.withLock { $0.uses.values.compactMap(\.use) } }

    /// Makes room for a stream.
    ///
    /// - Parameter protocolID: What will be spoken on it, when that is known already.
    func reserveStream(_ direction: Direction, for protocolID: String? = nil) throws(HostError) -> StreamUse {
        let isReserved = state.withLock { $0.isReserved }
        let span = try resources.open(
            resources.stream(direction),
            in: scopes(of: protocolID),
            isReserved: isReserved
        )
        state.withLock { $0.streamCount += 1 }
        metrics.streams.increment()
        return StreamUse(of: self, direction: direction, protocolID: protocolID, span: span)
    }

    /// Where a stream counts that speaks this protocol, or one that is not known.
    fileprivate func scopes(of protocolID: String?) -> [ResourceScope] {
        [.system, .peer(peer), .connection(info.id), protocolID.map { .protocolName($0) } ?? .transient]
    }

    /// Wraps a stream of this connection, counted until it is released.
    func wrap(_ muxed: any MuxedStream, protocolID: String? = nil, use: StreamUse? = nil) throws -> NetStream {
        let use = try use ?? reserveStream(muxed.direction)
        use.begin(muxed.id)
        state.withLock { $0.uses[muxed.id] = WeakUse(use: use) }
        let stream = NetStream(CountedStream(muxed, of: self), connection: self.muxed, protocolID: protocolID) { _ in
            use.end()
        }
        try stream.establish()
        return stream
    }

    /// The use of a stream, while it is in use.
    func use(of id: UInt64) -> StreamUse? { state.withLock { $0.uses[id]?.use } }

    fileprivate func ended(_ id: UInt64?) {
        metrics.streams.decrement()
        state.withLock { state in
            state.streamCount -= 1
            if let id { state.uses[id] = nil }
        }
    }
}

/// Counts a stream for as long as it is in use: until its release, or until nobody holds it any more.
final class StreamUse: Sendable {
    private struct State {
        var isEnded = false
        var id: UInt64?
        var protocolID: String?
    }

    let direction: Direction
    private let connection: HostConnection
    private let span: ResourceSpan
    private let state: Mutex<State>

    fileprivate init(of connection: HostConnection, direction: Direction, protocolID: String?, span: ResourceSpan) {
        self.connection = connection
        self.direction = direction
        self.span = span
        state = Mutex(State(protocolID: protocolID))
    }

    deinit { end() }

    /// The protocol, once it is agreed on.
    var protocolID: String? { state.withLock { $0.protocolID } }

    /// Counts it for its protocol, and no more as one whose protocol is not known.
    ///
    /// - Parameters:
    ///   - protocolID: What was agreed on.
    ///   - scope: The name that it counts for; that of the handler when a predicate took the peer's name.
    func settle(_ protocolID: String, countedAs scope: String? = nil) throws(HostError) {
        try span.move(to: connection.scopes(of: scope ?? protocolID))
        state.withLock { $0.protocolID = protocolID }
    }

    /// Accounts for more memory, or for less. `false` when the stream is over.
    @discardableResult
    func resize(memoryBy delta: Int) throws(HostError) -> Bool { try span.resize(memoryBy: delta) }

    fileprivate func begin(_ id: UInt64) {
        state.withLock { $0.id = id }
    }

    /// Counts it no more, and logs the end of a stream whose protocol this host had agreed on with the peer: of inbound
    /// ones their handler's end is told. Does nothing the second time.
    func end() {
        let ended = state.withLock { state -> (isFirst: Bool, id: UInt64?, protocolID: String?) in
            defer { state.isEnded = true }
            return (!state.isEnded, state.id, state.protocolID)
        }
        guard ended.isFirst else { return }
        span.end()
        connection.ended(ended.id)
        guard direction == .outbound, let id = ended.id, let name = ended.protocolID else { return }
        connection.logger.debug(
            "stream closed",
            metadata: connection.metadata(ofStream: id, direction, protocolID: name)
        )
    }
}
