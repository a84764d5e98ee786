import DequeModule
import Libp2pTLS
import NIOCore
import NetStream
import PeerID
import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Drives one connection on its event loop: between the protocol core, the socket, and the mailboxes of the streams.
///
/// Everything here happens on the event loop. What others see of the connection is ``QuicConnection``.
final class ConnectionDriver {
    let core: ConnectionCore
    let endpoint: EndpointDriver
    let direction: Direction
    let wakes: WakeList
    /// The handle, once the peer is verified.
    var connection: QuicConnection?
    /// Looked at for each event. A release build does not check that access to it is exclusive: everything here happens on one
    /// event loop, and nothing is called from inside a change of it. Debug builds, which the tests are, check just that.
    #if !DEBUG
    @exclusivity(unchecked)
    #endif
    var streams: [StreamID: StreamMailbox] = [:]
    let sendMemory: SendMemory
    /// Whether early connections of this side are handed up, or those of peers, before their handshake is done.
    let handsUpEarly: Bool
    var isHandshakeDone = false
    /// The dial on its way.
    var pendingDial: PendingDial?

    // MARK: opening and accepting streams

    struct OpenWaiter {
        let id: UInt64
        let complete: @Sendable (Result<QuicStream, QuicError>) -> Void
    }

    var openWaiters: Deque<OpenWaiter> = []
    var openOutbound = 0
    var inbound = InboundStreamCredit(initial: 0, limit: 0)

    struct PingWaiter {
        let id: UInt64
        let sent: NIODeadline
        let complete: @Sendable (Result<Duration, QuicError>) -> Void
    }

    /// Who waits for which of the core's pings.
    var pings: [UInt64: PingWaiter] = [:]
    /// Who waits until what was written has arrived.
    var flushes: [UInt64: @Sendable () -> Void] = [:]
    /// Datagrams that arrived and gave way to newer ones.
    private(set) var unreadDatagrams: UInt64 = 0

    // MARK: moving

    struct Migration {
        /// The waiter's number.
        let id: UInt64
        /// The address of the socket it goes to, once that is open.
        var local: NetworkAddress?
        /// `nil` once nobody waits any more.
        var complete: (@Sendable (Result<Void, QuicError>) -> Void)?
    }

    /// A migration on its way.
    var pendingMigration: Migration?
    /// The address of the further socket that the connection has moved to.
    var migratedLocal: NetworkAddress?

    /// Stands in the endpoint's list of connections to service.
    var isTouched = false
    private var timer: (due: UInt64, scheduled: Scheduled<Void>)?
    /// The connection has its turn.
    private var isInTurn = false
    /// A mailbox was left something for the loop during the turn.
    private var hasNewOrders = false
    /// Who waited for what has just arrived, until everything that came with it is delivered.
    private var readers: InboundHalf<StreamMailbox.Reader>.Served = []
    private var isOver = false
    /// When the round-trip time is told again.
    private var roundTripTimeDue: UInt64 = 0

    init(core: ConnectionCore, endpoint: EndpointDriver, direction: Direction, handsUpEarly: Bool) {
        self.handsUpEarly = handsUpEarly
        self.core = core
        self.endpoint = endpoint
        self.direction = direction
        wakes = WakeList(eventLoop: endpoint.eventLoop)
        let streams = endpoint.settings.configuration.streams
        sendMemory = SendMemory(
            pool: endpoint.pool,
            limit: streams.maxSendBufferOfConnection,
            wakeLoop: { [wakes] in wakes.wakeLoop() }
        )
        inbound = InboundStreamCredit(
            initial: min(streams.initialInboundCredit, streams.maxInbound),
            limit: streams.maxInbound
        )
        wakes.attach(NIOLoopBound(self, eventLoop: endpoint.eventLoop))
    }

    /// A task left something in a mailbox.
    func wake() {
        endpoint.touch(self)
        endpoint.serviceSoon()
    }

    /// Whether this connection has its turn, or tasks run on the loop, at the end of whose turn it now has its own.
    func joinsTurn() -> Bool {
        if isInTurn {
            hasNewOrders = true
            return true
        }
        guard endpoint.taskExecutor.isBusy else { return false }
        endpoint.touch(self)
        return true
    }

    // MARK: one turn

    /// Takes what the tasks want, hands out what happened, writes what can be sent, and arms the timer. Every input ends
    /// in one of these, or in two where the first one leaves the writing to the second.
    ///
    /// - Parameter gathers: Whether to write nothing while tasks run on the loop, such as those that were just resumed: what
    ///   they write can go with it. There is another turn, when they have run.
    func service(now: UInt64, gathers: Bool = false) {
        guard !isOver else { return }
        isInTurn = true
        defer { isInTurn = false }
        takeOrders()
        handleEvents()
        if gathers, core.isEstablished, endpoint.taskExecutor.isBusy { return endpoint.postpone(self) }
        // Bytes that went straight to who waited for them give credit, which goes with what is written now.
        if hasNewOrders { takeOrders() }
        let isPaced = send(now: now) || core.hasQueuedData
        endpoint.core.synchronize(core)
        // Writing can end the connection.
        handleEvents()
        serveThoseInLine()
        endFlushesThatAreDone()
        if core.isFinished {
            finish()
        } else {
            armTimer(now: now, isExact: isPaced)
            publishRoundTripTime(now: now)
        }
        if hasNewOrders { endpoint.touch(self) }
    }

    /// Tells the connection object how long a round trip takes, ten times a second at most: it is read without a hop to
    /// this loop.
    private func publishRoundTripTime(now: UInt64) {
        guard let connection, now >= roundTripTimeDue else { return }
        let path = core.pathStatistics
        // Before the first sample there is only a guess.
        guard path.minimumRoundTrip > .zero else { return }
        roundTripTimeDue = now + 100_000_000
        connection.measured(roundTripTime: path.smoothedRoundTrip)
    }

    private func takeOrders() {
        hasNewOrders = false
        var room = endpoint.orderRoom
        endpoint.orderRoom = OrderRoom()
        defer { endpoint.orderRoom = room }
        wakes.take(into: &room.streams)
        guard !room.streams.isEmpty else { return }
        for entry in room.streams {
            let (id, mailbox) = (entry.id, entry.mailbox)
            let orders = mailbox.takeOutbound(into: &room.taken)
            // After early data was refused its streams' numbers are those of others, which these orders do not concern.
            if let owner = streams[id], owner !== mailbox {
                room.taken.removeAll(keepingCapacity: true)
                continue
            }
            if !room.taken.isEmpty || orders.isEnd {
                for segment in room.taken { room.segments.append(segment.sendSegment) }
                room.taken.removeAll(keepingCapacity: true)
                core.send(room.segments, isEnd: orders.isEnd, on: id)
                room.segments.removeAll(keepingCapacity: true)
            }
            if let code = orders.reset { core.reset(id, code: code) }
            if let code = orders.stop { core.stopReceiving(id, code: code) }
            core.consumed(orders.credit, on: id)
        }
        // It goes back to a connection, which is not to keep the room of a burst.
        room.streams.removeAll(keepingCapacity: room.streams.count <= 16)
    }

    /// Writes what can be sent. Returns whether it was more than a packet at once.
    private func send(now: UInt64) -> Bool {
        var isTrain = false
        while !endpoint.isBlocked(at: migratedLocal),
            let batch = core.writeBatch(into: endpoint.sendBuffer, maxSegments: 44, now: now)
        {
            if batch.segments > 1 { isTrain = true }
            if let refusal = endpoint.send(batch), Self.isHopeless(refusal), !core.isEstablished, direction == .outbound
            {
                core.abandon()
                endDial(.failure(.unreachable(batch.remote, errno: refusal)))
            }
        }
        if endpoint.isBlocked(at: migratedLocal) { endpoint.waitForRoom(self) }
        return isTrain
    }

    /// Whether an errno of `sendmsg` means that the destination cannot be reached, and not that one datagram was lost.
    private static func isHopeless(_ code: Int32) -> Bool {
        switch code {
        case EINVAL, EACCES, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT, EBADF: true
        default: false
        }
    }

    private func handleEvents() {
        var readers = self.readers
        self.readers = []
        defer { self.readers = readers }
        while let event = core.nextEvent() {
            switch event {
            case .earlyDataStarted(let result): earlyDataStarted(result)
            case .earlyDataRejected(let streams): earlyDataRejected(streams)
            case .handshakeCompleted(let result): handshakeCompleted(result)
            case .handshakeConfirmed: handshakeConfirmed()
            case .streamOpened(let id): peerOpened(id)
            case .streamData(let id, let bytes, let isEnd):
                if let mailbox = streams[id] {
                    mailbox.deliver(bytes, fin: isEnd, to: &readers)
                } else {
                    core.consumed(bytes.count, on: id)
                }
            case .streamReset(let id, let code): streams[id]?.peerReset(code: code)
            case .streamStopped(let id, let code): streams[id]?.peerStopped(code: code)
            case .streamAcknowledged(let id, let count): streams[id]?.freed(bytes: count)
            case .streamClosed(let id): closed(id)
            case .streamsAvailable: serveOpenWaiters()
            case .pathValidated(let success): pathValidated(success)
            case .pathChanged(let old, let new): pathChanged(from: old, to: new)
            case .datagramReceived(let bytes):
                datagramReceived(bytes)
            case .pingAcknowledged(let number): pingAcknowledged(number)
            case .newToken, .streamWritable, .connectionIDIssued, .connectionIDRetired: break
            case .terminated(let end): terminated(end)
            }
        }
        guard !readers.isEmpty else { return }
        for reader in readers { reader.waiter.resume(returning: reader.outcome) }
        readers.removeAll(keepingCapacity: true)
    }

    // Not inlined, or the loop above would pay for the check of exclusive access to the property each time it begins.
    @inline(never)
    private func datagramReceived(_ bytes: [UInt8]) {
        if connection?.received(datagram: bytes) == true { unreadDatagrams += 1 }
    }

    // MARK: the timer

    /// How long a connection that cannot send waits before it looks at its timers again, in nanoseconds.
    private static let blockedPause: UInt64 = 5_000_000

    /// Deadlines of established connections that are nearer than this many nanoseconds come then (RFC 9002 §6.1.2 recommends
    /// the same granularity), but for those of pacing. The library acknowledges after an eighth of a round trip: on a fast
    /// path that is sooner than the application answers, and takes a packet where the answer would have carried it.
    private static let granularity: UInt64 = 1_000_000

    /// Arms the one timer. One that fires too early is cheaper than one that is moved with every packet.
    private func armTimer(now: UInt64, isExact: Bool) {
        guard var due = core.nextDeadline else { return }
        if !isExact, core.isEstablished { due = max(due, now &+ Self.granularity) }
        // What cannot be sent stays due: no turn before there is room, or the loop would turn for nothing.
        if endpoint.isBlocked(at: migratedLocal) { due = max(due, now &+ Self.blockedPause) }
        if let timer, timer.due <= due { return }
        timer?.scheduled.cancel()
        let bound = NIOLoopBound(self, eventLoop: endpoint.eventLoop)
        let scheduled = endpoint.eventLoop.scheduleTask(deadline: .uptimeNanoseconds(max(due, now))) {
            bound.value.timerFired()
        }
        timer = (due, scheduled)
    }

    private func timerFired() {
        timer = nil
        guard !isOver else { return }
        let now = NIODeadline.now().uptimeNanoseconds
        // The deadline it was armed for may have moved since.
        guard let due = core.nextDeadline, due <= now else { return armTimer(now: now, isExact: true) }
        core.handleTimer(now: now)
        endpoint.touch(self)
        endpoint.serviceTouched()
    }

    // MARK: the handshake

    private func handshakeCompleted(_ result: HandshakeResult) {
        isHandshakeDone = true
        endpoint.core.synchronize(core)
        guard let connection else {
            let connection = QuicConnection(driver: self, handshake: result, isEarly: false)
            self.connection = connection
            if direction == .inbound { endpoint.deliver(connection, of: self) }
            return
        }
        connection.handshakeCompleted(result)
        if direction == .inbound, !handsUpEarly { endpoint.deliver(connection, of: self) }
        // With early data refused the limits are those of a new connection.
        serveOpenWaiters()
    }

    private func handshakeConfirmed() {
        guard direction == .outbound, let connection else { return }
        logOpened(connection)
        endDial(.success(connection))
    }

    // MARK: the end

    /// Closes the connection with an application code.
    func close(code: ConnectionErrorCode, reason: String) {
        core.close(code: code.rawValue, reason: reason, now: NIODeadline.now().uptimeNanoseconds)
        endpoint.touch(self)
        endpoint.serviceTouched()
    }

    private func terminated(_ end: ConnectionTermination) {
        endDial(.failure(end.error))
        endMigration(.failure(end.error))
        failPings(end.error)
        for waiter in openWaiters { waiter.complete(.failure(end.error)) }
        openWaiters = []
        sendMemory.close()
        wakes.attach(nil)
        for mailbox in streams.values { mailbox.connectionFailed(end.error) }
        streams = [:]
        endFlushesThatAreDone()
        connection?.ended(end)
        endpoint.metrics.ended(end)
        logEnded(end, peer: connection?.remotePeer)
        connection = nil
    }

    private func finish() {
        isOver = true
        timer?.scheduled.cancel()
        timer = nil
        wakes.attach(nil)
        if let migratedLocal { endpoint.detach(migratedLocal) }
        endpoint.remove(self)
    }
}
