import NIOCore
import QuicCore

extension ConnectionDriver {
    /// Moves the connection to a socket of its own; `complete` is called once, at the latest when the library gives the
    /// validation of the new path up, after about three probe timeouts.
    func migrate(
        to address: NetworkAddress?,
        id: UInt64,
        _ complete: @escaping @Sendable (Result<Void, QuicError>) -> Void
    ) {
        guard connection != nil else { return complete(.failure(core.termination?.error ?? .notConnected)) }
        guard pendingMigration == nil else {
            return complete(.failure(.state("it is moving already", attempted: "move the connection")))
        }
        pendingMigration = Migration(id: id, complete: complete)
        let bound = NIOLoopBound(self, eventLoop: endpoint.eventLoop)
        // A free port beside the socket that is used now.
        endpoint.attach(at: address ?? (migratedLocal ?? endpoint.localAddress).withPort(0)) { result in
            bound.value.socketOpened(result, for: id)
        }
    }

    private func socketOpened(_ result: Result<NetworkAddress, any Error>, for id: UInt64) {
        let isWanted = pendingMigration?.id == id
        let local: NetworkAddress
        switch result {
        case .success(let address): local = address
        case .failure(let error):
            guard isWanted else { return }
            return endMigration(.failure(QuicError(.socket, "no socket could be opened to move to", cause: error)))
        }
        guard isWanted else { return endpoint.detach(local) }
        pendingMigration?.local = local
        do {
            try core.migrate(to: local, now: NIODeadline.now().uptimeNanoseconds)
            wake()
        } catch {
            endMigration(.failure(error))
        }
    }

    func pathValidated(_ success: Bool) {
        guard let pending = pendingMigration, let local = pending.local else { return }
        guard success else { return endMigration(.failure(.pathNotValidated)) }
        // Another path may have been validated; the new one is in use once it is.
        let current = core.localAddress
        guard local.isUnspecified ? current.port == local.port : current == local else { return }
        if let migratedLocal { endpoint.detach(migratedLocal) }
        migratedLocal = local
        pendingMigration = nil
        pending.complete?(.success(()))
    }

    /// Nobody waits for the migration any more. What the library has begun it cannot be told to leave: the socket stays until
    /// the new path is validated, and then in use, or given up.
    func cancelMigration(id: UInt64) {
        guard let pending = pendingMigration, pending.id == id else { return }
        guard pending.local != nil else { return endMigration(.failure(.migrationCancelled)) }
        pendingMigration?.complete = nil
        pending.complete?(.failure(.migrationCancelled))
    }

    func pathChanged(from old: NetworkPath, to new: NetworkPath) {
        endpoint.metrics.pathChanged()
        connection?.moved(from: old, to: new)
    }

    /// A migration that did not come to pass leaves no socket behind.
    func endMigration(_ result: Result<Void, QuicError>) {
        guard let pending = pendingMigration else { return }
        pendingMigration = nil
        if let local = pending.local { endpoint.detach(local) }
        pending.complete?(result)
    }
}

extension QuicError {
    static var migrationCancelled: QuicError {
        QuicError(.cancelled, "the task that moved the connection was cancelled; it may move all the same")
    }

    fileprivate static var pathNotValidated: QuicError {
        QuicError(
            .timeout,
            "nothing came back on the new path, the connection stays on the old one; check that the address reaches the peer"
        )
    }
}
