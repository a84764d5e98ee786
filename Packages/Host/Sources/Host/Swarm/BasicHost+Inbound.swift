import Logging
import Metrics
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
                logger.warning("a connection was not accepted", metadata: ["error": "\(error)"])
                // A listener that only fails is of no use.
                guard failures < 100 else { break accepting }
                continue
            }
            do throws(HostError) {
                _ = try await adopt(muxed)
            } catch {
                logger.debug("a connection was refused", metadata: ["error": "\(error)"])
                if error.code == .closed { break accepting }
            }
        }
        let addresses = listener.addresses
        await uncancelled { await listener.close() }
        state.withLock { state in state.listeners.removeAll { $0 === listener } }
        for address in addresses { hub.emit(.stoppedListening(address.withPeerID(peerID))) }
    }

    /// Takes a new connection into the host, or closes it when it does not fit.
    func adopt(_ muxed: any MuxedConnection) async throws(HostError) -> HostConnection {
        let peer = muxed.remotePeer
        let id = state.withLock { state in
            state.nextConnection += 1
            return state.nextConnection
        }
        let connection = HostConnection(id: id, muxed: muxed, configuration: configuration)
        // Asked outside the lock: it is the user's code.
        let isAllowed = configuration.gater.allowsConnection(connection.info)
        let (refusal, supplanted) = state.withLock { state -> ((ConnectionErrorCode, HostError)?, HostConnection?) in
            guard state.phase == .running || state.phase == .idle else { return ((.shutdown, Self.closedError), nil) }
            guard peer != peerID else {
                return ((.gated, HostError(.dialSelf, "the peer has this host's own ID")), nil)
            }
            guard isAllowed else {
                return ((.gated, HostError(.gated, "the connection gater refuses \(peer)")), nil)
            }
            let same = state.connections[peer, default: []].filter { !$0.muxed.isClosed }
            let limits = configuration.connections
            var oldest: HostConnection?
            if same.count >= limits.limitPerPeer, muxed.direction == .inbound {
                // A peer that was restarted does not know its former connections any more.
                oldest = same.filter { $0.info.direction == .inbound }.min { $0.info.id < $1.info.id }
            }
            let freed = oldest == nil ? 0 : 1
            guard state.connectionCount - freed < limits.limit, same.count - freed < limits.limitPerPeer else {
                let error = HostError(
                    .connectionLimit,
                    "there are \(state.connectionCount) connections, \(same.count) of them with \(peer); raise "
                        + "connections.limit or connections.limitPerPeer"
                )
                return ((.resourceLimitExceeded, error), nil)
            }
            if let oldest { remove(oldest, from: &state) }
            state.connections[peer, default: []].append(connection)
            state.connectionCount += 1
            metrics.connections.set(state.connectionCount)
            // Inside the lock, so that the peer store sees a connection's beginning before its end.
            peerStore.connected(peer)
            return (nil, oldest)
        }
        if let (code, error) = refusal {
            metrics.connectionsRefused.increment()
            await uncancelled { await muxed.close(code: code, reason: error.message) }
            throw error
        }
        if let supplanted {
            submit { await supplanted.muxed.close(code: .supplanted, reason: "a newer connection takes its place") }
        }
        metrics.connectionsOpened.increment()
        if muxed.direction == .outbound { peerStore.learn([muxed.remoteAddress], of: peer) }
        hub.emit(.connected(connection.info))
        guard submit({ await self.serve(connection) }) else {
            forget(connection)
            await uncancelled { await muxed.close(code: .shutdown, reason: "the host shuts down") }
            throw Self.closedError
        }
        trimConnections()
        return connection
    }

    /// Gives the place of a connection back. Does nothing the second time.
    private func forget(_ connection: HostConnection) {
        state.withLock { remove(connection, from: &$0) }
    }

    private func remove(_ connection: HostConnection, from state: inout State) {
        guard let index = state.connections[connection.peer]?.firstIndex(where: { $0 === connection }) else { return }
        state.connections[connection.peer]?.remove(at: index)
        if state.connections[connection.peer]?.isEmpty == true { state.connections[connection.peer] = nil }
        state.connectionCount -= 1
        metrics.connections.set(state.connectionCount)
        peerStore.disconnected(connection.peer)
    }

    /// Identifies the peer and handles its streams until the connection is over. One child task of the host.
    func serve(_ connection: HostConnection) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                // Its place is free as soon as it is closed, even if its handlers take longer to end.
                _ = await connection.muxed.waitUntilClosed()
                if connection.muxed.isClosed { self.forget(connection) }
            }
            if configuration.identify.runsOnConnect {
                group.addTask { await self.identifyOnConnect(connection) }
            }
            accepting: while true {
                do {
                    // Taking the turn first: while too many negotiate, no further stream is accepted.
                    try await connection.inboundNegotiations.acquire()
                } catch { break accepting }
                do {
                    let stream = try await connection.muxed.acceptStream()
                    group.addTask { await self.serve(stream, of: connection) }
                } catch {
                    connection.inboundNegotiations.release()
                    // A transport may end a long wait; but an idle connection's end is a timeout too.
                    let kind = (error as? any ClassifiedStreamError)?.streamFailureKind
                    guard kind == .timeout, !connection.muxed.isClosed else { break accepting }
                }
            }
            group.cancelAll()
        }
        let muxed = connection.muxed
        if !muxed.isClosed {
            await uncancelled { await muxed.close(code: .shutdown, reason: "the host lets go of it") }
        }
        let reason = await muxed.waitUntilClosed()
        forget(connection)
        metrics.connectionsClosed.increment()
        logger.debug(
            "a connection ended",
            metadata: ["peer": "\(connection.peer)", "code": "\(reason.code)", "byPeer": "\(reason.byPeer)"]
        )
        hub.emit(.disconnected(connection.info, reason: reason))
    }

    /// Negotiates and handles one inbound stream. One child task of its connection. Gives the turn to negotiate back.
    private func serve(_ muxed: any MuxedStream, of connection: HostConnection) async {
        var hasTurn = true
        func endTurn() {
            if hasTurn { connection.inboundNegotiations.release() }
            hasTurn = false
        }
        defer { endTurn() }
        guard let stream = try? connection.wrap(muxed) else { return muxed.reset(code: .generic) }
        let name: [UInt8]?
        do {
            name = try await withDeadline(configuration.streams.negotiationTimeout, clock: configuration.clock) {
                try await MultistreamDriver.answer(
                    on: stream,
                    accepts: { self.handler(for: $0) != nil },
                    names: { self.state.withLock { $0.handlers.names } }
                )
            }
        } catch {
            metrics.negotiationsFailed.increment()
            stream.reset(code: .protocolNegotiationFailed)
            logger.debug("a negotiation failed", metadata: ["peer": "\(connection.peer)", "error": "\(error)"])
            return
        }
        guard let name, let handler = handler(for: name) else {
            // The peer asked, did not like the answers and went away; or the handler was removed just now.
            do { try await stream.close() } catch { stream.reset(code: .protocolNegotiationFailed) }
            return
        }
        stream.protocolID = String(decoding: name, as: UTF8.self)
        endTurn()
        do {
            if !connection.handlers.tryAcquire() {
                try await withDeadline(configuration.streams.negotiationTimeout, clock: configuration.clock) {
                    try await connection.handlers.acquire()
                }
            }
        } catch {
            metrics.streamsRefused.increment()
            stream.reset(code: .resourceLimitExceeded)
            return
        }
        defer { connection.handlers.release() }
        metrics.streamsHandled.increment()
        await run(handler, on: stream)
    }

    /// The handler for a name. The registry is asked outside the lock: predicates are the user's code.
    private func handler(for name: [UInt8]) -> StreamHandler? {
        state.withLock { $0.handlers }.handler(for: name)
    }

    private func run(_ handler: StreamHandler, on stream: NetStream) async {
        do {
            try await handler(stream)
            if !stream.state.isEnd { try await stream.close() }
        } catch {
            // What the peer's behaviour or the host's end brings about is not worth a line each time.
            let isOver = error is NetStreamError || error is HostError || Task.isCancelled
            stream.reset(code: Task.isCancelled ? .shutdown : Self.resetCode(for: error))
            logger.log(
                level: isOver ? .debug : .info,
                "a handler failed",
                metadata: [
                    "peer": "\(stream.remotePeer)", "protocol": "\(stream.protocolID ?? "")", "error": "\(error)",
                ]
            )
        }
    }

    private static func resetCode(for error: any Error) -> StreamErrorCode {
        guard let error = error as? NetStreamError else { return .generic }
        switch error.code {
        case .unexpectedEnd, .malformedLength, .limitExceeded: return .protocolViolation
        default: return .generic
        }
    }
}
