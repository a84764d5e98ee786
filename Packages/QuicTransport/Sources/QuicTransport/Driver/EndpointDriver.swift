import Logging
import NIOCore
import NIOPosix
import NetStream
import PeerID
import QuicCore

/// Drives one UDP socket on its event loop: datagrams to the protocol core, batches of datagrams to the socket.
///
/// Everything here happens on the event loop.
final class EndpointDriver: UDPEndpointHandler {
    let core: EndpointCore
    let settings: SharedConfiguration
    var configuration: QuicConfiguration { settings.configuration }
    let eventLoop: any EventLoop
    let taskExecutor: LoopTaskExecutor
    let deadlines: DeadlineQueue
    let pool = SendChunkPool()
    let metrics: TransportMetrics
    let logger: Logger
    private let holes: HolePunches
    /// Where a batch is written before it goes to the kernel: one for all connections of the socket.
    let sendBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)
    /// Where what tasks want is on its way to the cores: one for all connections of the socket.
    var orderRoom = OrderRoom()
    /// Where accepted connections go; `nil` on a socket that only dials.
    private var onConnection: ((QuicConnection) -> Bool)?
    /// Whether accepted connections are handed up with their first early data.
    private var handsUpEarly = false
    /// Told when the socket is closed, and what it has counted.
    var onClosed: ((QuicTransportStatistics) -> Void)?
    /// Told when the system takes the socket away.
    var onLost: (() -> Void)?
    private var closesWhenIdle = false

    let socket: UDPEndpoint
    /// Further sockets, by the address they are bound to, for connections that have moved away from the first one.
    var further: [NetworkAddress: UDPEndpoint] = [:] { didSet { hasFurther = !further.isEmpty } }
    /// Whether there are any. Kept beside them because it is asked for each batch: nothing is called within a change of it, so
    /// that the compiler proves access to it exclusive, which it cannot of a dictionary.
    private(set) var hasFurther = false
    /// What the further sockets counted that are closed.
    private var closedSockets = UDPStatistics()
    private(set) var drivers: [ConnectionHandle: ConnectionDriver] = [:]
    /// The driver of the datagram before, because datagrams come in trains.
    private var lastDriver: ConnectionDriver?
    // Looked at several times for each packet. A release build does not check that access to it is exclusive: it is changed on
    // the event loop only, and calls nothing. Debug builds, which the tests are, check just that.
    #if !DEBUG
    @exclusivity(unchecked)
    #endif
    private var turns = TurnList()
    private var isServicing = false
    /// When the first handshake was taken a step further whose answer is not written yet; 0 for none.
    private var handshakeAdvanced: UInt64 = 0
    /// What the kernel had no room for, by socket, and who waits for room.
    var unsent: [ObjectIdentifier: (bytes: [UInt8], batch: SendBatch)] = [:] { didSet { hasUnsent = !unsent.isEmpty } }
    /// Whether anything is; kept beside it like ``hasFurther``.
    private(set) var hasUnsent = false
    var waitingForRoom: [ConnectionDriver] = []
    /// The ways to the loops that listen on the same port, by their numbers, this one's own among them; none if it is alone.
    private let inboxes: [LoopInbox]
    /// Datagrams handed to the loops they belong to, and those that found no room there.
    private(set) var passing = LoopPassing()

    init(
        socket: UDPEndpoint,
        core: EndpointCore,
        metrics: TransportMetrics,
        logger: Logger,
        holes: HolePunches,
        inboxes: [LoopInbox] = []
    ) {
        self.socket = socket
        self.holes = holes
        self.core = core
        self.metrics = metrics
        self.logger = logger
        self.inboxes = inboxes
        settings = SharedConfiguration(core.configuration)
        taskExecutor = LoopTaskExecutor(socket.eventLoop)
        eventLoop = socket.eventLoop
        deadlines = DeadlineQueue(eventLoop: socket.eventLoop)
    }

    deinit { sendBuffer.deallocate() }

    /// The address the socket is bound to.
    var localAddress: NetworkAddress { socket.localAddress }
    /// Counters of the socket, and of the further ones, those that are closed included.
    var socketStatistics: UDPStatistics {
        further.values.reduce(into: closedSockets + socket.statistics) { $0 = $0 + $1.statistics }
    }
    var connectionCount: Int { core.connectionCount }

    func start() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        if !inboxes.isEmpty { inboxes[Int(core.owner)].open(bound) }
        taskExecutor.attach(bound)
        socket.start(self)
    }

    /// Accepts connections from now on.
    func accept(handingUpEarly: Bool, _ onConnection: @escaping (QuicConnection) -> Bool) {
        handsUpEarly = handingUpEarly
        self.onConnection = onConnection
        core.acceptsConnections = true
    }

    /// Accepts no more connections; those there are live on.
    func stopAccepting() {
        onConnection = nil
        core.acceptsConnections = false
    }

    /// Closes the socket as soon as no connection is left on it.
    func closeWhenIdle() {
        closesWhenIdle = true
        if drivers.isEmpty { closeSocket() }
    }

    // MARK: dialing

    /// Dials; `completion` is called once. Returns what can call the dial off.
    func dial(
        _ remote: NetworkAddress,
        expecting expected: PeerID?,
        early: Bool,
        within limit: DialLimit? = nil,
        completion: @escaping (Result<QuicConnection, QuicError>) -> Void
    ) -> ConnectionDriver? {
        do {
            let now = NIODeadline.now().uptimeNanoseconds
            let core = try core.connect(
                to: remote,
                from: localAddress,
                expecting: expected,
                early: early,
                now: now
            )
            let driver = ConnectionDriver(core: core, endpoint: self, direction: .outbound, handsUpEarly: early)
            drivers[core.handle] = driver
            driver.beginDial(within: limit, completion)
            touch(driver)
            serviceTouched()
            return driver
        } catch {
            completion(.failure(error.during(.preparation)))
            return nil
        }
    }

    // MARK: further sockets

    /// Opens another socket on the event loop for a connection to move to. `completion` gets its address, on the loop.
    func attach(
        at address: NetworkAddress,
        completion: @escaping @Sendable (Result<NetworkAddress, any Error>) -> Void
    ) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        UDPEndpoint.bind(to: address, options: UDPSocketOptions(configuration.udp), on: eventLoop).whenComplete {
            result in
            completion(
                result.map { opened in
                    let endpoint = opened.value
                    bound.value.further[endpoint.localAddress] = endpoint
                    endpoint.start(bound.value)
                    return endpoint.localAddress
                }
            )
        }
    }

    /// Closes a further socket.
    func detach(_ address: NetworkAddress) {
        guard let endpoint = further[address] else { return }
        forget(endpoint)
        endpoint.close()
    }

    /// Lets go of a further socket. Who waited for room in it has its turn: it is on another socket now, or sends in vain.
    private func forget(_ endpoint: UDPEndpoint) {
        guard further[endpoint.localAddress] === endpoint else { return }
        further[endpoint.localAddress] = nil
        closedSockets = closedSockets + endpoint.statistics
        unsent[ObjectIdentifier(endpoint)] = nil
        wakeWaiting()
    }

    // MARK: datagrams in

    /// How long the answer of a handshake may wait for what arrived behind it, in nanoseconds. A step of a handshake takes
    /// longer, so that each is answered before the next one is taken, and the peers work meanwhile; what takes no signature
    /// still shares a turn.
    private static let handshakePatience: UInt64 = 100_000

    func received(
        _ datagrams: UnsafeRawBufferPointer,
        segmentSize: Int,
        from remote: NetworkAddress,
        to local: NetworkAddress?,
        ecn: UInt8,
        on endpoint: UDPEndpoint
    ) {
        let now = answerHandshakes()
        let arrived = local ?? endpoint.localAddress
        var rest = datagrams
        while !rest.isEmpty {
            let (outcome, length) = core.receiveRun(
                rest,
                segmentSize: segmentSize,
                from: remote,
                to: arrived,
                ecn: ecn,
                // Strangers have no business on the socket that one connection has moved to.
                mayOpen: endpoint === socket,
                now: now
            )
            let run = UnsafeRawBufferPointer(rebasing: rest[..<length])
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
            if case .elsewhere(let owner) = outcome {
                let isTaken = inboxes[Int(owner)].deposit(run, from: remote, to: arrived, ecn: ecn)
                if isTaken { passing.passedOn += 1 } else { passing.lost += 1 }
            } else {
                act(on: outcome, from: remote, to: arrived, through: endpoint, now: now)
            }
        }
    }

    /// A datagram that the kernel gave to the socket of another loop. ``serviceTouched()`` follows when the last one is in.
    func receivePassedOn(
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8
    ) {
        guard socket.isOpen else { return }
        let now = answerHandshakes()
        let outcome = core.receive(datagram, from: remote, to: local, ecn: ecn, isPassedOn: true, now: now)
        act(on: outcome, from: remote, to: local, through: socket, now: now)
    }

    private func act(
        on outcome: EndpointCore.Outcome,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        through endpoint: UDPEndpoint,
        now: UInt64
    ) {
        switch outcome {
        case .connection(let core):
            guard let driver = driver(of: core) else { return }
            if !driver.isHandshakeDone { noteHandshake(now) }
            touch(driver)
        case .opened(let core):
            let driver = ConnectionDriver(
                core: core,
                endpoint: self,
                direction: .inbound,
                handsUpEarly: handsUpEarly
            )
            drivers[core.handle] = driver
            noteHandshake(now)
            touch(driver)
        case .reply(let bytes):
            bytes.withUnsafeBytes { bytes in
                _ = endpoint.send(bytes, segmentSize: bytes.count, to: remote, from: local, ecn: 0)
            }
        case .elsewhere, .dropped: break
        }
    }

    private func driver(of core: ConnectionCore) -> ConnectionDriver? {
        if let lastDriver, lastDriver.core === core { return lastDriver }
        guard let driver = drivers[core.handle] else { return nil }
        lastDriver = driver
        return driver
    }

    /// Answers the handshakes that have waited long enough. Returns the time after that: a turn of many of them takes a while.
    private func answerHandshakes() -> UInt64 {
        let now = NIODeadline.now().uptimeNanoseconds
        guard handshakeAdvanced > 0, now > handshakeAdvanced + Self.handshakePatience else { return now }
        serviceTouched(gathers: true)
        return NIODeadline.now().uptimeNanoseconds
    }

    private func noteHandshake(_ now: UInt64) {
        if handshakeAdvanced == 0 { handshakeAdvanced = now }
    }

    func receiveCompleted(_ endpoint: UDPEndpoint) { serviceTouched(gathers: true) }

    /// Notes a connection that needs a turn.
    func touch(_ driver: ConnectionDriver) { turns.add(driver) }

    /// Notes a connection that is to have another turn at the end of that of the tasks on this loop.
    func postpone(_ driver: ConnectionDriver) { turns.postpone(driver) }

    /// Gives every touched connection its turn, when the tasks on this loop have had theirs.
    func serviceSoon() {
        if !taskExecutor.isBusy { serviceTouched() }
    }

    /// Gives every touched connection its turn. Called from inside a turn it does nothing: the outer one goes on.
    ///
    /// - Parameter gathers: Whether those that wake tasks on this loop write when the tasks have run.
    func serviceTouched(gathers: Bool = false) {
        guard !isServicing, !turns.isEmpty else { return }
        isServicing = true
        handshakeAdvanced = 0
        let now = NIODeadline.now().uptimeNanoseconds
        while let driver = turns.next() { driver.service(now: now, gathers: gathers) }
        isServicing = false
    }

    // MARK: connections

    /// Hands a verified inbound connection up; closes it if nobody takes it.
    func deliver(_ connection: QuicConnection, of driver: ConnectionDriver) {
        if let onConnection, onConnection(connection) {
            metrics.connectionAccepted()
            driver.logOpened(connection)
            holes.connected(connection.remotePeer, at: driver.core.remoteAddress)
            return
        }
        let reason = onConnection != nil ? "too many connections wait to be accepted" : "the listener is closed"
        metrics.connectionRefused()
        driver.logRefused(connection, reason)
        driver.core.close(code: 0x1001, reason: reason, now: NIODeadline.now().uptimeNanoseconds)
    }

    func remove(_ driver: ConnectionDriver) {
        core.remove(driver.core)
        drivers[driver.core.handle] = nil
        if lastDriver === driver { lastDriver = nil }
        waitingForRoom.removeAll { $0 === driver }
        if drivers.isEmpty, closesWhenIdle { closeSocket() }
    }

    // MARK: the end

    /// Closes every connection and then the socket.
    func shutDown(code: UInt64, reason: String) {
        stopAccepting()
        let now = NIODeadline.now().uptimeNanoseconds
        for driver in drivers.values {
            driver.core.close(code: code, reason: reason, now: now)
            touch(driver)
        }
        serviceTouched()
        // A full send buffer must not swallow the closes: the rest gets one more chance.
        for endpoint in [socket] + further.values where unsent[ObjectIdentifier(endpoint)] != nil { writable(endpoint) }
        closeSocket()
    }

    /// Closes the socket. Connections that are still there end without a word.
    func closeSocket() {
        // What takes accepted connections holds those that nobody took, and they hold this driver.
        stopAccepting()
        for driver in drivers.values {
            driver.core.abandon()
            touch(driver)
        }
        serviceTouched()
        for driver in Array(drivers.values) { remove(driver) }
        closesWhenIdle = false
        unsent = [:]
        for address in Array(further.keys) { detach(address) }
        socket.close()
        if !inboxes.isEmpty { inboxes[Int(core.owner)].close() }
        taskExecutor.attach(nil)
        onClosed?(counts)
        onClosed = nil
        // It holds the queue of accepted connections as well.
        onLost = nil
    }

    func closed(_ endpoint: UDPEndpoint, error: (any Error)?) {
        if endpoint !== socket {
            // The connections that had moved there end with their idle timeout, or move again.
            forget(endpoint)
            return
        }
        // The system took the socket away: everything on it is over.
        let tell = onLost
        closeSocket()
        tell?()
    }
}
