public import Logging
public import Multiaddr
public import NetStream
public import PeerID
import Synchronization

/// A libp2p peer: it listens, dials, agrees on protocols and runs their handlers.
///
/// Everything a host does on its own runs in the task that called ``run()``, as child tasks: one for each listener, each
/// connection and each inbound stream. Use ``withHost(identity:transports:listen:configuration:logger:isolation:_:)``, which runs
/// it and closes everything at the end, or call ``run()`` in a task of your own, as a service does.
///
/// All methods throw ``HostError`` unless they say something else. Safe to use from many tasks.
public final class BasicHost: Sendable {
    struct Job: Sendable {
        /// Where it runs; `nil` for where the host runs.
        var executor: (any TaskExecutor)?
        var run: @Sendable () async -> Void
    }

    enum Phase: Sendable {
        case idle, running, draining, closing, closed
    }

    /// What callers of a dial share.
    enum DialKey: Hashable, Sendable {
        case peer(PeerID)
        case address(Multiaddr)
    }

    struct State {
        var phase = Phase.idle
        var listeners: [any Listener] = []
        var connections: [PeerID: [HostConnection]] = [:]
        var nextConnection: UInt64 = 0
        var turn = 0
        var dials: [DialKey: SharedDial] = [:]
        var handlers = HandlerRegistry()
        var work = HandlersAtWork()
        var pushes = PushBudgets()
        var pingSlots: [PeerID: (semaphore: AsyncSemaphore, users: Int)] = [:]
        var backOff = DialBackOff()
        var blackHoles: BlackHoleDetector
        var protections: [PeerID: Set<String>] = [:]
        var values: [PeerID: [String: Int]] = [:]
        var isTrimScheduled = false
        var isPushNeeded = false
        var isPushing = false
        var recordSequence: UInt64 = 0
        var observed: ObservedAddresses
        var untold = UntoldEnds()
    }

    /// Who this host is.
    public let identity: PrivateKey
    /// This host's peer ID.
    public let peerID: PeerID
    /// How this host is set up.
    public let configuration: HostConfiguration
    /// What is known about other peers.
    public let peerStore: PeerStore

    let transports: [any Transport]
    let logger: Logger
    let metrics: HostMetrics
    let resources: ResourceAccounts
    let hub: EventHub
    let state: Mutex<State>
    let jobs: AsyncStream<Job>
    let jobInput: AsyncStream<Job>.Continuation
    let whenClosed = SharedResult<Void>()

    /// Makes a host. It does nothing before ``run()``.
    ///
    /// - Parameters:
    ///   - identity: The host's key. The transports must have been made with the same.
    ///   - transports: How to reach others. The host closes them when it is closed.
    ///   - configuration: See ``HostConfiguration``.
    ///   - logger: Where to log; metadata names the peer. Its handler is called on the transport's event loop too: it must not
    ///     block.
    /// - Throws: ``HostError/Code/invalidConfiguration``.
    public init(
        identity: PrivateKey,
        transports: [any Transport],
        configuration: HostConfiguration = .defaults,
        logger: Logger = Logger(label: "libp2p.host")
    ) throws {
        try configuration.validate()
        self.identity = identity
        peerID = identity.peerID
        self.transports = transports
        self.configuration = configuration
        var logger = logger
        logger[metadataKey: "local"] = "\(identity.peerID)"
        self.logger = logger
        state = Mutex(
            State(
                blackHoles: BlackHoleDetector(configuration.connections.blackHoleDetection),
                observed: ObservedAddresses(observersNeeded: configuration.identify.observersNeeded)
            )
        )
        let metrics = configuration.metricsFactory.map(HostMetrics.init) ?? HostMetrics()
        self.metrics = metrics
        hub = EventHub(dropped: metrics.eventsDropped)
        resources = ResourceAccounts(configuration) { metrics.refused($0) }
        peerStore = PeerStore(
            capacity: configuration.rememberedPeers,
            byteLimit: configuration.rememberedBytes,
            lifetime: configuration.rememberedFor,
            clock: configuration.clock
        )
        (jobs, jobInput) = AsyncStream.makeStream(of: Job.self)
        // An interest that never ends: the wait for the end is not given up when a waiting task is cancelled.
        _ = whenClosed.join()
        installOwnProtocols()
    }

    // MARK: Running

    /// Runs the host until it is closed or the task is cancelled; then everything is closed at once. Returns when the
    /// handlers have ended, too, which one that heeds no cancellation may hold up.
    ///
    /// When the host runs already, as inside ``withHost(identity:transports:listen:configuration:logger:isolation:_:)``, it only
    /// waits for that.
    ///
    /// - Throws: ``HostError/Code/closed`` when the host was closed before.
    public func run() async throws {
        let phase = state.withLock { state in
            defer { if state.phase == .idle { state.phase = .running } }
            return state.phase
        }
        switch phase {
        case .idle: await supervise()
        case .running, .draining, .closing:
            guard whenClosed.join() else { return }
            try? await whenClosed.wait()
        case .closed: throw Self.closedError
        }
    }

    /// Marks the host as running on behalf of a caller that will call ``supervise()``.
    func begin() {
        state.withLock { if $0.phase == .idle { $0.phase = .running } }
    }

    /// The host's task tree.
    func supervise() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask(executorPreference: job.executor, operation: job.run) }
            group.cancelAll()
            // Not after the group, which waits for every handler, also for those that heed no cancellation.
            await uncancelled { await self.close() }
        }
    }

    /// Gives work to the host's task tree. Returns `false` when the host is closing.
    @discardableResult
    func submit(on executor: (any TaskExecutor)? = nil, _ run: @escaping @Sendable () async -> Void) -> Bool {
        if case .terminated = jobInput.yield(Job(executor: executor, run: run)) { return false }
        return true
    }

    /// Closes listeners, connections (with the code "shutdown") and transports, and ends ``run()``. Idempotent; returns
    /// when it is done.
    ///
    /// The events end after those of every listener's and every connection's end.
    public func close() async {
        let (isFirst, wasIdle) = state.withLock { state in
            guard state.phase != .closing, state.phase != .closed else { return (false, false) }
            defer { state.phase = .closing }
            return (true, state.phase == .idle)
        }
        guard isFirst else {
            guard whenClosed.join() else { return }
            try? await whenClosed.wait()
            return
        }
        let (listeners, connections, dials) = state.withLock { state in
            (state.listeners, Array(state.untold.connections.values), Array(state.dials.values))
        }
        for dial in dials { dial.result.fulfil(.failure(Self.closedError)) }
        await withDiscardingTaskGroup { group in
            for listener in listeners { group.addTask { await self.stop(listener) } }
            for connection in connections {
                group.addTask { await connection.muxed.close(code: .shutdown, reason: "the host shuts down") }
            }
        }
        for transport in transports { await transport.close() }
        jobInput.finish()
        // Of a host that never ran nobody takes the jobs, and they hold the host.
        if wasIdle { for await _ in jobs {} }
        // Told here too: the tasks that watch them may be waiting for handlers that heed no cancellation.
        for connection in connections { ended(connection, reason: await closeReason(of: connection)) }
        if let untold = state.withLock({ $0.untold.wait() }) { await uncancelled { try? await untold.wait() } }
        state.withLock { state in
            state.phase = .closed
            state.handlers = HandlerRegistry()
        }
        hub.finish()
        whenClosed.fulfil(.success(()))
    }

    /// Why a connection is over that this host has closed.
    private func closeReason(of connection: HostConnection) async -> ConnectionCloseReason {
        if connection.muxed.isClosed { return await connection.muxed.waitUntilClosed() }
        // The transport took longer than it may.
        let code = ConnectionErrorCode.shutdown.rawValue
        return ConnectionCloseReason(code: code, isApplication: true, byPeer: false, reason: "the host shuts down")
    }

    static var closedError: HostError {
        HostError(.closed, "the host is closed; make a new one")
    }

    func checkOpen() throws(HostError) {
        let phase = state.withLock { $0.phase }
        if phase == .closing || phase == .closed { throw Self.closedError }
    }

    // MARK: Addresses and events

    /// Listens on an address. Port 0 takes a free one; see ``listenAddresses``.
    ///
    /// - Returns: The addresses listened on, with this host's `/p2p`.
    /// - Throws: ``HostError/Code/noTransport``; ``HostError/Code/listenFailed`` when the transport cannot listen there.
    @discardableResult
    public func listen(on address: Multiaddr) async throws -> [Multiaddr] {
        try checkOpen()
        guard let transport = transports.first(where: { $0.canListen(on: address) }) else {
            let names = transports.flatMap(\.protocols).joined(separator: ", ")
            throw HostError(.noTransport, "no transport listens on \(address); there is: \(names)")
        }
        let listener: any Listener
        do {
            listener = try await transport.listen(on: address)
        } catch {
            throw HostError.wrapping(error, as: .listenFailed, "cannot listen on \(address)")
        }
        let isOpen = state.withLock { state in
            guard state.phase == .idle || state.phase == .running else { return false }
            state.listeners.append(listener)
            state.untold.addListener()
            return true
        }
        guard isOpen else {
            await listener.close()
            throw Self.closedError
        }
        guard submit({ await self.serve(listener) }) else {
            await stop(listener)
            throw Self.closedError
        }
        let addresses = listener.addresses.map { $0.withPeerID(peerID) }
        for address in addresses { hub.emit(.listening(address)) }
        scheduleIdentifyPush()
        return addresses
    }

    /// The addresses listened on, with this host's `/p2p`. The unspecified address (`0.0.0.0`, `::`) stands as it is; see
    /// ``addresses``.
    public var listenAddresses: [Multiaddr] {
        let listeners = state.withLock { $0.listeners }
        return listeners.flatMap(\.addresses).map { $0.withPeerID(peerID) }
    }

    /// Where this host is reached, as far as it knows, with its `/p2p`: the announced addresses, those listened on, with the
    /// addresses of the machine's interfaces in place of the unspecified one, and those observed. Peers are told the same by
    /// identify, but for loopback addresses, which only peers of this machine are told.
    ///
    /// The interfaces are asked anew when the last answer is some seconds old.
    public var addresses: [Multiaddr] { advertisedAddresses.map { $0.withPeerID(peerID) } }

    /// The addresses that lead to the listeners, without `/p2p`.
    var interfaceAddresses: [Multiaddr] {
        state.withLock { $0.listeners }.flatMap(\.interfaceAddresses)
    }

    /// What must not be dialled, without `/p2p`: it leads back here.
    var ownAddresses: Set<Multiaddr> {
        let listeners = state.withLock { $0.listeners }
        return Set(listeners.flatMap { $0.addresses + $0.interfaceAddresses }.map(\.withoutPeerID))
    }

    /// What happens to the host from now on.
    ///
    /// - Parameter limit: How many events may wait to be read, at least 1. Beyond, the oldest are lost and counted by
    ///   ``HostEvents/dropped``.
    public func events(buffering limit: Int = 256) -> HostEvents { hub.subscribe(buffering: limit) }

    /// Tells a function each event from now on, at once and on whatever task brings it about: it must not take long. No
    /// event is lost.
    ///
    /// - Returns: What ends it. Letting go of it does not; the end of the host does.
    @discardableResult
    public func notify(_ notifiee: @escaping @Sendable (HostEvent) -> Void) -> HostNotifiee { hub.add(notifiee) }

    // MARK: Handlers

    /// Speaks a protocol: streams that peers open with exactly this name go to the handler.
    ///
    /// The stream lives as long as the handler runs. When it returns, the stream is closed in an orderly way; when it
    /// throws, the stream is reset. A name that cannot be negotiated (empty, longer than 1023 bytes, with a line feed)
    /// is logged as an error and ignored.
    ///
    /// - Parameters:
    ///   - name: The protocol's name.
    ///   - runsOnTransport: Whether the handler runs where the connection is driven (`MuxedConnection.taskExecutor`), as the
    ///     host's own pings do: no thread is woken for it, and answers go out the sooner. For short handlers that never block:
    ///     while one computes, every connection of the socket stands still.
    ///   - handler: What to do with a stream.
    public func handle(_ name: String, runsOnTransport: Bool = false, handler: @escaping StreamHandler) async {
        register(name) { $0.set(Array(name.utf8), runsOnTransport: runsOnTransport, handler: handler) }
    }

    /// Speaks a family of protocols: streams with any name that matches go to the handler, unless another handler has
    /// exactly that name. `NetStream.protocolID` says which it was.
    ///
    /// - Parameters:
    ///   - name: The name to tell others.
    ///   - matches: Whether a name belongs to the family; see ``ProtocolMatch``. Never called where the connection is driven.
    ///   - handler: What to do with a stream.
    public func handle(
        _ name: String,
        matching matches: @escaping @Sendable (String) -> Bool,
        handler: @escaping StreamHandler
    ) async {
        register(name) { $0.set(Array(name.utf8), matching: matches, handler: handler) }
    }

    /// Speaks a protocol no longer. Streams that are handled go on.
    public func removeHandler(_ name: String) async {
        state.withLock { $0.handlers.remove(Array(name.utf8)) }
        scheduleIdentifyPush()
    }

    /// The protocols spoken, sorted by their bytes.
    public var protocols: [String] {
        state.withLock { $0.handlers.names }.map { String(decoding: $0, as: UTF8.self) }
    }

    private func register(_ name: String, _ change: (inout HandlerRegistry) -> Void) {
        if let problem = Multistream.problem(with: Array(name.utf8)) {
            logger.error("a protocol name cannot be used: \(problem)", metadata: ["protocol": "\(name)"])
            return
        }
        state.withLock { change(&$0.handlers) }
        scheduleIdentifyPush()
    }
}

/// Makes a host, runs it, and closes everything when `body` is done.
///
/// ```swift
/// try await withHost(identity: key, transports: [transport], listen: ["/ip4/0.0.0.0/udp/4001/quic-v1"]) { host in
///     await host.handle("/echo/1.0.0", handler: EchoProtocol.handler)
///     try await host.run()
/// }
/// ```
///
/// - Parameters:
///   - identity: The host's key.
///   - transports: How to reach others.
///   - listen: What to listen on before `body` starts.
///   - configuration: See ``HostConfiguration``.
///   - logger: Where to log. Its handler is called on the transport's event loop too: it must not block.
///   - isolation: Where `body` runs; the caller's, unless told otherwise.
///   - body: What to do with the host. When it returns or throws, the host is closed.
/// - Throws: What `body` throws; ``HostError`` when listening fails.
public func withHost<Result>(
    identity: PrivateKey,
    transports: [any Transport],
    listen: [Multiaddr] = [],
    configuration: HostConfiguration = .defaults,
    logger: Logger = Logger(label: "libp2p.host"),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (BasicHost) async throws -> Result
) async throws -> Result {
    let host = try BasicHost(
        identity: identity,
        transports: transports,
        configuration: configuration,
        logger: logger
    )
    host.begin()
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await host.supervise() }
        let outcome: Swift.Result<Result, any Error>
        do {
            for address in listen { try await host.listen(on: address) }
            outcome = .success(try await body(host))
        } catch {
            outcome = .failure(error)
        }
        await uncancelled { await host.close() }
        try await group.waitForAll()
        return try outcome.get()
    }
}
