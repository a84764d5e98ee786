import CQuicUDP
import NIOCore
import NIOPosix
import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Whoever owns the protocol above a ``UDPEndpoint``. Every call comes on the endpoint's event loop.
protocol UDPEndpointHandler: AnyObject {
    /// Datagrams arrived: one, or several of one sender, back to back in `datagrams`, each `segmentSize` bytes long but
    /// the last, which may be shorter. None is empty. The bytes are valid during the call.
    ///
    /// - Parameters:
    ///   - local: The local IP address they were sent to, with the socket's port: that of the socket where it is bound to one
    ///     address, and else nil when the kernel does not say.
    ///   - ecn: The two ECN bits, the same for all of them.
    func received(
        _ datagrams: UnsafeRawBufferPointer,
        segmentSize: Int,
        from: NetworkAddress,
        to local: NetworkAddress?,
        ecn: UInt8,
        on endpoint: UDPEndpoint
    )

    /// The read batch is over: the place to let the protocol answer, where it has not done so meanwhile.
    func receiveCompleted(_ endpoint: UDPEndpoint)

    /// The send buffer has room again after ``UDPSendResult/wouldBlock(sentSegments:behindSocket:)``.
    func writable(_ endpoint: UDPEndpoint)

    /// The socket is gone without ``UDPEndpoint/close()`` having been called.
    func closed(_ endpoint: UDPEndpoint, error: (any Error)?)
}

extension UDPEndpointHandler {
    func closed(_ endpoint: UDPEndpoint, error: (any Error)?) {}
}

/// One UDP socket on one event loop.
///
/// SwiftNIO waits for readiness and reads the first message of each wake-up; the rest of the batch is read, and
/// everything is sent, by our own system calls on a descriptor of the same socket. That is because SwiftNIO closes the
/// channel on nearly every send error, cannot choose the source address, and allocates for each message it reads.
///
/// Not `Sendable`: everything happens on ``eventLoop``.
final class UDPEndpoint {
    /// The loop that everything here runs on.
    let eventLoop: any EventLoop
    /// The bound address with its real port.
    let localAddress: NetworkAddress
    /// Kernel buffers and offloads as they came out.
    let features: cquic_socket_features
    /// What happened so far.
    private(set) var statistics = UDPStatistics()

    private let channel: any Channel
    private let batch: UDPReceiveBatch
    /// Bound to no address of its own: what address datagrams came to has to be asked for, and what they leave from said.
    private let isUnspecified: Bool
    private var sender: GSOSender
    private var busyPoll: BusyPoll?
    /// nil once the endpoint is closed.
    private(set) var socket: UDPSocket?
    private var handler: (any UDPEndpointHandler)?
    private var isWatchingWritability = false

    /// Messages read by ourselves in one system call.
    private static let messagesPerRead = 8
    /// Bytes after which a read batch ends although there is more: other sockets of the loop and the answers to what
    /// was read have to get their turn.
    private static let bytesPerBatch = 256 << 10
    /// What the smallest message counts for in a batch, so that a flood of empty datagrams cannot keep the loop reading.
    private static let leastCost = 1024

    private init(
        channel: any Channel,
        socket: UDPSocket,
        localAddress: NetworkAddress,
        features: cquic_socket_features,
        batch: UDPReceiveBatch,
        busyPoll: BusyPoll?
    ) {
        self.channel = channel
        self.eventLoop = channel.eventLoop
        self.socket = socket
        self.localAddress = localAddress
        self.features = features
        self.batch = batch
        self.busyPoll = busyPoll
        self.isUnspecified = localAddress.isUnspecified
        self.sender = GSOSender(usesSegmentation: features.gso != 0)
    }

    /// Opens a socket. Nothing is read before ``start(_:)``.
    ///
    /// - Parameters:
    ///   - address: Where to bind; port 0 takes a free one, `::` serves IPv4 too unless the options say otherwise.
    ///   - eventLoop: A loop of SwiftNIO's POSIX kind.
    /// - Returns: The endpoint; the future fails with ``UDPSocketError``.
    static func bind(
        to address: NetworkAddress,
        options: UDPSocketOptions = UDPSocketOptions(),
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<UDPEndpoint>> {
        let opened: (socket: UDPSocket, second: Int32, features: cquic_socket_features)
        let local: NetworkAddress
        do {
            opened = try UDPSocket.open(at: address, options: options)
            local = try opened.socket.localAddress()
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
        return DatagramBootstrap(group: eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
            .withBoundSocket(opened.second)
            .flatMapThrowing { channel in
                do {
                    let endpoint = UDPEndpoint(
                        channel: channel,
                        socket: opened.socket,
                        localAddress: local,
                        features: opened.features,
                        batch: try UDPReceiveBatch(capacity: messagesPerRead),
                        busyPoll: BusyPoll(window: options.busyPoll)
                    )
                    try endpoint.configureChannel()
                    return NIOLoopBound(endpoint, eventLoop: eventLoop)
                } catch {
                    channel.close(promise: nil)
                    throw error
                }
            }
    }

    private func configureChannel() throws {
        guard let options = channel.syncOptions else { return }
        // The socket has these options already; SwiftNIO has to be told, to report what the kernel says.
        try options.setOption(.explicitCongestionNotification, value: true)
        if isUnspecified { try options.setOption(.receivePacketInfo, value: true) }
        if features.gro != 0 { try options.setOption(.datagramReceiveSegmentSize, value: true) }
        try channel.pipeline.syncOperations.addHandler(UDPChannelHandler(endpoint: self))
    }

    /// Starts reading.
    ///
    /// - Parameter handler: Kept until the endpoint is closed.
    func start(_ handler: any UDPEndpointHandler) {
        eventLoop.preconditionInEventLoop()
        guard socket != nil else { return }
        self.handler = handler
        try? channel.syncOptions?.setOption(.autoRead, value: true)
    }

    /// Whether the socket is open.
    var isOpen: Bool { socket != nil }

    /// Whether datagrams of one destination leave in one system call.
    var usesSegmentation: Bool { sender.usesSegmentation }

    /// Closes the socket. The handler hears no more of it. Idempotent.
    @discardableResult
    func close() -> EventLoopFuture<Void> {
        eventLoop.preconditionInEventLoop()
        socket = nil
        handler = nil
        channel.close(promise: nil)
        return channel.closeFuture
    }

    // MARK: Sending

    /// Sends datagrams to one destination.
    ///
    /// - Parameters:
    ///   - bytes: The datagrams, back to back, each `segmentSize` bytes long but the last, which may be shorter. The
    ///     kernel has copied them when this returns.
    ///   - source: The local address to send from. It counts only where there is a choice, on a socket bound to the
    ///     unspecified address, and only when it is of the destination's family.
    ///   - ecn: The two ECN bits.
    func send(
        _ bytes: UnsafeRawBufferPointer,
        segmentSize: Int,
        to destination: NetworkAddress,
        from source: NetworkAddress? = nil,
        ecn: UInt8 = 0
    ) -> UDPSendResult {
        eventLoop.assertInEventLoop()
        let segments = segmentSize > 0 ? max(1, (bytes.count + segmentSize - 1) / segmentSize) : 1
        guard let socket else {
            statistics.datagramsDropped += segments
            return .dropped(EBADF)
        }
        // Both by value: a property that is changed during a call costs a note of that.
        var sender = sender
        var calls = 0
        let result = sender.send(
            bytes,
            segmentSize: segmentSize,
            to: cquic_addr(destination),
            from: isUnspecified ? source.map { cquic_addr($0) } : nil,
            ecn: ecn,
            through: socket,
            calls: &calls
        )
        self.sender = sender
        statistics.sendCalls += calls
        switch result {
        case .sent:
            statistics.datagramsSent += segments
            statistics.bytesSent += bytes.count
            stayAwake()
        case .wouldBlock(let sent, let behindSocket):
            statistics.datagramsSent += sent
            statistics.bytesSent += sent * segmentSize
            statistics.sendsBlocked += 1
            if behindSocket { waitForDevice() } else { watchWritability(of: socket) }
        case .dropped(let code):
            statistics.datagramsDropped += segments
            statistics.lastSendError = code
        }
        return result
    }

    /// Waits for room in the send buffer, then calls the handler once.
    ///
    /// SwiftNIO tells about writability only for writes of its own, and a datagram given to it for that purpose would
    /// close the channel if it fails. So one `poll` waits on SwiftNIO's pool for blocking calls. It is bounded, that a
    /// socket that never drains does not keep a thread of the pool, and it happens only when a socket has many
    /// milliseconds' worth of datagrams queued, so that the two hops between threads do not matter.
    private func watchWritability(of socket: UDPSocket) {
        guard !isWatchingWritability else { return }
        isWatchingWritability = true
        NIOThreadPool.singleton
            .runIfActive(eventLoop: eventLoop) { socket.waitUntilWritable(timeout: 20) }
            .assumeIsolated()
            .whenComplete { outcome in
                self.isWatchingWritability = false
                guard let socket = self.socket else { return }
                if case .success(false) = outcome {
                    self.watchWritability(of: socket)
                } else {
                    self.handler?.writable(self)
                }
            }
    }

    /// Waits a moment, then calls the handler once. A socket whose network card has no room counts as writable all the
    /// time: nothing tells when there is room again. In a millisecond a card of 1 Gbit/s sends some eighty datagrams.
    private func waitForDevice() {
        guard !isWatchingWritability else { return }
        isWatchingWritability = true
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) {
            self.isWatchingWritability = false
            if self.socket != nil { self.handler?.writable(self) }
        }
    }

    // MARK: Receiving

    /// The loop was woken for this socket.
    func woken() {
        busyPoll?.loopHasSelected(now: .now())
    }

    func receive(_ message: UDPMessage) {
        guard let handler else { return }
        guard !message.isTruncated else {
            statistics.unreadableDatagrams += 1
            return
        }
        guard message.bytes.count > 0 else {
            statistics.emptyDatagrams += 1
            return
        }
        let segmentSize = message.segmentSize > 0 ? message.segmentSize : message.bytes.count
        stayAwake()
        statistics.messagesReceived += 1
        statistics.bytesReceived += message.bytes.count
        statistics.datagramsReceived += (message.bytes.count + segmentSize - 1) / segmentSize
        handler.received(
            message.bytes,
            segmentSize: segmentSize,
            from: message.source,
            to: isUnspecified ? message.destination : localAddress,
            ecn: message.ecn,
            on: self
        )
    }

    /// Reads what else is there, in the same wake-up.
    func drain(alreadyRead: Int) {
        readAll(alreadyRead: alreadyRead)
        handler?.receiveCompleted(self)
    }

    /// Reads what is there, and returns how many bytes of a batch that was.
    @discardableResult
    private func readAll(alreadyRead: Int) -> Int {
        var bytes = alreadyRead
        let port = localAddress.port
        while bytes < Self.bytesPerBatch, let socket {
            let count = batch.read(from: socket)
            guard count > 0 else {
                if count < 0, count != -Int(EAGAIN) { statistics.receiveErrors += 1 }
                break
            }
            for index in 0..<count {
                guard var message = batch.message(at: index) else {
                    statistics.unreadableDatagrams += 1
                    bytes += Self.leastCost
                    continue
                }
                message.destination = message.destination?.withPort(port)
                bytes += max(message.bytes.count, Self.leastCost)
                receive(message)
            }
            if count < batch.capacity { break }
        }
        return bytes
    }

    /// A datagram came or went: where sockets are polled, this one is, for the whole window from now on.
    private func stayAwake() {
        if busyPoll?.extend(now: .now()) == true { lookAgain() }
    }

    /// In the next task of the loop, which does not sleep while it has one.
    private func lookAgain() {
        eventLoop.assumeIsolated().execute {
            guard self.socket != nil, self.busyPoll?.goesOn(now: .now()) == true else { return }
            if self.readAll(alreadyRead: 0) > 0 {
                self.handler?.receiveCompleted(self)
            } else {
                // Whoever shares the core with this thread may be the very one that is to answer.
                sched_yield()
            }
            self.lookAgain()
        }
    }

    func countUnreadable() {
        statistics.unreadableDatagrams += 1
    }

    func failed(_ error: any Error) {
        statistics.receiveErrors += 1
    }

    func channelClosed(error: (any Error)?) {
        guard socket != nil else { return }
        socket = nil
        let handler = self.handler
        self.handler = nil
        handler?.closed(self, error: error)
    }
}
