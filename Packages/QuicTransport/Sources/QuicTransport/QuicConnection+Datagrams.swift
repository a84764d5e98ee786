internal import NIOCore
public import QuicCore
internal import Synchronization

extension QuicConnection {
    /// Sends an unreliable datagram (RFC 9221): it arrives once or not at all, in no order. It leaves ahead of stream data.
    ///
    /// - Parameter bytes: At most ``QuicConnectionStatistics/maxDatagramSize``.
    /// - Throws: ``QuicError`` of code `datagramUnsupported` when the peer takes none, `datagramTooLarge`, `backPressure` when
    ///   `QuicConfiguration.maxQueuedDatagrams` wait already, or what ended the connection.
    public func sendDatagram(_ bytes: [UInt8]) async throws(QuicError) {
        try await onLoop { driver throws(QuicError) in try driver.core.sendDatagram(bytes) }
    }

    /// Takes new keys into use for what is sent from now on (RFC 9001 §6). The library does it by itself long before a key is
    /// worn out.
    ///
    /// - Throws: ``QuicError`` of code `state` while the last update is not acknowledged, or what ended the connection.
    public func updateKeys() async throws(QuicError) {
        try await onLoop { driver throws(QuicError) in
            // The library makes the next keys when packets are written.
            driver.wake()
            try driver.core.updateKeys(now: NIODeadline.now().uptimeNanoseconds)
        }
    }

    /// Asks the peer for a sign of life, at the level of QUIC: a PING frame and its acknowledgement.
    ///
    /// - Parameter timeout: How long to wait.
    /// - Returns: The time until the acknowledgement came, which a peer may delay by its `max_ack_delay`, usually 25 ms.
    /// - Throws: ``QuicError`` of code `timeout`, `cancelled`, `backPressure` when 64 wait already, or what ended the
    ///   connection.
    public func ping(timeout: Duration = .seconds(10)) async throws(QuicError) -> Duration {
        let id = makeWaiterID()
        let (driver, eventLoop, deadlines) = (driver, eventLoop, deadlines)
        let timer = Mutex<StreamTimer?>(nil)
        let isCancelled = Mutex(false)
        let result: Result<Duration, QuicError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let armed = deadlines.schedule(after: timeout) {
                    eventLoop.execute { driver.value.endPing(id, .failure(.pingTimeout)) }
                }
                timer.withLock { $0 = armed }
                eventLoop.execute {
                    driver.value.ping(id) { continuation.resume(returning: $0) }
                    // A cancellation that came before this found nothing to cancel.
                    if isCancelled.withLock({ $0 }) { driver.value.endPing(id, .failure(.pingCancelled)) }
                }
            }
        } onCancel: {
            isCancelled.withLock { $0 = true }
            eventLoop.execute { driver.value.endPing(id, .failure(.pingCancelled)) }
        }
        timer.withLock { $0 }?.cancel()
        return try result.get()
    }

    /// Does something with the connection and lets it have its turn.
    private func onLoop(
        _ body: @escaping @Sendable (ConnectionDriver) throws(QuicError) -> Void
    ) async throws(QuicError) {
        let driver = driver
        let result: Result<Void, QuicError> = await withCheckedContinuation { continuation in
            eventLoop.execute {
                let result = Result { () throws(QuicError) in try body(driver.value) }
                driver.value.wake()
                continuation.resume(returning: result)
            }
        }
        try result.get()
    }
}

extension ConnectionDriver {
    /// Sends a ping; `complete` is called once.
    func ping(_ waiter: UInt64, _ complete: @escaping @Sendable (Result<Duration, QuicError>) -> Void) {
        do {
            let number = try core.ping()
            pings[number] = PingWaiter(id: waiter, sent: NIODeadline.now(), complete: complete)
            wake()
        } catch {
            complete(.failure(error))
        }
    }

    /// The peer has acknowledged a ping.
    func pingAcknowledged(_ number: UInt64) {
        guard let waiter = pings.removeValue(forKey: number) else { return }
        waiter.complete(.success(.nanoseconds((NIODeadline.now() - waiter.sent).nanoseconds)))
    }

    /// Nobody waits for a ping any more.
    func endPing(_ waiter: UInt64, _ result: Result<Duration, QuicError>) {
        guard let number = pings.first(where: { $0.value.id == waiter })?.key else { return }
        pings.removeValue(forKey: number)?.complete(result)
    }

    /// The connection is over.
    func failPings(_ error: QuicError) {
        for waiter in pings.values { waiter.complete(.failure(error)) }
        pings = [:]
    }
}

extension QuicError {
    fileprivate static var pingTimeout: QuicError {
        QuicError(.timeout, "the peer did not acknowledge the ping in time; it may be gone, the idle timeout tells")
    }

    fileprivate static var pingCancelled: QuicError { QuicError(.cancelled, "the task that pinged was cancelled") }
}
