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
    /// The other side's certificate in DER.
    public let peerCertificate: [UInt8]
    /// Who opened the connection.
    public let direction: Direction
    /// The application protocol, `libp2p`.
    public let alpn: String
    /// The TLS cipher suite, if the library says it.
    public let cipherSuite: String?
    /// The QUIC version in use.
    public let version: QuicVersion
    /// The settings the connection was made with.
    public let configuration: QuicConfiguration

    /// Streams that the peer opened and nobody has taken.
    let inbound: AsyncQueue<QuicStream>
    private let eventLoop: any EventLoop
    private let driver: NIOLoopBound<ConnectionDriver>
    private let deadlines: DeadlineQueue
    private let state: Mutex<State>

    private struct State {
        var local: NetworkAddress
        var remote: NetworkAddress
        var end: ConnectionTermination?
        var endWaiters: [UInt64: CheckedContinuation<ConnectionTermination?, Never>] = [:]
        var nextID: UInt64 = 0
    }

    init(driver: ConnectionDriver, handshake: HandshakeResult) {
        let endpoint = driver.endpoint
        localPeer = endpoint.core.localPeer
        remotePeer = handshake.peer.peerID
        remotePublicKey = handshake.peer.publicKey
        peerCertificate = handshake.peer.certificateDER
        direction = driver.direction
        alpn = handshake.alpn
        cipherSuite = handshake.cipherSuite
        version = QuicVersion(rawValue: handshake.version)
        configuration = endpoint.configuration
        let deadlines = endpoint.deadlines
        self.deadlines = deadlines
        inbound = AsyncQueue(capacity: max(1, configuration.streams.maxInbound)) { deadlines.schedule(after: $0, $1) }
        eventLoop = endpoint.eventLoop
        self.driver = NIOLoopBound(driver, eventLoop: endpoint.eventLoop)
        state = Mutex(State(local: driver.core.localAddress, remote: driver.core.remoteAddress))
    }

    // MARK: addresses

    /// The local address, without `/p2p`.
    public var localAddress: Multiaddr { state.withLock { $0.local }.quicAddress(version: version) }

    /// The remote address, without `/p2p`. It changes when the peer moves.
    public var remoteAddress: Multiaddr { state.withLock { $0.remote }.quicAddress(version: version) }

    func moved(to remote: NetworkAddress) {
        state.withLock { $0.remote = remote }
    }

    // MARK: streams

    /// Opens a bidirectional stream; waits for the peer's credit if there is none.
    ///
    /// - Throws: ``QuicError`` of code `streamLimit`, `streamTimeout`, `cancelled`, or what ended the connection.
    public func openStream() async throws -> any MuxedStream {
        try await openQuicStream()
    }

    /// Opens a bidirectional stream; see ``openStream()``.
    public func openQuicStream() async throws(QuicError) -> QuicStream {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let driver = driver
        let eventLoop = eventLoop
        let timer = Mutex<StreamTimer?>(nil)
        let isCancelled = Mutex(false)
        let result: Result<QuicStream, QuicError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if let timeout = configuration.timeouts.streamOpen {
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
        let stream = try await inbound.next(timeout: configuration.timeouts.streamAccept)
        let driver = driver
        eventLoop.execute { driver.value.streamAccepted() }
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
    /// latest after ``QuicConfiguration/Timeouts/close``.
    ///
    /// Close the streams first, and let the peer answer, where their last bytes matter.
    public func close(code: ConnectionErrorCode, reason: String) async {
        let driver = driver
        eventLoop.execute { driver.value.close(code: code, reason: reason) }
        _ = await waitForEnd(atMost: configuration.timeouts.close)
    }

    /// Waits until the connection is over and says why.
    public func waitUntilClosed() async -> ConnectionCloseReason {
        let end = await waitForEnd(atMost: nil)
        return ConnectionCloseReason(end ?? .unknown)
    }

    private func waitForEnd(atMost limit: Duration?) async -> ConnectionTermination? {
        var timer: StreamTimer?
        let end = await withCheckedContinuation { (continuation: CheckedContinuation<ConnectionTermination?, Never>) in
            let (end, id) = state.withLock { state -> (ConnectionTermination?, UInt64) in
                state.nextID += 1
                if state.end == nil { state.endWaiters[state.nextID] = continuation }
                return (state.end, state.nextID)
            }
            if let end {
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
        let waiters = state.withLock { state in
            state.end = end
            defer { state.endWaiters = [:] }
            return Array(state.endWaiters.values)
        }
        for stream in inbound.close(end.error) { stream.reset(code: .none) }
        for waiter in waiters { waiter.resume(returning: end) }
    }

    // MARK: figures

    /// Round-trip times, congestion window, bytes and datagrams each way; `nil` once the connection is over.
    public func statistics() async -> QuicConnectionStatistics? {
        let driver = driver
        return await withCheckedContinuation { continuation in
            eventLoop.execute {
                let core = driver.value.core
                continuation.resume(
                    returning: core.isOpen
                        ? QuicConnectionStatistics(path: core.pathStatistics, traffic: core.traffic) : nil
                )
            }
        }
    }
}

/// Figures of one connection.
public struct QuicConnectionStatistics: Sendable, Hashable {
    /// What the congestion controller knows.
    public var path: PathStatistics
    /// Bytes and datagrams each way.
    public var traffic: ConnectionTraffic
}

extension ConnectionTermination {
    /// Stands for an end that was never reported, which waiting without a limit cannot come to.
    fileprivate static var unknown: ConnectionTermination {
        let error = QuicError(.internal, "the connection's end was not reported; please report this")
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
