internal import CNgtcp2Shims

extension ConnectionCore {
    /// Moves a dialed connection to another local address (RFC 9000 §9).
    ///
    /// The new path is validated first: ``ConnectionEvent/pathValidated(success:)`` says how that came out, and
    /// ``ConnectionEvent/pathChanged(from:to:)`` that the connection has moved. Until then it stays where it is.
    ///
    /// - Parameters:
    ///   - local: The address of the socket to move to: batches that are to leave from it name it as their local address.
    ///   - now: The time in nanoseconds.
    /// - Throws: ``QuicError`` of code `state` on a connection that was accepted or is not confirmed, where the policy or the
    ///   peer forbids it, where the installed library cannot, or where no spare connection ID exists.
    public func migrate(to local: NetworkAddress, now: UInt64) throws(QuicError) {
        guard isOpen else { throw termination?.error ?? .closedLocally(code: 0, reason: "") }
        guard !isServer else { throw .cannotMigrate("only the side that dialed can; the peer has to do it") }
        guard migration.allowsOwn else { throw .cannotMigrate("migration.allowsOwn is switched off") }
        guard lp2p_library_migrates() != 0 else {
            throw .cannotMigrate("ngtcp2 \(QuicVersion.libraryVersion) cannot; install 1.11 or later")
        }
        guard lp2p_conn_peer_forbids_migration(pointer) == 0 else {
            throw .cannotMigrate("the peer forbids it; dial again from the other address")
        }
        let status = local.withSockaddr { lp2p_conn_migrate(pointer, $0, $1, now) }
        guard status == LP2P_OK else { throw QuicError(status: status, while: "migrating") }
        // A migration that was under way is given up: nothing of it is left when the next one is noted.
        reportPathOutcomes()
        if local.isUnspecified, !openLocals.contains(local) { openLocals.append(local) }
    }

    /// A good datagram has arrived.
    func notePath(arrivedAt local: NetworkAddress) {
        if queues.pathOutcomes.isEmpty {
            // Nearly always: the same path as before, on which the local address is known by now.
            if path.local != local, path.local.isUnspecified, path.local.port == local.port { path.local = local }
            return
        }
        reportPathOutcomes(arrivedAt: local)
    }

    /// Says what became of validations, and whether the connection has moved.
    func reportPathOutcomes(arrivedAt local: NetworkAddress? = nil) {
        guard !queues.pathOutcomes.isEmpty else { return }
        var current = libraryPath
        // The socket that was left, or that the connection did not come to, is of no concern any more.
        openLocals.removeAll { $0 != current.local }
        if current.local.port == path.local.port, current.local.isUnspecified { current.local = path.local }
        if let local, current.local.isUnspecified, current.local.port == local.port { current.local = local }
        if current != path, queues.pathOutcomes.contains(true) {
            queues.events.append(.pathChanged(from: path, to: current))
            if current.remote != path.remote { queues.routingChanges.append(.moved(to: current.remote)) }
            path = current
        }
        for success in queues.pathOutcomes { queues.events.append(.pathValidated(success: success)) }
        queues.pathOutcomes.removeAll(keepingCapacity: true)
    }

    /// The path that the library uses, validated or not.
    var libraryPath: NetworkPath { path(read: lp2p_conn_current_path, else: path) }

    /// The path that the packet which was written last is for.
    func lastWrittenPath() -> (remote: NetworkAddress, local: NetworkAddress) {
        let written = path(read: lp2p_conn_last_path, else: NetworkPath(local: lastLocal, remote: lastRemote))
        return (written.remote, written.local)
    }

    /// A path out of the library's memory, each end as in `known` where the library does not say it.
    private func path(
        read: (
            OpaquePointer?, UnsafeMutablePointer<UnsafeRawPointer?>?, UnsafeMutablePointer<UInt32>?,
            UnsafeMutablePointer<UnsafeRawPointer?>?, UnsafeMutablePointer<UInt32>?
        ) -> Void,
        else known: NetworkPath
    ) -> NetworkPath {
        var local: UnsafeRawPointer?
        var localLength: UInt32 = 0
        var remote: UnsafeRawPointer?
        var remoteLength: UInt32 = 0
        read(pointer, &local, &localLength, &remote, &remoteLength)
        return NetworkPath(
            local: Self.address(local, localLength) ?? known.local,
            remote: Self.address(remote, remoteLength) ?? known.remote
        )
    }

    private static func address(_ sockaddr: UnsafeRawPointer?, _ length: UInt32) -> NetworkAddress? {
        NetworkAddress(sockaddr: UnsafeRawBufferPointer(start: sockaddr, count: sockaddr == nil ? 0 : Int(length)))
    }
}

extension QuicError {
    fileprivate static func cannotMigrate(_ reason: String) -> QuicError {
        .state(reason, attempted: "move the connection")
    }
}
