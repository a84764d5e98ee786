public import Multiaddr
internal import NIOCore
public import NetStream
public import QuicCore
internal import Synchronization

/// Listens on one UDP socket.
///
/// Connections come up only when their handshake is done and the peer verified. At most
/// `QuicConfiguration.Endpoint.acceptQueueLimit` wait to be taken; the next one is closed with "resource limit".
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
    public func statistics() async -> QuicTransportStatistics {
        let driver = driver
        return await withCheckedContinuation { continuation in
            eventLoop.execute { continuation.resume(returning: driver.value.counts) }
        }
    }

    /// The listener's driver, for the transport.
    var endpoint: NIOLoopBound<EndpointDriver> { driver }
}

extension QuicError {
    static var socketLost: QuicError {
        .state("the system has closed the listener's socket; listen again", attempted: "accept a connection")
    }

    static var listenerClosed: QuicError { .state("the listener is closed", attempted: "accept a connection") }
}
