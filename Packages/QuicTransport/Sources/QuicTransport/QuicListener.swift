internal import Logging
public import Multiaddr
internal import NIOCore
public import NetStream
public import QuicCore
internal import Synchronization

/// Listens on one UDP port, with a socket for each event loop that `QuicConfiguration.UDP.loops` asks for.
///
/// A listener listens from the moment it exists, on one address: there is no second call of listen on it. Another
/// `QuicTransport.listenQuic(on:)` of the same address fails with a ``QuicError`` of code `listen`, because the port is in use,
/// also with several loops.
///
/// Connections come up only when their handshake is done and the peer verified, or on request with their first early data
/// (see ``QuicTransport/listenQuic(on:handingUpEarly:)``). At most
/// `QuicConfiguration.Endpoint.acceptQueueLimit` wait to be taken; the next one is closed with "resource limit".
public final class QuicListener: Listener {
    /// The address listened on, with the real port, without `/p2p`. The unspecified address stands as it is.
    public let addresses: [Multiaddr]

    /// The addresses that lead here: ``addresses``, where the unspecified one stands for those of the machine's interfaces,
    /// loopback included and link-local ones not, at most 32. Asked of the system anew when the last answer is 5 s old.
    public var interfaceAddresses: [Multiaddr] { interfaces.current }

    private let interfaces: InterfaceAddresses
    private let queue: AsyncQueue<QuicConnection>
    /// The drivers, for the tests.
    let loops: [NIOLoopBound<EndpointDriver>]
    private let handsUpEarly: Bool
    private let state: Mutex<State>
    private let logger: Logger

    private struct State {
        var isOpen = true
        /// The sockets that the system has not taken away.
        var sockets: Int
    }

    init(
        loops: [NIOLoopBound<EndpointDriver>],
        address: NetworkAddress,
        acceptQueueLimit: Int,
        handsUpEarly: Bool,
        logger: Logger
    ) {
        self.handsUpEarly = handsUpEarly
        addresses = [address.quicAddress(version: .v1)]
        interfaces = InterfaceAddresses(of: address)
        self.loops = loops
        self.logger = logger
        queue = AsyncQueue(capacity: acceptQueueLimit)
        state = Mutex(State(sockets: loops.count))
    }

    /// Lets all loops accept.
    func start() async {
        let queue = queue
        let handsUpEarly = handsUpEarly
        _ = await onEachLoop { driver in
            driver.accept(handingUpEarly: handsUpEarly) { queue.offer($0) }
            driver.onLost = { [weak self] in self?.lostSocket() }
        }
    }

    /// The system has taken the socket of one loop away. The others go on, and get what came to it; the last one is the end.
    private func lostSocket() {
        let isOver = state.withLock { state in
            state.sockets -= 1
            if state.sockets <= 0 { state.isOpen = false }
            return state.sockets <= 0
        }
        guard isOver else { return }
        logger.error("the system has closed a listener's socket", metadata: metadata)
        queue.close(.socketLost)
    }

    private var metadata: Logger.Metadata {
        [LogKey.address: "\(addresses[0])", LogKey.loops: "\(loops.count)"]
    }

    private func onEachLoop<Result: Sendable>(
        _ body: @escaping @Sendable (EndpointDriver) -> Result
    ) async -> [Result] {
        var results: [Result] = []
        for loop in loops {
            let result = await withCheckedContinuation { continuation in
                loop.eventLoop.execute { continuation.resume(returning: body(loop.value)) }
            }
            results.append(result)
        }
        return results
    }

    /// Whether the listener accepts connections.
    public var isListening: Bool { state.withLock { $0.isOpen } }

    /// Waits for the next connection.
    ///
    /// - Throws: ``QuicError`` of code `state` once the listener is closed, or `cancelled`.
    public func accept() async throws -> any MuxedConnection {
        try await acceptConnection()
    }

    /// Waits for the next connection; see ``accept()``.
    public func acceptConnection() async throws(QuicError) -> QuicConnection {
        while true {
            let connection = try await queue.next()
            // One that ended while it waited is of no use to anybody.
            if !connection.isClosed { return connection }
        }
    }

    /// Stops accepting. Connections that were handed out live on, and so does the socket until they and the transport
    /// are closed. Idempotent.
    public func close() async {
        guard
            state.withLock({ state in
                defer { state.isOpen = false }; return state.isOpen
            })
        else { return }
        // All of them before the first socket is gone: its peers' datagrams come to the others then.
        _ = await onEachLoop { $0.stopAccepting() }
        _ = await onEachLoop { $0.closeWhenIdle() }
        logger.debug("listener closed", metadata: metadata)
        for connection in queue.close(.listenerClosed) {
            await connection.close(code: .shutdown, reason: "the listener was closed")
        }
    }

    /// Counters of the listener's sockets together.
    public func statistics() async -> QuicTransportStatistics {
        await statisticsOfLoops().reduce(into: QuicTransportStatistics()) { $0.add($1) }
    }

    /// Counters of the listener's sockets, one for each event loop. They tell how evenly the kernel spreads the peers.
    public func statisticsOfLoops() async -> [QuicTransportStatistics] {
        await onEachLoop { $0.counts }
    }
}

extension QuicError {
    static var socketLost: QuicError {
        .state("the system has closed the listener's socket; listen again", attempted: "accept a connection")
    }

    static var listenerClosed: QuicError { .state("the listener is closed", attempted: "accept a connection") }
}
