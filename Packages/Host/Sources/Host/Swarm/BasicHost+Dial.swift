import Logging
import Metrics
public import Multiaddr
public import NetStream
public import PeerID
import Synchronization

extension BasicHost {
    // MARK: Connecting

    /// Connects to the peer at an address. Returns at once when the address names a peer that is connected already.
    ///
    /// - Parameter address: With or without `/p2p`; without, the peer is whoever answers.
    /// - Returns: The peer that was found.
    @discardableResult
    public func connect(to address: Multiaddr) async throws -> PeerID {
        try checkOpen()
        if let peer = address.peerID {
            try await connect(to: peer, addresses: [address])
            return peer
        }
        let own = listenAddresses.map(\.withoutPeerID)
        guard !own.contains(address) else {
            throw HostError(.dialSelf, "\(address) is an address of this host itself")
        }
        return try await sharedDial(.address(address), addresses: [address]).peer
    }

    /// Connects to a peer at the given addresses and those known from before, whichever answers first.
    ///
    /// Tasks that connect to the same peer at the same time share one dial.
    public func connect(to peer: PeerID, addresses: [Multiaddr] = []) async throws {
        _ = try await connection(to: peer, addresses: addresses)
    }

    /// An open connection to a peer, made if there is none.
    func connection(to peer: PeerID, addresses: [Multiaddr] = []) async throws(HostError) -> HostConnection {
        try checkOpen()
        guard peer != peerID else { throw HostError(.dialSelf, "\(peer) is this host itself") }
        if let connection = openConnection(to: peer) { return connection }
        guard configuration.gater.allowsDialingPeer(peer) else {
            throw HostError(.gated, "the connection gater refuses to dial \(peer)")
        }
        let settings = configuration.connections
        let stored = peerStore.addresses(of: peer).reversed().map { $0.withPeerID(peer) }
        if !addresses.isEmpty { peerStore.add(addresses, for: peer) }
        let ready = state.withLock { state in
            stored.filter {
                !state.backOff.isResting($0, base: settings.dialBackOff, longest: settings.longestDialBackOff)
            }
        }
        let known = addresses.map { $0.withPeerID(peer) } + ready
        guard !known.isEmpty else {
            guard stored.isEmpty else {
                throw HostError(
                    .dialBackOff,
                    "the known addresses of \(peer) failed not long ago; wait, or name an address to dial at once"
                )
            }
            throw HostError(.noAddresses, "no address of \(peer) is known; connect(to:) with one first")
        }
        return try await sharedDial(.peer(peer), addresses: known)
    }

    /// One of the open connections to a peer, chosen as configured.
    func openConnection(to peer: PeerID) -> HostConnection? {
        state.withLock { state in
            let open = state.connections[peer, default: []].filter { !$0.muxed.isClosed }
            guard open.count > 1 else { return open.first }
            switch configuration.connections.choice {
            case .leastLoaded: return open.min { $0.streamCount < $1.streamCount }
            case .roundRobin:
                state.turn = (state.turn + 1) % 1_000_000
                return open[state.turn % open.count]
            }
        }
    }

    /// Waits for the dial under way or starts one. The dial runs in the host's task tree and is given up when nobody
    /// waits for it any more.
    private func sharedDial(_ key: DialKey, addresses: [Multiaddr]) async throws(HostError) -> HostConnection {
        let (dial, isNew) = state.withLock { state in
            if let dial = state.dials[key], dial.join() { return (dial, false) }
            let dial = SharedResult<HostConnection>()
            _ = dial.join()
            state.dials[key] = dial
            return (dial, true)
        }
        if isNew, !submit({ await self.run(dial, key: key, addresses: addresses) }) {
            dial.fulfil(.failure(Self.closedError))
        }
        do {
            return try await withDeadline(configuration.connections.dialTimeout, clock: configuration.clock) {
                try await dial.wait()
            }
        } catch let error as HostError {
            throw error
        } catch let error as NetStreamError where error.code == .timeout {
            throw HostError(
                .timeout,
                "nobody answered within \(configuration.connections.dialTimeout) at "
                    + addresses.map(\.description).joined(separator: ", "),
                cause: error
            )
        } catch {
            throw HostError.wrapping(error, as: .dialFailed, "the dial failed")
        }
    }

    /// One dial, a child task of the host.
    private func run(_ dial: SharedResult<HostConnection>, key: DialKey, addresses: [Multiaddr]) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let result: Result<HostConnection, HostError>
                do throws(HostError) {
                    result = .success(try await self.dial(addresses))
                } catch {
                    result = .failure(error)
                    if error.code != .cancelled {
                        self.metrics.dialsFailed.increment()
                        self.hub.emit(.dialFailed(key.peer, error))
                    }
                }
                self.state.withLock { if $0.dials[key] === dial { $0.dials[key] = nil } }
                dial.fulfil(result)
            }
            group.addTask { await dial.waitUntilOver() }
            await group.next()
            group.cancelAll()
        }
    }

    private enum DialOutcome: Sendable {
        case connected(any MuxedConnection)
        case failed(HostError)
        case timeForNext
        case nothing
    }

    /// Tries addresses in their order, each with a head start over the next, until one answers.
    private func dial(_ addresses: [Multiaddr]) async throws(HostError) -> HostConnection {
        let settings = configuration.connections
        let own = Set(listenAddresses.map(\.withoutPeerID))
        let candidates = addresses.filter { address in
            !own.contains(address.withoutPeerID) && transports.contains { $0.canDial(address) }
        }
        guard !candidates.isEmpty else {
            let isOwn = addresses.contains { own.contains($0.withoutPeerID) }
            let list = addresses.map(\.description).joined(separator: ", ")
            guard !isOwn else { throw HostError(.dialSelf, "only addresses of this host itself are known: \(list)") }
            throw HostError(.noTransport, "no transport dials any of: \(list)")
        }
        let allowed = candidates.filter(configuration.gater.allowsDialingAddress)
        guard !allowed.isEmpty else {
            throw HostError(.gated, "the connection gater refuses every address of the peer")
        }
        let entries = AddressRanking.rank(
            allowed,
            limit: settings.dialsPerPeer,
            publicStagger: settings.dialStagger,
            privateStagger: settings.privateDialStagger
        )
        let (winner, lastError) = await race(entries)
        guard let winner else {
            if Task.isCancelled { throw HostError(.cancelled, "the dial was cancelled") }
            throw lastError ?? HostError(.dialFailed, "no address answered")
        }
        return try await adopt(winner)
    }

    private func race(
        _ entries: [AddressRanking.Entry]
    ) async -> (winner: (any MuxedConnection)?, lastError: HostError?) {
        await withTaskGroup(of: DialOutcome.self) { group in
            var waiting = entries[...]
            var startedDelay = Duration.zero
            var running = 0
            var winner: (any MuxedConnection)?
            var lastError: HostError?
            func startNext() {
                guard let entry = waiting.popFirst() else { return }
                startedDelay = entry.delay
                running += 1
                group.addTask { await self.attempt(entry.address) }
                guard let next = waiting.first else { return }
                let pause = next.delay - startedDelay
                let clock = configuration.clock
                let left = waiting.count
                group.addTask {
                    if pause > .zero { try? await clock.sleep(for: pause) }
                    return left > 0 ? .timeForNext : .nothing
                }
            }
            startNext()
            while running > 0, winner == nil, let outcome = await group.next() {
                switch outcome {
                case .connected(let connection): winner = connection
                case .failed(let error):
                    running -= 1
                    lastError = error
                    startNext()
                case .timeForNext: if !Task.isCancelled { startNext() }
                case .nothing: break
                }
            }
            group.cancelAll()
            // A second one may have been made in the meantime.
            for await case .connected(let extra) in group {
                await uncancelled { await extra.close(code: .supplanted, reason: "another address was faster") }
            }
            return (winner, lastError)
        }
    }

    private func attempt(_ address: Multiaddr) async -> DialOutcome {
        guard let transport = transports.first(where: { $0.canDial(address) }) else { return .nothing }
        do {
            let connection = try await transport.dial(address)
            state.withLock { $0.backOff.succeeded(address) }
            return .connected(connection)
        } catch {
            let moment = configuration.clock.now()
            if !Task.isCancelled { state.withLock { $0.backOff.failed(address, at: moment) } }
            logger.debug("a dial failed", metadata: ["address": "\(address)", "error": "\(error)"])
            return .failed(HostError.wrapping(error, as: .dialFailed, "\(address) cannot be reached"))
        }
    }

    // MARK: Connections

    /// The peers that are connected.
    public var connectedPeers: [PeerID] {
        state.withLock { state in
            state.connections.filter { $0.value.contains { !$0.muxed.isClosed } }.map(\.key)
        }
    }

    /// The open connections, of one peer or of all.
    public func connections(to peer: PeerID? = nil) -> [ConnectionInfo] {
        state.withLock { state in
            let all = peer.map { state.connections[$0] ?? [] } ?? state.connections.values.flatMap { $0 }
            return all.filter { !$0.muxed.isClosed }.map(\.info)
        }
    }

    /// Closes every connection to a peer. Returns when that is done.
    public func disconnect(from peer: PeerID, code: ConnectionErrorCode = .none, reason: String = "") async {
        let connections = state.withLock { $0.connections[peer] ?? [] }
        await withDiscardingTaskGroup { group in
            for connection in connections {
                group.addTask { await connection.muxed.close(code: code, reason: reason) }
            }
        }
    }

    // MARK: Streams

    /// Opens a stream to a peer for the first of the given protocols that the peer speaks. Connects if there is no
    /// connection and an address is known.
    ///
    /// When identify told that the peer speaks one of them, the stream is ready without a round trip
    /// (``HostConfiguration/Streams/negotiatesLazily``); should the peer not speak it any more, the first read throws.
    ///
    /// Close or reset the stream when you are done with it: nobody else does.
    ///
    /// - Returns: The stream; `protocolID` says what was agreed on.
    /// - Throws: ``HostError/Code/protocolsNotSupported`` when the peer speaks none of them.
    public func newStream(to peer: PeerID, protocols: [String]) async throws -> NetStream {
        let names = protocols.map { Array($0.utf8) }
        for (name, text) in zip(names, protocols) {
            if let problem = Multistream.problem(with: name) {
                throw HostError(.invalidProtocolName, "\"\(text)\" is no protocol name: \(problem)")
            }
        }
        guard !names.isEmpty else { throw HostError(.invalidProtocolName, "name at least one protocol") }
        let connection = try await connection(to: peer)
        return try await newStream(on: connection, names: names)
    }

    func newStream(on connection: HostConnection, names: [[UInt8]]) async throws(HostError) -> NetStream {
        do {
            let settings = configuration.streams
            let muxed = try await withDeadline(settings.negotiationTimeout, clock: configuration.clock) {
                try await connection.muxed.openStream()
            }
            metrics.streamsOpened.increment()
            if let known = lazyChoice(of: names, for: connection.peer) {
                let lazy = LazyNegotiatedStream(muxed, proposing: known) { [peerStore] in
                    peerStore.forget(protocol: known, of: connection.peer)
                }
                return try connection.wrap(lazy, protocolID: String(decoding: known, as: UTF8.self))
            }
            let stream = try connection.wrap(muxed)
            do {
                let index = try await withDeadline(settings.negotiationTimeout, clock: configuration.clock) {
                    try await connection.outboundNegotiations.withPermit {
                        try await MultistreamDriver.propose(names, on: stream)
                    }
                }
                stream.protocolID = String(decoding: names[index], as: UTF8.self)
                return stream
            } catch {
                metrics.negotiationsFailed.increment()
                stream.reset(code: .protocolNegotiationFailed)
                throw error
            }
        } catch {
            throw HostError.wrapping(error, as: .streamFailed, "no stream to \(connection.peer) could be opened")
        }
    }

    private func lazyChoice(of names: [[UInt8]], for peer: PeerID) -> [UInt8]? {
        guard configuration.streams.negotiatesLazily, let known = peerStore.protocols(of: peer) else { return nil }
        let spoken = Set(known.map { Array($0.utf8) })
        return names.first { spoken.contains($0) }
    }
}

extension BasicHost.DialKey {
    var peer: PeerID? {
        if case .peer(let peer) = self { return peer }
        return nil
    }
}
