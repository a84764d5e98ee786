internal import Libp2pTLS
public import Multiaddr
internal import NIOCore
public import NetStream
public import PeerID
public import QuicCore
internal import Synchronization

/// A QUIC connection to one verified peer: the secured connection and the stream multiplexer in one.
///
/// Safe to use from any task. It stays open until one side closes it, it is idle for the idle timeout, or its transport is
/// closed; dropping the reference does not close it.
public final class QuicConnection: MuxedConnection {
    /// This side's peer ID.
    public let localPeer: PeerID
    /// The other side's peer ID, proved in the handshake.
    public let remotePeer: PeerID
    /// The other side's public key.
    public let remotePublicKey: PublicKey
    /// Who opened the connection.
    public let direction: Direction
    /// Whether the connection was handed out before its handshake was done, with early data (0-RTT): see
    /// ``QuicTransport/dialQuicEarly(_:)`` and ``QuicTransport/listenQuic(on:handingUpEarly:)``.
    public let isEarly: Bool
    /// The QUIC version in use.
    public let version: QuicVersion
    /// The settings the connection was made with.
    public var configuration: QuicConfiguration { settings.configuration }
    /// One for all connections of the socket: the settings are larger than everything else here.
    let settings: SharedConfiguration

    /// The moves of the connection to other paths, its own and the peer's, until it is over. For one consumer; the newest 16
    /// wait for it.
    public var pathChanges: AsyncStream<QuicPathChange> { pathChangeStream.stream }
    private let pathChangeStream = LateStream<QuicPathChange>(newest: 16)

    /// The unreliable datagrams that the peer sends (RFC 9221), until the connection is over. For one consumer; at most
    /// `QuicConfiguration.maxQueuedDatagrams` wait for it, then the oldest gives way to a new one. None come unless
    /// `QuicConfiguration.maxDatagramFrameSize` is set.
    public var datagrams: AsyncStream<[UInt8]> { datagramStream.stream }
    private let datagramStream: LateStream<[UInt8]>

    /// Streams that the peer opened and nobody has taken.
    let inbound: AsyncQueue<QuicStream>
    let eventLoop: any EventLoop
    /// The event loop of the connection.
    public var taskExecutor: (any TaskExecutor)? { executor }
    private let executor: LoopTaskExecutor
    let driver: NIOLoopBound<ConnectionDriver>
    let deadlines: DeadlineQueue
    let state: Mutex<State>

    struct State {
        var handshake: HandshakeResult
        /// `handshake` is no more what an early connection remembers of an earlier one.
        var isHandshakeDone: Bool
        var handshakeWaiters: [UInt64: HandshakeWaiter] = [:]
        var local: NetworkAddress
        var remote: NetworkAddress
        var roundTripTime: Duration?
        var end: ConnectionTermination?
        var endWaiters: [UInt64: CheckedContinuation<ConnectionTermination?, Never>] = [:]
        var nextID: UInt64 = 0
    }

    init(driver: ConnectionDriver, handshake: HandshakeResult, isEarly: Bool) {
        let endpoint = driver.endpoint
        localPeer = endpoint.core.localPeer
        remotePeer = handshake.peer.peerID
        remotePublicKey = handshake.peer.publicKey
        direction = driver.direction
        self.isEarly = isEarly
        version = QuicVersion(rawValue: handshake.version)
        settings = endpoint.settings
        datagramStream = LateStream(newest: endpoint.configuration.maxQueuedDatagrams)
        let deadlines = endpoint.deadlines
        self.deadlines = deadlines
        inbound = AsyncQueue(capacity: max(1, settings.configuration.streams.maxInbound)) {
            deadlines.schedule(after: $0, $1)
        }
        eventLoop = endpoint.eventLoop
        executor = endpoint.taskExecutor
        self.driver = NIOLoopBound(driver, eventLoop: endpoint.eventLoop)
        state = Mutex(
            State(
                handshake: handshake,
                isHandshakeDone: driver.isHandshakeDone,
                local: driver.core.localAddress,
                remote: driver.core.remoteAddress
            )
        )
    }

    // MARK: addresses

    /// The local address, without `/p2p`.
    public var localAddress: Multiaddr { state.withLock { $0.local }.quicAddress(version: version) }

    /// The remote address, without `/p2p`. It changes when the peer moves.
    public var remoteAddress: Multiaddr { state.withLock { $0.remote }.quicAddress(version: version) }

    func moved(from old: NetworkPath, to new: NetworkPath) {
        state.withLock { state in
            state.local = new.local
            state.remote = new.remote
        }
        pathChangeStream.yield(QuicPathChange(from: old, to: new, version: version))
    }

    /// Moves the connection to another local address without interrupting its streams (RFC 9000 §9): to a socket of its own,
    /// on a free port. Returns when the peer has answered on the new path; until then the old one is used. A task that is
    /// cancelled waits no longer; a move that has begun comes to its end without it, either way.
    ///
    /// - Parameter localAddress: Where to bind the socket, such as `/ip4/192.0.2.7/udp/0/quic-v1`; `nil` for the IP address
    ///   of the socket in use.
    /// - Throws: ``QuicError`` of code `state` on a connection that the peer dialed, where the policy or the peer forbids it,
    ///   where the installed library cannot (ngtcp2 0.12.1), or while another migration is on its way; `socket` or
    ///   `invalidAddress` for an address of no use; `timeout` when nothing came back, after about three probe timeouts;
    ///   `cancelled`; or what ended the connection.
    public func migrate(to localAddress: Multiaddr? = nil) async throws(QuicError) {
        var target: NetworkAddress?
        if let localAddress {
            target = localAddress.quicEndpoint.flatMap { NetworkAddress($0) }
            guard target != nil else {
                throw QuicError(
                    .invalidAddress,
                    "cannot move to \(localAddress): it needs to be an address such as /ip4/192.0.2.7/udp/0/quic-v1"
                )
            }
        }
        let driver = driver
        let address = target
        let eventLoop = eventLoop
        let id = makeWaiterID()
        let isCancelled = Mutex(false)
        let result: Result<Void, QuicError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                eventLoop.execute {
                    // A cancellation that came before this found nothing to cancel.
                    if isCancelled.withLock({ $0 }) {
                        return continuation.resume(returning: .failure(.migrationCancelled))
                    }
                    driver.value.migrate(to: address, id: id) { continuation.resume(returning: $0) }
                }
            }
        } onCancel: {
            isCancelled.withLock { $0 = true }
            eventLoop.execute { driver.value.cancelMigration(id: id) }
        }
        try result.get()
    }

    /// A datagram came. Returns whether another one was dropped for it.
    func received(datagram: [UInt8]) -> Bool {
        if case .dropped = datagramStream.yield(datagram) { return true }
        return false
    }

    /// A number for something that waits.
    func makeWaiterID() -> UInt64 {
        state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
    }

    // MARK: streams

    /// Opens a bidirectional stream; waits for the peer's credit if there is none.
    ///
    /// - Throws: ``QuicError`` of code `streamLimit`, `streamTimeout`, `cancelled`, or what ended the connection.
    public func openStream() async throws -> any MuxedStream {
        try await openQuicStream()
    }

    /// Opens a bidirectional stream for a task on the ``taskExecutor`` when the peer has given credit for it; `nil` otherwise.
    ///
    /// - Throws: ``QuicError`` of code `streamLimit`, or what ended the connection.
    public func openStreamAtOnce() throws -> (any MuxedStream)? {
        eventLoop.inEventLoop && !Task.isCancelled ? try driver.value.openAtOnce() : nil
    }

    /// Opens a bidirectional stream; see ``openStream()``.
    public func openQuicStream() async throws(QuicError) -> QuicStream {
        if eventLoop.inEventLoop, !Task.isCancelled, let stream = try driver.value.openAtOnce() { return stream }
        let id = makeWaiterID()
        let driver = driver
        let eventLoop = eventLoop
        let timer = Mutex<StreamTimer?>(nil)
        let isCancelled = Mutex(false)
        let result: Result<QuicStream, QuicError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if let timeout = settings.configuration.timeouts.streamOpen {
                    let armed = deadlines.schedule(after: timeout) {
                        eventLoop.execute { driver.value.cancelOpen(id: id, .openTimeout) }
                    }
                    timer.withLock { $0 = armed }
                }
                eventLoop.execute {
                    driver.value.open(id: id) { continuation.resume(returning: $0) }
                    // A cancellation that came before this found nothing to cancel.
                    if isCancelled.withLock({ $0 }) { driver.value.cancelOpen(id: id, .cancelledOpen) }
                }
            }
        } onCancel: {
            isCancelled.withLock { $0 = true }
            eventLoop.execute { driver.value.cancelOpen(id: id, .cancelledOpen) }
        }
        timer.withLock { $0 }?.cancel()
        let stream = try result.get()
        if Task.isCancelled {
            stream.reset(code: .none)
            throw .cancelledOpen
        }
        return stream
    }

    /// Waits for the next stream that the peer opens.
    ///
    /// - Throws: ``QuicError`` of code `timeout` (only with a deadline in the configuration), `cancelled`, or what ended
    ///   the connection.
    public func acceptStream() async throws -> any MuxedStream {
        try await acceptQuicStream()
    }

    /// Waits for the next stream that the peer opens; see ``acceptStream()``.
    public func acceptQuicStream() async throws(QuicError) -> QuicStream {
        let stream = try await inbound.next(timeout: settings.configuration.timeouts.streamAccept)
        let driver = driver
        if eventLoop.inEventLoop {
            driver.value.streamAccepted()
        } else {
            eventLoop.execute { driver.value.streamAccepted() }
        }
        return stream
    }

    /// The streams that the peer opens, until the connection is over.
    public var inboundStreams: AsyncThrowingStream<QuicStream, any Error> {
        AsyncThrowingStream { [weak self] in
            do {
                return try await self?.acceptQuicStream()
            } catch let error as QuicError where error.streamFailureKind.endsConnection {
                return nil
            }
        }
    }

    // MARK: the end

    /// Whether the connection is closed or closing.
    public var isClosed: Bool { state.withLock { $0.end != nil } }

    /// Closes the connection at once: streams are cut off, the peer is told the code. Returns when that is done, at the
    /// latest after `QuicConfiguration.Timeouts.close`.
    ///
    /// Close the streams first and wait for ``flush()``, or let the peer answer, where their last bytes matter.
    public func close(code: ConnectionErrorCode, reason: String) async {
        let driver = driver
        if eventLoop.inEventLoop {
            driver.value.close(code: code, reason: reason)
        } else {
            eventLoop.execute { driver.value.close(code: code, reason: reason) }
        }
        // A cancelled task waits too: what comes after it may take the socket away.
        _ = await waitForEnd(makeWaiterID(), atMost: settings.configuration.timeouts.close)
    }

    /// Waits until the connection is over and says why. When the task is cancelled it waits no longer, and the reason's
    /// cause is a ``QuicError`` of code `cancelled`; ``isClosed`` says whether the connection is over.
    public func waitUntilClosed() async -> ConnectionCloseReason {
        let id = makeWaiterID()
        let end = await withTaskCancellationHandler {
            await waitForEnd(id, atMost: nil)
        } onCancel: {
            endWait(id)
        }
        return ConnectionCloseReason(end ?? .waitCancelled)
    }

    /// `nil` when the time is over, or the wait was ended otherwise.
    private func waitForEnd(_ id: UInt64, atMost limit: Duration?) async -> ConnectionTermination? {
        var timer: StreamTimer?
        let end = await withCheckedContinuation { (continuation: CheckedContinuation<ConnectionTermination?, Never>) in
            let (end, waits) = state.withLock { state -> (ConnectionTermination?, Bool) in
                // Asked under the lock, so that a cancellation either made this true or finds the waiter.
                let waits = state.end == nil && (limit != nil || !Task.isCancelled)
                if waits { state.endWaiters[id] = continuation }
                return (state.end, waits)
            }
            if !waits {
                continuation.resume(returning: end)
            } else if let limit {
                timer = deadlines.schedule(after: limit) { [weak self] in self?.endWait(id) }
            }
        }
        timer?.cancel()
        return end
    }

    private func endWait(_ id: UInt64) {
        let waiter = state.withLock { $0.endWaiters.removeValue(forKey: id) }
        waiter?.resume(returning: nil)
    }

    /// The connection is over; the driver says it, once.
    func ended(_ end: ConnectionTermination) {
        let (waiters, handshakeWaiters) = state.withLock { state in
            state.end = end
            defer { (state.endWaiters, state.handshakeWaiters) = ([:], [:]) }
            return (Array(state.endWaiters.values), Array(state.handshakeWaiters.values))
        }
        for waiter in handshakeWaiters { waiter.resume(returning: .failure(end.error)) }
        for stream in inbound.close(end.error) { stream.reset(code: .none) }
        pathChangeStream.finish()
        datagramStream.finish()
        for waiter in waiters { waiter.resume(returning: end) }
    }

    // MARK: figures

    /// The smoothed round-trip time (RFC 9002 §5.3) of at most 100 ms ago, while packets come and go; the last one known
    /// otherwise.
    public var roundTripTime: Duration? { state.withLock { $0.roundTripTime } }

    func measured(roundTripTime: Duration) {
        state.withLock { $0.roundTripTime = roundTripTime }
    }

    /// Round-trip times, congestion window, bytes and datagrams each way; `nil` once the connection is over.
    public func statistics() async -> QuicConnectionStatistics? {
        let driver = driver
        return await withCheckedContinuation { continuation in
            eventLoop.execute {
                continuation.resume(returning: driver.value.statistics)
            }
        }
    }
}

extension ConnectionTermination {
    /// Stands for an end that was not waited for.
    fileprivate static var waitCancelled: ConnectionTermination {
        let error = QuicError(.cancelled, "the task that waited for the connection's end was cancelled")
        return ConnectionTermination(cause: .dropped, code: 0, frameType: 0, reason: "", byPeer: false, error: error)
    }
}

extension ConnectionCloseReason {
    init(_ end: ConnectionTermination) {
        self.init(
            code: end.code,
            isApplication: end.cause == .application,
            byPeer: end.byPeer,
            reason: end.reason,
            cause: end.error
        )
    }
}

extension StreamFailureKind {
    var endsConnection: Bool {
        if case .connectionClosed = self { true } else { false }
    }
}

extension QuicError {
    static var openTimeout: QuicError {
        QuicError(
            .streamTimeout,
            "the peer gave no credit for another stream in time; close streams, or raise timeouts.streamOpen"
        )
    }

    static var cancelledOpen: QuicError { QuicError(.cancelled, "the task that opened a stream was cancelled") }

    static var notConnected: QuicError { .state("the connection is not established", attempted: "open a stream") }

    static func unreachable(_ address: NetworkAddress, errno code: Int32) -> QuicError {
        QuicError(
            .dial,
            "nothing can be sent to \(address): \(UDPSocketError(code: code, operation: "send")); check the address"
        )
    }
}
