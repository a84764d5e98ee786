import Logging
import Metrics
import Multiaddr
import NetStream
import PeerID
import Synchronization

extension BasicHost {
    /// Accepts connections until the listener is closed. One child task of the host.
    func serve(_ listener: any Listener) async {
        var failures = 0
        accepting: while !Task.isCancelled {
            let muxed: any MuxedConnection
            let start = ContinuousClock.now
            do {
                muxed = try await listener.accept()
                failures = 0
            } catch {
                switch (error as? any ClassifiedStreamError)?.streamFailureKind {
                case .closed, .cancelled, .connectionClosed: break accepting
                // A transport may end a long wait; one that does so at once is broken.
                case .timeout where start.duration(to: .now) > .milliseconds(100): continue
                default: break
                }
                failures += 1
                let place = listener.addresses.map(\.description).joined(separator: ", ")
                logger.warning(
                    "a connection was not accepted",
                    metadata: ["localAddress": "\(place)", "error": "\(error)"]
                )
                // A listener that only fails is of no use.
                guard failures < 100 else { break accepting }
                continue
            }
            metrics.handshook(.inbound)
            do throws(HostError) {
                _ = try await adopt(muxed)
            } catch {
                if error.code == .closed { break accepting }
            }
        }
        await uncancelled { await self.stop(listener) }
    }

    /// Closes a listener and tells of its end, once.
    func stop(_ listener: any Listener) async {
        let addresses = listener.addresses
        await listener.close()
        let isFirst = state.withLock { state in
            defer { state.listeners.removeAll { $0 === listener } }
            return state.listeners.contains { $0 === listener }
        }
        guard isFirst else { return }
        for address in addresses { hub.emit(.stoppedListening(address.withPeerID(peerID))) }
        state.withLock { $0.untold.toldListener() }?.fulfil(.success(()))
    }

    /// Takes a new connection into the host, or closes it when it does not fit.
    ///
    /// - Parameters:
    ///   - muxed: The connection.
    ///   - dial: What its dial counts for, if this host dialled.
    ///   - isPeerAsked: Whether the gater has allowed to dial the peer. It has not when the address named nobody.
    func adopt(
        _ muxed: any MuxedConnection,
        dial: ResourceSpan? = nil,
        isPeerAsked: Bool = false
    ) async throws(HostError) -> HostConnection {
        let peer = muxed.remotePeer
        let id = state.withLock { state in
            state.nextConnection += 1
            return state.nextConnection
        }
        let connection = HostConnection(
            id: id,
            muxed: muxed,
            configuration: configuration,
            resources: resources,
            metrics: metrics,
            logger: logger
        )
        // Asked outside the lock: it is the user's code.
        let stage = configuration.gater.refusal(of: connection.info, isPeerAsked: isPeerAsked)
        if let stage { metrics.gated(stage) }
        // Nothing is reported inside the lock: the metrics may ask this host.
        var removed = 0
        let (refusal, supplanted) = state.withLock { state -> ((ConnectionErrorCode, HostError)?, HostConnection?) in
            guard state.phase == .running || state.phase == .idle else { return ((.shutdown, Self.closedError), nil) }
            guard peer != peerID else {
                return ((.gated, HostError(.dialSelf, "the peer has this host's own ID")), nil)
            }
            guard stage == nil else {
                return ((.gated, HostError(.gated, "the connection gater refuses \(peer)")), nil)
            }
            // Those that are over count no more, even if their ends have not been seen to yet.
            for over in state.connections[peer, default: []] where over.muxed.isClosed {
                removed += remove(over, from: &state) ? 1 : 0
            }
            let same = state.connections[peer, default: []]
            let oldest = connectionToReplace(by: muxed, among: same)
            do throws(HostError) {
                let isReserved = state.protections[peer] != nil
                try connection.account(replacing: oldest, dial: dial, isReserved: isReserved)
            } catch {
                // To the peer that dialled at the same time the other connection is the one that both keep.
                let isSecond = oldest == nil && same.count >= configuration.connections.limitPerPeer
                return ((isSecond ? .supplanted : .resourceLimitExceeded, error), nil)
            }
            if let oldest { removed += remove(oldest, from: &state) ? 1 : 0 }
            state.connections[peer, default: []].append(connection)
            state.untold.add(connection)
            // Inside the lock, so that the peer store sees a connection's beginning before its end.
            peerStore.connected(peer)
            return (nil, oldest)
        }
        if removed > 0 { metrics.connections.decrement(by: Double(removed)) }
        if let (code, error) = refusal {
            resources.report(error)
            metrics.connectionRefused(error)
            logger.debug("a connection was refused", metadata: connection.metadata.failing(error))
            await uncancelled { await muxed.close(code: code, reason: error.message) }
            throw error
        }
        if let supplanted {
            submit { await supplanted.muxed.close(code: .supplanted, reason: "a newer connection takes its place") }
        }
        metrics.connections.increment()
        metrics.connectionsOpened.increment()
        logger.debug("connection opened", metadata: connection.metadata)
        if muxed.direction == .outbound { peerStore.learn([muxed.remoteAddress], of: peer) }
        hub.emit(.connected(connection.info))
        // Somebody who closes the host may have seen its end before its beginning was told.
        if let reason = connection.begin() { tellEnd(of: connection, reason: reason) }
        // Streams are accepted and negotiated where the connection is driven: that is little work, and no thread is woken.
        guard submit(on: muxed.taskExecutor, { await self.serve(connection) }) else {
            await uncancelled { await muxed.close(code: .shutdown, reason: "the host shuts down") }
            ended(connection, reason: await muxed.waitUntilClosed())
            throw Self.closedError
        }
        trimConnections()
        return connection
    }

    /// Which connection to a peer gives its place to a new one, when the peer has as many as it may.
    private func connectionToReplace(
        by muxed: any MuxedConnection,
        among same: [HostConnection]
    ) -> HostConnection? {
        guard same.count >= configuration.connections.limitPerPeer else { return nil }
        func oldest(_ direction: Direction) -> HostConnection? {
            same.filter { $0.info.direction == direction }.min { $0.info.id < $1.info.id }
        }
        if muxed.direction == .inbound, let oldest = oldest(.inbound) {
            // A peer that was restarted does not know its former connections any more.
            guard oldest.opened.elapsed() < configuration.connections.dialTimeout else { return oldest }
            // But one that dials several addresses at once keeps the first that answers, and all may get here: the later ones
            // are those that it closes as soon as it has heard of the first.
            return same.filter { $0.info.direction == .inbound }.max { $0.info.id < $1.info.id }
        }
        // Two that dial each other at once have to keep the same connection, or they are left with none: that of the one
        // with the lesser ID.
        let isLesser = peerID.bytes.lexicographicallyPrecedes(muxed.remotePeer.bytes)
        switch muxed.direction {
        case .outbound: return isLesser ? oldest(.inbound) : nil
        case .inbound: return isLesser ? nil : oldest(.outbound)
        }
    }

    /// Gives the place of a connection back and tells of its end. Does nothing the second time.
    func ended(_ connection: HostConnection, reason: ConnectionCloseReason) {
        if state.withLock({ remove(connection, from: &$0) }) { metrics.connections.decrement() }
        if connection.end(reason) { tellEnd(of: connection, reason: reason) }
    }

    private func tellEnd(of connection: HostConnection, reason: ConnectionCloseReason) {
        metrics.closed(connection.info.direction)
        logger.debug(
            "connection closed",
            metadata: connection.metadata.merging(
                ["closeCode": "\(reason.code)", "byPeer": "\(reason.byPeer)", "reason": "\(reason.reason)"]
            ) { $1 }
        )
        hub.emit(.disconnected(connection.info, reason: reason))
        state.withLock { $0.untold.told(connection) }?.fulfil(.success(()))
    }

    /// Gives the place of a connection back.
    ///
    /// - Returns: Whether it had one: then the metrics are to be told, once the lock is given back.
    private func remove(_ connection: HostConnection, from state: inout State) -> Bool {
        guard let index = state.connections[connection.peer]?.firstIndex(where: { $0 === connection }) else {
            return false
        }
        state.connections[connection.peer]?.remove(at: index)
        if state.connections[connection.peer]?.isEmpty == true { state.connections[connection.peer] = nil }
        connection.giveBack()
        state.observed.forget(connection.info.id)
        peerStore.disconnected(connection.peer)
        return true
    }

    /// Identifies the peer and handles its streams until the connection is over. One child task of the host.
    ///
    /// There is one for each connection, idle or not, so its frames are kept small: what is rare or comes last is in functions
    /// of its own, never merged into these.
    func serve(_ connection: HostConnection) async {
        await acceptStreams(of: connection)
        await finish(connection)
    }

    @inline(never)
    private func finish(_ connection: HostConnection) async {
        let muxed = connection.muxed
        if !muxed.isClosed {
            await uncancelled { await muxed.close(code: .shutdown, reason: "the host lets go of it") }
        }
        ended(connection, reason: await muxed.waitUntilClosed())
    }

    /// Tells of the end of a connection while others are still busy with it. Never merged into what accepts streams, which
    /// would hold its memory for as long as the connection lives.
    @inline(never)
    private func watch(_ connection: HostConnection) async {
        let reason = await connection.muxed.waitUntilClosed()
        // A cancelled wait may not know the reason; then it is told when nobody is busy any more.
        if connection.muxed.isClosed, !Task.isCancelled { ended(connection, reason: reason) }
    }

    /// Identifies the peer and handles its streams. Returns when the connection is over or the task is cancelled.
    private func acceptStreams(of connection: HostConnection) async {
        await withDiscardingTaskGroup { group in
            identify(connection, in: &group)
            var isWatched = false
            accepting: while true {
                // Taking the turn first: while too many negotiate, no further stream is accepted.
                if !connection.inboundNegotiations.tryAcquire() {
                    // Nor is the end seen, and those that negotiate may be in the user's code.
                    if !isWatched { isWatched = submitWatch(of: connection) }
                    do { try await connection.inboundNegotiations.acquire() } catch { break accepting }
                }
                do {
                    serve(try await connection.muxed.acceptStream(), of: connection, in: &group)
                } catch {
                    connection.inboundNegotiations.release()
                    guard Self.isWaitOver(error, of: connection) else { break accepting }
                }
            }
            group.cancelAll()
            // Its place is free as soon as it is over, and everybody is told, even if its handlers take longer.
            if connection.muxed.isClosed { await watch(connection) }
        }
    }

    @inline(never)
    private func identify(_ connection: HostConnection, in group: inout DiscardingTaskGroup) {
        guard configuration.identify.runsOnConnect else { return }
        group.addTask(executorPreference: globalConcurrentExecutor) { await self.identifyOnConnect(connection) }
    }

    @inline(never)
    private func serve(
        _ stream: any MuxedStream,
        of connection: HostConnection,
        in group: inout DiscardingTaskGroup
    ) {
        group.addTask { await self.serve(stream, of: connection) }
    }

    @inline(never)
    private func submitWatch(of connection: HostConnection) -> Bool {
        submit { await self.watch(connection) }
    }

    /// Whether a transport has ended a long wait for a stream; but an idle connection's end is a timeout too.
    @inline(never)
    private static func isWaitOver(_ error: any Error, of connection: HostConnection) -> Bool {
        (error as? any ClassifiedStreamError)?.streamFailureKind == .timeout && !connection.muxed.isClosed
    }
}
