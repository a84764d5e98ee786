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
    var streams: [StreamID: StreamMailbox] = [:]
    /// Told once when the dial comes to its end.
    var onDialed: ((Result<QuicConnection, QuicError>) -> Void)?

    // MARK: opening and accepting streams

    struct OpenWaiter {
        let id: UInt64
        let complete: @Sendable (Result<QuicStream, QuicError>) -> Void
    }

    var openWaiters: Deque<OpenWaiter> = []
    var openOutbound = 0
    var inbound = InboundStreamCredit(initial: 0, limit: 0)

    /// Stands in the endpoint's list of connections to service.
    var isTouched = false
    private var timer: (due: UInt64, scheduled: Scheduled<Void>)?
    private var segments: [OutboundSegment] = []
    private var isOver = false

    init(core: ConnectionCore, endpoint: EndpointDriver, direction: Direction) {
        self.core = core
        self.endpoint = endpoint
        self.direction = direction
        wakes = WakeList(eventLoop: endpoint.eventLoop)
        let streams = endpoint.configuration.streams
        inbound = InboundStreamCredit(
            initial: min(streams.initialInboundCredit, streams.maxInbound),
            limit: streams.maxInbound
        )
        wakes.attach(NIOLoopBound(self, eventLoop: endpoint.eventLoop))
    }

    /// A task left something in a mailbox.
    func wake() {
        endpoint.touch(self)
        endpoint.serviceTouched()
    }

    // MARK: one turn

    /// Takes what the tasks want, hands out what happened, writes what can be sent, and arms the timer. Every input ends
    /// in exactly one of these.
    func service(now: UInt64) {
        guard !isOver else { return }
        takeOrders()
        handleEvents()
        send(now: now)
        endpoint.core.synchronize(core)
        // Writing can end the connection.
        handleEvents()
        if core.isFinished {
            finish()
        } else {
            armTimer(now: now)
        }
    }

    private func takeOrders() {
        for (id, mailbox) in wakes.take() {
            let orders = mailbox.takeOutbound(into: &segments)
            if !segments.isEmpty || orders.isEnd {
                core.send(
                    segments.lazy.map(\.sendSegment),
                    isEnd: orders.isEnd,
                    on: id
                )
                segments.removeAll(keepingCapacity: true)
            }
            if let code = orders.reset { core.reset(id, code: code) }
            if let code = orders.stop { core.stopReceiving(id, code: code) }
            core.consumed(orders.credit, on: id)
        }
    }

    private func send(now: UInt64) {
        while !endpoint.isBlocked, let batch = core.writeBatch(into: endpoint.sendBuffer, maxSegments: 44, now: now) {
            if let refusal = endpoint.send(batch), Self.isHopeless(refusal), !core.isEstablished, direction == .outbound
            {
                core.abandon()
                endDial(.failure(.unreachable(batch.remote, errno: refusal)))
            }
        }
        if endpoint.isBlocked { endpoint.waitForRoom(self) }
    }

    /// Whether an errno of `sendmsg` means that the destination cannot be reached, and not that one datagram was lost.
    private static func isHopeless(_ code: Int32) -> Bool {
        switch code {
        case EINVAL, EACCES, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT, EBADF: true
        default: false
        }
    }

    private func handleEvents() {
        while let event = core.nextEvent() {
            switch event {
            case .handshakeCompleted(let result): handshakeCompleted(result)
            case .handshakeConfirmed: handshakeConfirmed()
            case .streamOpened(let id): peerOpened(id)
            case .streamData(let id, let bytes, let isEnd):
                if let mailbox = streams[id] {
                    mailbox.deliver(bytes, fin: isEnd)
                } else {
                    core.consumed(bytes.count, on: id)
                }
            case .streamReset(let id, let code): streams[id]?.peerReset(code: code)
            case .streamStopped(let id, let code): streams[id]?.peerStopped(code: code)
            case .streamAcknowledged(let id, let count): streams[id]?.freed(bytes: count)
            case .streamClosed(let id): closed(id)
            case .streamsAvailable: serveOpenWaiters()
            case .pathValidated(let success): if success { connection?.moved(to: core.remoteAddress) }
            case .datagramReceived, .newToken: break
            case .terminated(let end): terminated(end)
            }
        }
    }

    // MARK: the timer

    /// Arms the one timer. One that fires too early is cheaper than one that is moved with every packet.
    private func armTimer(now: UInt64) {
        guard let due = core.nextDeadline else { return }
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
        if let due = core.nextDeadline, due <= now { core.handleTimer(now: now) }
        endpoint.touch(self)
        endpoint.serviceTouched()
    }

    // MARK: the handshake

    private func handshakeCompleted(_ result: HandshakeResult) {
        let connection = QuicConnection(driver: self, handshake: result)
        self.connection = connection
        endpoint.core.synchronize(core)
        if direction == .inbound { endpoint.deliver(connection, of: self) }
    }

    private func handshakeConfirmed() {
        guard direction == .outbound, let connection else { return }
        endDial(.success(connection))
    }

    /// The task that dialed does not want the connection any more.
    func cancelDial() {
        guard onDialed != nil else { return }
        endDial(.failure(.dialCancelled))
        close(code: .none, reason: "the dial was cancelled")
    }

    func endDial(_ result: Result<QuicConnection, QuicError>) {
        guard let onDialed else { return }
        self.onDialed = nil
        onDialed(result)
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
        for waiter in openWaiters { waiter.complete(.failure(end.error)) }
        openWaiters = []
        wakes.attach(nil)
        for mailbox in streams.values { mailbox.connectionFailed(end.error) }
        streams = [:]
        connection?.ended(end)
        connection = nil
        endpoint.ended(self, end)
    }

    private func finish() {
        isOver = true
        timer?.scheduled.cancel()
        timer = nil
        wakes.attach(nil)
        endpoint.remove(self)
    }
}

/// How many streams the peer may still open.
///
/// The credit follows the application: at first some streams, one more for each that was accepted, never more open at once
/// than the limit. A peer whose streams nobody accepts is held at the initial credit, even if it closes them.
struct InboundStreamCredit {
    private let initial: Int
    private let limit: Int
    private var granted: Int
    private var accepted = 0
    private var finished = 0

    init(initial: Int, limit: Int) {
        self.initial = initial
        self.limit = limit
        granted = initial
    }

    /// The application has taken a stream.
    mutating func streamAccepted() -> Int {
        accepted += 1
        return grant()
    }

    /// A stream is over, for the application too. Returns how many more streams to allow.
    mutating func streamFinished() -> Int {
        finished += 1
        return grant()
    }

    private mutating func grant() -> Int {
        let target = min(initial + accepted, limit + finished)
        guard target > granted else { return 0 }
        defer { granted = target }
        return target - granted
    }
}
