public import Multiaddr
internal import NIOCore
public import NetStream
public import QuicCore
internal import Synchronization

/// Listens on one UDP socket.
///
/// Connections come up only when their handshake is done and the peer verified. At most
/// ``QuicConfiguration/Endpoint/acceptQueueLimit`` wait to be taken; the next one is closed with "resource limit".
public final class QuicListener: Listener {
    /// The address listened on, with the real port, without `/p2p`. The unspecified address stands as it is.
    public let addresses: [Multiaddr]

    private let queue: AsyncQueue<QuicConnection>
    private let eventLoop: any EventLoop
    private let driver: NIOLoopBound<EndpointDriver>
    private let isOpen = Mutex(true)

    init(driver: EndpointDriver, addresses: [Multiaddr]) {
        self.addresses = addresses
        eventLoop = driver.eventLoop
        self.driver = NIOLoopBound(driver, eventLoop: driver.eventLoop)
        let queue = AsyncQueue<QuicConnection>(capacity: driver.configuration.endpoint.acceptQueueLimit)
        self.queue = queue
        driver.accept { queue.offer($0) }
        driver.onLost = { [weak self] in
            self?.isOpen.withLock { $0 = false }
            queue.close(.socketLost)
        }
    }

    /// Whether the listener accepts connections.
    public var isListening: Bool { isOpen.withLock { $0 } }

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
            isOpen.withLock({ isOpen in
                defer { isOpen = false }; return isOpen
            })
        else { return }
        let driver = driver
        await withCheckedContinuation { continuation in
            eventLoop.execute {
                driver.value.stopAccepting()
                driver.value.closeWhenIdle()
                continuation.resume()
            }
        }
        for connection in queue.close(.listenerClosed) {
            await connection.close(code: .shutdown, reason: "the listener was closed")
        }
    }

    /// Counters of the listener's socket.
    public func statistics() async -> QuicListenerStatistics {
        let driver = driver
        return await withCheckedContinuation { continuation in
            eventLoop.execute { continuation.resume(returning: driver.value.listenerStatistics) }
        }
    }

    /// The listener's driver, for the transport.
    var endpoint: NIOLoopBound<EndpointDriver> { driver }
}

/// Counters of one socket since it was opened.
public struct QuicListenerStatistics: Sendable, Hashable {
    /// Inbound connections whose peer was verified.
    public var accepted: UInt64 = 0
    /// Inbound connections turned away by a limit.
    public var rejected: UInt64 = 0
    /// Connections there are now, closing ones included.
    public var active = 0
    /// Inbound connections whose handshake is not finished.
    public var pending = 0
    /// Version Negotiation packets sent.
    public var versionNegotiations: UInt64 = 0
    /// Stateless resets sent.
    public var statelessResets: UInt64 = 0
    /// Packets that were routed by their address.
    public var fallbackRoutings: UInt64 = 0
    /// Datagrams whose header cannot be read.
    public var invalidPackets: UInt64 = 0
    /// Datagrams dropped, whatever the reason.
    public var dropped: UInt64 = 0
    /// UDP payload bytes received.
    public var bytesReceived: UInt64 = 0
    /// UDP payload bytes sent.
    public var bytesSent: UInt64 = 0
    /// Datagrams received.
    public var packetsReceived: UInt64 = 0
    /// Datagrams sent.
    public var packetsSent: UInt64 = 0
}

extension EndpointDriver {
    /// Everything that is counted on this socket.
    var listenerStatistics: QuicListenerStatistics {
        let routing = core.statistics
        let socket = socketStatistics
        return QuicListenerStatistics(
            accepted: routing.accepted,
            rejected: routing.rejected,
            active: connectionCount,
            pending: core.halfOpenCount,
            versionNegotiations: routing.versionNegotiations,
            statelessResets: routing.statelessResets,
            fallbackRoutings: core.registry.statistics.fallbackRoutings,
            invalidPackets: routing.malformed + UInt64(socket.emptyDatagrams + socket.unreadableDatagrams),
            dropped: routing.dropped,
            bytesReceived: UInt64(socket.bytesReceived),
            bytesSent: UInt64(socket.bytesSent),
            packetsReceived: UInt64(socket.datagramsReceived),
            packetsSent: UInt64(socket.datagramsSent)
        )
    }
}

extension QuicError {
    static var socketLost: QuicError {
        .state("the system has closed the listener's socket; listen again", attempted: "accept a connection")
    }

    static var listenerClosed: QuicError { .state("the listener is closed", attempted: "accept a connection") }
}
