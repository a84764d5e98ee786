internal import Libp2pTLS
internal import Logging
internal import Multiaddr
internal import NIOCore
internal import NetStream
internal import PeerID
internal import QuicCore
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The sockets of a transport: one for each listener, and one for dials of each address family where no listener fits.
final class SocketPool: Sendable {
    private let configuration: QuicConfiguration
    private let tls: TLSContext
    private let group: any EventLoopGroup
    private let logger: Logger
    private let metrics = TransportMetrics()
    /// Counts the connections of all sockets.
    private let budget: ConnectionBudget
    private let qlogs: QlogDirectory?
    private let state = Mutex(State())

    private struct Listening: Sendable {
        var address: NetworkAddress
        var endpoint: NIOLoopBound<EndpointDriver>
        var eventLoop: any EventLoop
        weak var listener: QuicListener?
    }

    private struct State {
        var isClosed = false
        var listening: [Listening] = []
        var dialing: [NetworkAddress.Family: EventLoopFuture<NIOLoopBound<EndpointDriver>>] = [:]
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

    // MARK: opening

    /// Opens a socket with its driver.
    private func open(_ address: NetworkAddress) -> EventLoopFuture<NIOLoopBound<EndpointDriver>> {
        let eventLoop = group.next()
        let options = UDPSocketOptions(configuration.udp)
        let ready = qlogs?.prepare(on: eventLoop) ?? eventLoop.makeSucceededVoidFuture()
        return ready.flatMap { [configuration, tls, metrics, budget, qlogs] in
            UDPEndpoint.bind(to: address, options: options, on: eventLoop).flatMapThrowing { socket in
                let core = EndpointCore(
                    configuration: configuration,
                    tls: tls,
                    identifiers: try Self.identifiers(configuration, boundTo: socket.value.localAddress),
                    budget: budget,
                    epoch: Self.clockEpoch()
                )
                if let qlogs { core.makeQlogSink = { qlogs.sink(original: $0, isServer: $1) } }
                let driver = EndpointDriver(socket: socket.value, core: core, metrics: metrics)
                driver.start()
                return NIOLoopBound(driver, eventLoop: eventLoop)
            }
        }
    }

    /// The time of day at which the clock of the event loops stood at 0, in nanoseconds since 1970.
    private static func clockEpoch() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
        return now &- NIODeadline.now().uptimeNanoseconds
    }

    /// Each socket has a key of its own. With one key for all, a datagram for a connection of one socket that is sent to
    /// another would be answered with the token that ends the connection (RFC 9000 §21.11).
    private static func identifiers(
        _ configuration: QuicConfiguration,
        boundTo address: NetworkAddress
    ) throws(QuicError) -> ServerConnectionIDs {
        guard let key = configuration.endpoint.statelessResetKey else {
            var random = SystemRandomNumberGenerator()
            return try ServerConnectionIDs(staticKey: ServerConnectionIDs.randomKey(using: &random), owner: 0)
        }
        return try ServerConnectionIDs(staticKey: key, purpose: "socket \(address)", owner: 0)
    }

    private func checkOpen() throws(QuicError) {
        if state.withLock({ $0.isClosed }) { throw .transportClosed }
    }

    // MARK: listening

    func listen(on local: NetworkAddress, as address: Multiaddr) async throws(QuicError) -> QuicListener {
        try checkOpen()
        let bound: NIOLoopBound<EndpointDriver>
        do {
            bound = try await open(local).get()
        } catch {
            throw QuicError(.listen, "cannot listen on \(address): \(error)", cause: error)
        }
        let eventLoop = bound.eventLoop
        let (listener, actual) = await withCheckedContinuation { continuation in
            eventLoop.execute {
                let driver = bound.value
                let actual = driver.localAddress
                let listener = QuicListener(driver: driver, addresses: [actual.quicAddress(version: .v1)])
                continuation.resume(returning: (listener, actual))
            }
        }
        let entry = Listening(address: actual, endpoint: bound, eventLoop: eventLoop, listener: listener)
        let isClosed = state.withLock { state in
            if !state.isClosed { state.listening.append(entry) }
            return state.isClosed
        }
        if isClosed {
            eventLoop.execute { bound.value.closeSocket() }
            throw .transportClosed
        }
        eventLoop.execute {
            bound.value.onClosed = { [weak self] in self?.forget(actual, $0) }
        }
        logger.debug("listening", metadata: ["address": "\(actual)"])
        return listener
    }

    private func forget(_ address: NetworkAddress, _ counts: QuicTransportStatistics) {
        state.withLock { state in
            state.listening.removeAll { $0.address == address }
            state.past.add(counts)
        }
    }

    // MARK: dialing

    func dial(_ remote: NetworkAddress, expecting expected: PeerID?) async throws(QuicError) -> QuicConnection {
        try checkOpen()
        let endpoint: NIOLoopBound<EndpointDriver>
        do {
            endpoint = try await socket(for: remote).get()
        } catch let error as QuicError {
            throw error
        } catch {
            throw QuicError(.dial, "no socket could be opened to dial \(remote): \(error)", cause: error)
        }
        let eventLoop = endpoint.eventLoop
        let attempt = DialAttempt()
        let result: Result<QuicConnection, QuicError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                eventLoop.execute {
                    let driver = endpoint.value.dial(remote, expecting: expected) { continuation.resume(returning: $0) }
                    if let driver { attempt.started(NIOLoopBound(driver, eventLoop: eventLoop)) }
                }
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
                metadata: ["address": "\(remote)", "code": "\(error.code)", "error": "\(error.message)"]
            )
            throw error
        }
    }

    /// The listening socket that reaches an address, else the shared one of its family.
    private func socket(for remote: NetworkAddress) -> EventLoopFuture<NIOLoopBound<EndpointDriver>> {
        let (ready, promise) = state.withLock {
            state -> (EventLoopFuture<NIOLoopBound<EndpointDriver>>, EventLoopPromise<NIOLoopBound<EndpointDriver>>?) in
            if state.isClosed { return (group.any().makeFailedFuture(QuicError.transportClosed), nil) }
            if let entry = state.listening.first(where: { $0.address.reaches(remote) }) {
                return (entry.eventLoop.makeSucceededFuture(entry.endpoint), nil)
            }
            if let existing = state.dialing[remote.family] { return (existing, nil) }
            let promise = group.next().makePromise(of: NIOLoopBound<EndpointDriver>.self)
            state.dialing[remote.family] = promise.futureResult
            return (promise.futureResult, promise)
        }
        if let promise {
            let any: NetworkAddress = remote.family == .ip4 ? .ip4(0, 0, 0, 0, port: 0) : .ip6(high: 0, low: 0, port: 0)
            let opened = open(any)
            opened.flatMapThrowing { [weak self] bound in
                // The transport may have been closed while the socket was being opened.
                guard let self, !self.state.withLock({ $0.isClosed }) else {
                    bound.value.closeSocket()
                    throw QuicError.transportClosed
                }
                return bound
            }.cascade(to: promise)
            // A socket that could not be opened, or was lost, is not remembered.
            opened.whenFailure { [weak self] _ in self?.forgetDialing(remote.family) }
            opened.whenSuccess { [weak self] bound in
                bound.value.onClosed = { [weak self] in self?.forgetDialing(remote.family, $0) }
            }
        }
        return ready
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

    /// What all sockets have counted, those that are closed included.
    func statistics() async -> QuicTransportStatistics {
        let (past, listening, dialing) = state.withLock { state in
            (state.past, state.listening.map(\.endpoint), Array(state.dialing.values))
        }
        var total = past
        var endpoints = listening
        for future in dialing {
            if let endpoint = try? await future.get() { endpoints.append(endpoint) }
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
        var endpoints = listening.map(\.endpoint)
        for future in dialing {
            if let endpoint = try? await future.get() { endpoints.append(endpoint) }
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
    }
}

extension QuicError {
    static var transportClosed: QuicError { .state("the transport is closed", attempted: "dial or listen") }

    static var dialCancelled: QuicError { QuicError(.cancelled, "the task that dialed was cancelled") }
}
