internal import Libp2pTLS
public import QuicCore
internal import Synchronization

typealias HandshakeWaiter = CheckedContinuation<Result<Bool, QuicError>, Never>

extension QuicConnection {
    /// The other side's certificate in DER. That of an early connection (``isEarly``) is the one of the earlier connection until
    /// the handshake is done.
    public var peerCertificate: [UInt8] { state.withLock { $0.handshake.peer.certificateDER } }

    /// The application protocol, `libp2p`.
    public var alpn: String { state.withLock { $0.handshake.alpn } }

    /// The TLS cipher suite, if the library says it; `nil` before the handshake is done.
    public var cipherSuite: String? { state.withLock { $0.handshake.cipherSuite } }

    /// Whether the TLS session was resumed: there were no certificates in the handshake, and ``peerCertificate`` is the one
    /// of the first. Only with `QuicConfiguration.resumption`. A client knows it when the handshake is done.
    public var isResumed: Bool { state.withLock { $0.handshake.isResumed } }

    /// Whether the server took early data that this client offered, or this server took some; `nil` before the handshake is
    /// done.
    public var isEarlyDataAccepted: Bool? {
        state.withLock { $0.isHandshakeDone ? $0.handshake.isEarlyDataAccepted : nil }
    }

    /// Waits until the handshake is done, which it is at once unless the connection ``isEarly``. From then on it is certain that
    /// the peer is there, and that what it said early is no copy of what it said before.
    ///
    /// - Returns: Whether the server has taken early data. If not, streams that a client opened before have ended with an error
    ///   of code `earlyDataRejected`.
    /// - Throws: ``QuicError`` of code `cancelled`, or what ended the connection.
    @discardableResult
    public func waitForHandshake() async throws(QuicError) -> Bool {
        let id = makeWaiterID()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: HandshakeWaiter) in
                let known = state.withLock { state -> Result<Bool, QuicError>? in
                    if state.isHandshakeDone { return .success(state.handshake.isEarlyDataAccepted) }
                    if let end = state.end { return .failure(end.error) }
                    // Asked under the lock, so that a cancellation either made this true or finds the waiter.
                    if Task.isCancelled { return .failure(.handshakeWaitCancelled) }
                    state.handshakeWaiters[id] = continuation
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.handshakeWaiters.removeValue(forKey: id) }
            waiter?.resume(returning: .failure(.handshakeWaitCancelled))
        }
        return try result.get()
    }

    /// The handshake of an early connection is done; the driver says it, once.
    func handshakeCompleted(_ result: HandshakeResult) {
        let waiters = state.withLock { state in
            state.handshake = result
            state.isHandshakeDone = true
            defer { state.handshakeWaiters = [:] }
            return Array(state.handshakeWaiters.values)
        }
        for waiter in waiters { waiter.resume(returning: .success(result.isEarlyDataAccepted)) }
    }
}

extension QuicError {
    fileprivate static var handshakeWaitCancelled: QuicError {
        QuicError(.cancelled, "the task that waited for the handshake was cancelled")
    }
}
