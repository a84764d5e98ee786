import NIOCore
import NIOPosix
import NetStream
import PeerID
import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Drives one UDP socket on its event loop: datagrams to the protocol core, batches of datagrams to the socket.
///
/// Everything here happens on the event loop.
final class EndpointDriver: UDPEndpointHandler {
    let core: EndpointCore
    let configuration: QuicConfiguration
    let eventLoop: any EventLoop
    let deadlines: DeadlineQueue
    let pool = SendChunkPool()
    let metrics: TransportMetrics
    /// Where a batch is written before it goes to the kernel: one for all connections of the socket.
    let sendBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)
    /// Where accepted connections go; `nil` on a socket that only dials.
    private var onConnection: ((QuicConnection) -> Bool)?
    /// Told when the socket is closed.
    var onClosed: (() -> Void)?
    /// Told when the system takes the socket away.
    var onLost: (() -> Void)?
    private var closesWhenIdle = false

    private let socket: UDPEndpoint
    private var drivers: [ConnectionHandle: ConnectionDriver] = [:]
    private var touched: [ConnectionDriver] = []
    private var isServicing = false
    /// What the kernel had no room for, and who waits for room.
    private var unsent: (bytes: [UInt8], batch: SendBatch)?
    private var waitingForRoom: [ConnectionDriver] = []

    init(socket: UDPEndpoint, core: EndpointCore, metrics: TransportMetrics) {
        self.socket = socket
        self.core = core
        self.metrics = metrics
        configuration = core.configuration
        eventLoop = socket.eventLoop
        deadlines = DeadlineQueue(eventLoop: socket.eventLoop)
    }

    deinit { sendBuffer.deallocate() }

    /// The address the socket is bound to.
    var localAddress: NetworkAddress { socket.localAddress }
    /// Counters of the socket.
    var socketStatistics: UDPStatistics { socket.statistics }
    var connectionCount: Int { core.connectionCount }

    func start() { socket.start(self) }

    /// Accepts connections from now on.
    func accept(_ onConnection: @escaping (QuicConnection) -> Bool) {
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
        completion: @escaping (Result<QuicConnection, QuicError>) -> Void
    ) -> ConnectionDriver? {
        do {
            let now = NIODeadline.now().uptimeNanoseconds
            let core = try core.connect(to: remote, from: localAddress, expecting: expected, now: now)
            let driver = ConnectionDriver(core: core, endpoint: self, direction: .outbound)
            drivers[core.handle] = driver
            driver.onDialed = completion
            touch(driver)
            serviceTouched()
            return driver
        } catch {
            completion(.failure(error))
            return nil
        }
    }

    // MARK: datagrams in

    func received(
        _ datagrams: UnsafeRawBufferPointer,
        segmentSize: Int,
        from remote: NetworkAddress,
        to local: NetworkAddress?,
        ecn: UInt8,
        on endpoint: UDPEndpoint
    ) {
        let now = NIODeadline.now().uptimeNanoseconds
        let arrived = local ?? localAddress
        var offset = 0
        while offset < datagrams.count {
            let end = min(offset + segmentSize, datagrams.count)
            let datagram = UnsafeRawBufferPointer(rebasing: datagrams[offset..<end])
            offset = end
            switch core.receive(datagram, from: remote, to: arrived, ecn: ecn, now: now) {
            case .connection(let core):
                if let driver = drivers[core.handle] { touch(driver) }
            case .opened(let core):
                let driver = ConnectionDriver(core: core, endpoint: self, direction: .inbound)
                drivers[core.handle] = driver
                touch(driver)
            case .reply(let bytes):
                bytes.withUnsafeBytes { bytes in
                    _ = socket.send(bytes, segmentSize: bytes.count, to: remote, from: arrived, ecn: 0)
                }
            case .dropped: break
            }
        }
    }

    func receiveCompleted(_ endpoint: UDPEndpoint) { serviceTouched() }

    /// Notes a connection that needs a turn.
    func touch(_ driver: ConnectionDriver) {
        guard !driver.isTouched else { return }
        driver.isTouched = true
        touched.append(driver)
    }

    /// Gives every touched connection its turn. Called from inside a turn it does nothing: the outer one goes on.
    func serviceTouched() {
        guard !isServicing else { return }
        isServicing = true
        let now = NIODeadline.now().uptimeNanoseconds
        var index = 0
        while index < touched.count {
            let driver = touched[index]
            index += 1
            driver.isTouched = false
            driver.service(now: now)
        }
        touched.removeAll(keepingCapacity: true)
        isServicing = false
    }

    // MARK: datagrams out

    /// Whether the kernel takes nothing at the moment.
    var isBlocked: Bool { unsent != nil }

    /// Sends the batch in ``sendBuffer``. Returns the errno if the destination is refused.
    func send(_ batch: SendBatch) -> Int32? {
        let bytes = UnsafeRawBufferPointer(rebasing: sendBuffer[..<batch.count])
        switch socket.send(
            bytes,
            segmentSize: batch.segmentSize,
            to: batch.remote,
            from: source(of: batch),
            ecn: batch.ecn
        )
        {
        case .sent: return nil
        case .dropped(let code): return code == EMSGSIZE ? nil : code
        case .wouldBlock(let sent):
            // The packets are sealed and counted as sent: they have to go out, or they are losses.
            let rest = bytes.dropFirst(sent * batch.segmentSize)
            unsent = (Array(rest), batch)
            return nil
        }
    }

    private func source(of batch: SendBatch) -> NetworkAddress? {
        batch.local.isUnspecified ? nil : batch.local
    }

    func waitForRoom(_ driver: ConnectionDriver) {
        if !waitingForRoom.contains(where: { $0 === driver }) { waitingForRoom.append(driver) }
    }

    func writable(_ endpoint: UDPEndpoint) {
        if let (bytes, batch) = unsent {
            let result = bytes.withUnsafeBytes { bytes in
                socket.send(
                    bytes,
                    segmentSize: batch.segmentSize,
                    to: batch.remote,
                    from: source(of: batch),
                    ecn: batch.ecn
                )
            }
            if case .wouldBlock(let sent) = result {
                unsent = (Array(bytes.dropFirst(sent * batch.segmentSize)), batch)
                return
            }
            unsent = nil
        }
        for driver in waitingForRoom { touch(driver) }
        waitingForRoom = []
        serviceTouched()
    }

    // MARK: connections

    /// Hands a verified inbound connection up; closes it if nobody takes it.
    func deliver(_ connection: QuicConnection, of driver: ConnectionDriver) {
        if let onConnection, onConnection(connection) {
            metrics.connectionAccepted()
            return
        }
        let isOpen = onConnection != nil
        metrics.connectionRefused()
        driver.core.close(
            code: 0x1001,
            reason: isOpen ? "too many connections wait to be accepted" : "the listener is closed",
            now: NIODeadline.now().uptimeNanoseconds
        )
    }

    func ended(_ driver: ConnectionDriver, _ end: ConnectionTermination) {
        metrics.ended(end)
    }

    func remove(_ driver: ConnectionDriver) {
        core.remove(driver.core)
        drivers[driver.core.handle] = nil
        waitingForRoom.removeAll { $0 === driver }
        if drivers.isEmpty, closesWhenIdle { closeSocket() }
    }

    func driver(of handle: ConnectionHandle) -> ConnectionDriver? { drivers[handle] }

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
        if isBlocked { writable(socket) }
        closeSocket()
    }

    /// Closes the socket. Connections that are still there end without a word.
    func closeSocket() {
        for driver in drivers.values {
            driver.core.abandon()
            touch(driver)
        }
        serviceTouched()
        for driver in Array(drivers.values) { remove(driver) }
        closesWhenIdle = false
        unsent = nil
        socket.close()
        onClosed?()
        onClosed = nil
    }

    func closed(_ endpoint: UDPEndpoint, error: (any Error)?) {
        // The system took the socket away: everything on it is over.
        closeSocket()
        onLost?()
        onLost = nil
    }
}
