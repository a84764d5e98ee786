internal import Libp2pTLS
internal import Logging
internal import Multiaddr
internal import NIOCore
internal import NetStream
internal import PeerID
internal import QuicCore
internal import Synchronization

/// The sockets of a transport: one for each event loop of each listener, and one for dials of each address family where no listener fits.
final class SocketPool: Sendable {
    let configuration: QuicConfiguration
    let tls: TLSContext
    let group: any EventLoopGroup
    let logger: Logger
    let metrics = TransportMetrics()
    let holes = HolePunches()
    /// Counts the connections of all sockets.
    let budget: ConnectionBudget
    let qlogs: QlogDirectory?
    private let state = Mutex(State())

    private struct Listening: Sendable {
        var address: NetworkAddress
        /// The sockets that are open, by the number of their loop.
        var loops: [Int: NIOLoopBound<EndpointDriver>]
        weak var listener: QuicListener?
        /// Dials take the loops in turn.
        var nextDial = 0

        mutating func takeLoop() -> NIOLoopBound<EndpointDriver>? {
            let open = loops.keys.sorted()
            guard !open.isEmpty else { return nil }
            nextDial += 1
            return loops[open[nextDial % open.count]]
        }
    }

    /// A socket for dials.
    private enum DialSocket: Sendable {
        case open(NIOLoopBound<EndpointDriver>)
        case opening(EventLoopFuture<NIOLoopBound<EndpointDriver>>)

        /// Waits only for one that is being opened: a future that is fulfilled costs two changes of thread.
        func get() async throws -> NIOLoopBound<EndpointDriver> {
            switch self {
            case .open(let endpoint): endpoint
            case .opening(let future): try await future.get()
            }
        }
    }

    private struct State {
        var isClosed = false
        var listening: [Listening] = []
        var dialing: [NetworkAddress.Family: DialSocket] = [:]
        /// What the sockets counted that are closed.
        var past = QuicTransportStatistics()
    }

    init(configuration: QuicConfiguration, tls: TLSContext, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.tls = tls
        self.group = group
        self.logger = logger
        qlogs = configuration.qlogDirectory.map { QlogDirectory(path: $0, logger: logger) }
        budget = ConnectionBudget(limit: configuration.endpoint.maxConnections)
    }

    private func checkOpen() throws(QuicError) {
        if state.withLock({ $0.isClosed }) { throw .transportClosed }
    }

    // MARK: listening

    func listen(
        on local: NetworkAddress,
        as address: Multiaddr,
        handingUpEarly: Bool
    ) async throws(QuicError) -> QuicListener {
        try checkOpen()
        let loops: [NIOLoopBound<EndpointDriver>]
        let actual: NetworkAddress
        do {
            loops = try await openForListening(local)
            let first = loops[0]
            actual = try await first.eventLoop.submit { first.value.localAddress }.get()
        } catch {
            throw QuicError(.listen, "cannot listen on \(address): \(error)", cause: error)
        }
        let listener = QuicListener(
            loops: loops,
            address: actual,
            acceptQueueLimit: configuration.endpoint.acceptQueueLimit,
            handsUpEarly: handingUpEarly,
            logger: logger
        )
        let entry = Listening(
            address: actual,
            loops: Dictionary(uniqueKeysWithValues: loops.enumerated().map { ($0, $1) }),
            listener: listener
        )
        let isClosed = state.withLock { state in
            if !state.isClosed { state.listening.append(entry) }
            return state.isClosed
        }
        if isClosed {
            for loop in loops { loop.eventLoop.execute { loop.value.closeSocket() } }
            throw .transportClosed
        }
        for (number, loop) in loops.enumerated() {
            loop.eventLoop.execute {
                loop.value.onClosed = { [weak self] in self?.forget(actual, number, $0) }
            }
        }
        await listener.start()
        logger.debug(
            "listening",
            metadata: [
                LogKey.address: "\(actual)", LogKey.loops: "\(loops.count)",
                LogKey.packetProtection: "\(configuration.packetProtection.inUse)",
            ]
        )
        return listener
    }

    private func forget(_ address: NetworkAddress, _ number: Int, _ counts: QuicTransportStatistics) {
        state.withLock { state in
            if let index = state.listening.firstIndex(where: { $0.address == address && $0.loops[number] != nil }) {
                state.listening[index].loops[number] = nil
                if state.listening[index].loops.isEmpty { state.listening.remove(at: index) }
            }
            state.past.add(counts)
        }
    }

    // MARK: dialing

    /// Dials one address.
    ///
    /// - Parameter limit: When the dial is given up; `nil` where the caller sees to it by cancelling the task.
    func dial(
        _ address: NetworkAddress,
        expecting expected: PeerID?,
        early: Bool,
        within limit: DialLimit? = nil
    ) async throws(QuicError) -> QuicConnection {
        try checkOpen()
        // IPv4 goes through a socket of IPv4, however it is written.
        let remote = address.unmapped
        let endpoint: NIOLoopBound<EndpointDriver>
        do {
            endpoint = try await socket(for: remote).get()
        } catch let error as QuicError {
            throw error
        } catch {
            throw .noDialSocket(for: remote, port: configuration.udp.dialPort, error)
        }
        let eventLoop = endpoint.eventLoop
        let attempt = DialAttempt()
        let result: Result<QuicConnection, QuicError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let start = { @Sendable in
                    let driver = endpoint.value.dial(remote, expecting: expected, early: early, within: limit) {
                        continuation.resume(returning: $0)
                    }
                    if let driver { attempt.started(NIOLoopBound(driver, eventLoop: eventLoop)) }
                }
                if eventLoop.inEventLoop { start() } else { eventLoop.execute(start) }
            }
        } onCancel: {
            attempt.cancel()
        }
        switch result {
        case .success(let connection):
            metrics.connectionDialed()
            if Task.isCancelled {
                await connection.close(code: .none, reason: "the dial was cancelled")
                throw .dialCancelled
            }
            return connection
        case .failure(let error):
            metrics.dialFailed()
            logger.info(
                "dial failed",
                metadata: [
                    LogKey.address: "\(remote)", LogKey.code: "\(error.code)", LogKey.error: "\(error.message)",
                    LogKey.stage: "\(error.dialStage.map { "\($0)" } ?? "")",
                ]
            )
            throw error
        }
    }

    /// The loops of a listener whose sockets reach an address; the first one is another one each time.
    func listeningLoops(reaching remote: NetworkAddress) throws(QuicError) -> [NIOLoopBound<EndpointDriver>] {
        try checkOpen()
        return state.withLock { state in
            guard let index = state.listening.firstIndex(where: { $0.address.reaches(remote) }),
                let first = state.listening[index].takeLoop()
            else { return [] }
            return [first] + state.listening[index].loops.values.filter { $0.eventLoop !== first.eventLoop }
        }
    }

    /// The listening socket that reaches an address, if it is to be used; else the shared one of its family.
    private func socket(for remote: NetworkAddress) throws(QuicError) -> DialSocket {
        let family = remote.family
        let (socket, promise) = try state.withLock {
            state throws(QuicError) -> (DialSocket, EventLoopPromise<NIOLoopBound<EndpointDriver>>?) in
            if state.isClosed { throw .transportClosed }
            if configuration.udp.reusesListeningSocket,
                let index = state.listening.firstIndex(where: { $0.address.reaches(remote) }),
                let loop = state.listening[index].takeLoop()
            {
                return (.open(loop), nil)
            }
            if let existing = state.dialing[family] { return (existing, nil) }
            let promise = group.next().makePromise(of: NIOLoopBound<EndpointDriver>.self)
            let opening = DialSocket.opening(promise.futureResult)
            state.dialing[family] = opening
            return (opening, promise)
        }
        if let promise {
            let opened = openForDialing(family)
            opened.flatMapThrowing { [weak self] bound in
                // The transport may have been closed while the socket was being opened.
                guard let self, self.isKept(bound, for: family) else {
                    bound.value.closeSocket()
                    throw QuicError.transportClosed
                }
                return bound
            }.cascade(to: promise)
            // A socket that could not be opened, or was lost, is not remembered.
            opened.whenFailure { [weak self] _ in self?.forgetDialing(family) }
            opened.whenSuccess { [weak self] bound in
                bound.value.onClosed = { [weak self] in self?.forgetDialing(family, $0) }
            }
        }
        return socket
    }

    /// Keeps a socket that was opened for dials, unless the transport is closed.
    private func isKept(_ socket: NIOLoopBound<EndpointDriver>, for family: NetworkAddress.Family) -> Bool {
        state.withLock { state in
            if !state.isClosed { state.dialing[family] = .open(socket) }
            return !state.isClosed
        }
    }

    private func forgetDialing(
        _ family: NetworkAddress.Family,
        _ counts: QuicTransportStatistics = QuicTransportStatistics()
    ) {
        state.withLock { state in
            state.dialing[family] = nil
            state.past.add(counts)
        }
    }

    // MARK: counting

    /// How many sockets belong to listeners.
    var listeningCount: Int { state.withLock { $0.listening.reduce(0) { $0 + $1.loops.count } } }

    /// What all sockets have counted, those that are closed included.
    func statistics() async -> QuicTransportStatistics {
        let (past, listening, dialing) = state.withLock { state in
            (state.past, state.listening.flatMap(\.loops.values), Array(state.dialing.values))
        }
        var total = past
        var endpoints = listening
        for socket in dialing {
            if let endpoint = try? await socket.get() { endpoints.append(endpoint) }
        }
        for endpoint in endpoints {
            let counts = await withCheckedContinuation { continuation in
                endpoint.eventLoop.execute { continuation.resume(returning: endpoint.value.counts) }
            }
            total.add(counts)
        }
        return total
    }

    // MARK: the end

    func close() async {
        let (listening, dialing) = state.withLock { state in
            state.isClosed = true
            defer {
                state.listening = []
                state.dialing = [:]
            }
            return (state.listening, Array(state.dialing.values))
        }
        for entry in listening { await entry.listener?.close() }
        var endpoints = listening.flatMap(\.loops.values)
        for socket in dialing {
            if let endpoint = try? await socket.get() { endpoints.append(endpoint) }
        }
        for endpoint in endpoints {
            await withCheckedContinuation { continuation in
                endpoint.eventLoop.execute {
                    endpoint.value.shutDown(
                        code: ConnectionErrorCode.shutdown.rawValue,
                        reason: "the transport was closed"
                    )
                    continuation.resume()
                }
            }
        }
    }
}

/// A dial on its way, and what calls it off from any thread.
private final class DialAttempt: Sendable {
    private struct State {
        var driver: NIOLoopBound<ConnectionDriver>?
        var isCancelled = false
    }

    private let state = Mutex(State())

    func started(_ driver: NIOLoopBound<ConnectionDriver>) {
        let isCancelled = state.withLock { state in
            state.driver = driver
            return state.isCancelled
        }
        if isCancelled { Self.close(driver) }
    }

    func cancel() {
        let driver = state.withLock { state in
            state.isCancelled = true
            return state.driver
        }
        if let driver { Self.close(driver) }
    }

    private static func close(_ driver: NIOLoopBound<ConnectionDriver>) {
        driver.eventLoop.execute { driver.value.cancelDial() }
    }
}

extension NetworkAddress {
    /// Whether a socket bound to this address can send to another.
    func reaches(_ remote: NetworkAddress) -> Bool {
        if isUnspecified { return family == remote.family || family == .ip6 }
        return family == remote.family && isLoopback == remote.isLoopback
    }
}

extension UDPSocketOptions {
    init(_ settings: QuicConfiguration.UDP) {
        self.init()
        receiveBuffer = settings.receiveBufferSize
        sendBuffer = settings.sendBufferSize
        segmentationOffload = settings.segmentationOffload
        receiveOffload = settings.receiveOffload
        busyPoll = settings.busyPoll
    }
}

extension QuicError {
    static var transportClosed: QuicError { .state("the transport is closed", attempted: "dial or listen") }

    fileprivate static func noDialSocket(
        for remote: NetworkAddress,
        port: UInt16,
        _ cause: any Error
    ) -> QuicError {
        let advice = port == 0 ? "" : "; udp.dialPort is \(port), choose another one, or 0 for a free one"
        let message = "no socket could be opened to dial \(remote): \(cause)\(advice)"
        return QuicError(.dial, message, cause: cause).during(.preparation)
    }

    static var dialCancelled: QuicError { QuicError(.cancelled, "the task that dialed was cancelled") }
}
