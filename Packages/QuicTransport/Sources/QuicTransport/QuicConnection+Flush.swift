internal import NIOCore
internal import Synchronization

extension QuicConnection {
    /// Waits until the peer has acknowledged what was written to streams whose sending half was ended here, their ends
    /// included. Streams that are broken, or that are still written to, are not waited for.
    ///
    /// ``close(code:reason:)`` cuts off what is on its way; this before it, with a deadline around it, lets that arrive:
    ///
    /// ```swift
    /// try await stream.close()
    /// try? await withDeadline(.seconds(10)) { await connection.flush() }
    /// await connection.close(code: .none, reason: "done")
    /// ```
    ///
    /// Returns early when the connection is over or the task is cancelled.
    public func flush() async {
        let id = makeWaiterID()
        let driver = driver
        let eventLoop = eventLoop
        let isCancelled = Mutex(false)
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                eventLoop.execute {
                    driver.value.flush(id: id) { continuation.resume() }
                    // A cancellation that came before this found nothing to end.
                    if isCancelled.withLock({ $0 }) { driver.value.endFlush(id: id) }
                }
            }
        } onCancel: {
            isCancelled.withLock { $0 = true }
            eventLoop.execute { driver.value.endFlush(id: id) }
        }
    }
}
