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
        guard !ownAddresses.contains(address) else {
            throw HostError(.dialSelf, "\(address) is an address of this host itself")
        }
        do throws(SharedDialError) {
            return try await sharedDial(.address(address), targets: DialTargets(named: [address])).peer
        } catch {
            throw error.underlying
        }
    }

    /// Connects to a peer at the given addresses and those known from before, whichever answers first.
    ///
    /// The given addresses are tried before the others, each of them at every call. Tasks that connect to the same peer
    /// at the same time share one dial; when that fails without having tried the given addresses, another one follows.
    public func connect(to peer: PeerID, addresses: [Multiaddr] = []) async throws {
        _ = try await connection(to: peer, addresses: addresses)
    }

    /// An open connection to a peer, made if there is none.
    func connection(to peer: PeerID, addresses: [Multiaddr] = []) async throws(HostError) -> HostConnection {
        try checkOpen()
        guard peer != peerID else { throw HostError(.dialSelf, "\(peer) is this host itself") }
        if let connection = openConnection(to: peer) { return connection }
        guard configuration.gater.allowsDialingPeer(peer) else {
            metrics.gated(.dialPeer)
            throw HostError(.gated, "the connection gater refuses to dial \(peer)")
        }
        while true {
            let targets = try targets(of: peer, named: addresses)
            do throws(SharedDialError) {
                return try await sharedDial(.peer(peer), targets: targets)
            } catch {
                guard case .others(let error, let tried) = error else { throw error.underlying }
                // Somebody else's dial failed. It says nothing about addresses that it did not try.
                let isTried = addresses.allSatisfy { tried.contains($0.withoutPeerID) }
                guard !isTried, error.code != .cancelled, error.code != .closed else { throw error }
                try checkOpen()
                if let connection = openConnection(to: peer) { return connection }
            }
        }
    }

    /// Where to dial a peer: at the addresses that a caller names, and at those known from before that may be dialled.
    private func targets(of peer: PeerID, named addresses: [Multiaddr]) throws(HostError) -> DialTargets {
        let settings = configuration.connections
        let stored = peerStore.addresses(of: peer).reversed().map { $0.withPeerID(peer) }
        if !addresses.isEmpty { peerStore.learn(addresses, of: peer) }
        let ready = state.withLock { state in
            stored.filter {
                !state.backOff.isResting($0, base: settings.dialBackOff, longest: settings.longestDialBackOff)
            }
        }
        guard !(addresses.isEmpty && ready.isEmpty) else {
            guard stored.isEmpty else {
                throw HostError(
                    .dialBackOff,
                    "the known addresses of \(peer) failed not long ago; wait, or name an address to dial at once"
                )
            }
            throw HostError(.noAddresses, "no address of \(peer) is known; connect(to:) with one first")
        }
        return DialTargets(
            named: addresses.map { $0.withPeerID(peer) },
            stored: ready,
            added: Set(peerStore.addedAddresses(of: peer)),
            vouched: Set(peerStore.vouchedAddresses(of: peer)),
            peer: peer
        )
    }

    /// One of the open connections to a peer, chosen as configured.
    func openConnection(to peer: PeerID) -> HostConnection? {
        state.withLock { state in
            let open = state.connections[peer, default: []].filter { !$0.muxed.isClosed }
            guard open.count > 1 else { return open.first }
            switch configuration.connections.choice {
            case .lowestLatency:
                let times = open.map { $0.muxed.roundTripTime ?? .seconds(Int64.max) }
                return open.indices.min { times[$0] < times[$1] }.map { open[$0] }
            case .leastLoaded: return open.min { $0.streamCount < $1.streamCount }
            case .roundRobin:
                state.turn = (state.turn + 1) % 1_000_000
                return open[state.turn % open.count]
            }
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
    /// What opens such a stream travels with the first write, read or close, and is sent to its end even when the task is
    /// cancelled meanwhile: a peer that takes nothing may hold the cancelled call up for as long as
    /// ``HostConfiguration/Streams/negotiationTimeout``.
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
        return try await openStream(to: peer, names: names).stream
    }

    /// Opens a stream on a connection to a peer, who is dialled if there is none.
    func openStream(to peer: PeerID, names: [[UInt8]]) async throws -> (stream: NetStream, connection: HostConnection) {
        let connection = try await connection(to: peer)
        do {
            return (try await newStream(on: connection, names: names), connection)
        } catch {
            // Two that dial each other at once keep one connection, and this was the other one. Nothing was said on it yet.
            guard Self.isSupplanted(error), let kept = await connectionKept(by: peer, after: error) else { throw error }
            return (try await newStream(on: kept, names: names), kept)
        }
    }

    func newStream(on connection: HostConnection, names: [[UInt8]]) async throws(HostError) -> NetStream {
        do {
            let settings = configuration.streams
            let choice = lazyChoice(of: names, for: connection.peer)
            let use = try connection.reserveStream(.outbound, for: choice.map { String(decoding: $0, as: UTF8.self) })
            let muxed: any MuxedStream
            if let ready = try connection.muxed.openStreamAtOnce() {
                muxed = ready
            } else {
                muxed = try await withDeadline(settings.negotiationTimeout, clock: configuration.clock) {
                    try await connection.muxed.openStream()
                }
            }
            metrics.streamsOpened.increment()
            if let known = choice {
                let lazy = LazyNegotiatedStream(
                    muxed,
                    proposing: known,
                    timeout: settings.negotiationTimeout,
                    clock: configuration.clock
                ) { [weak self, id = muxed.id] error in
                    self?.negotiationFailed(error, metadata: connection.metadata(ofStream: id, .outbound))
                    guard (error as? HostError)?.code == .protocolsNotSupported else { return }
                    self?.peerStore.forget(protocol: known, of: connection.peer)
                }
                let stream = try connection.wrap(lazy, protocolID: String(decoding: known, as: UTF8.self), use: use)
                logger.debug("stream opened", metadata: metadata(of: stream, on: connection))
                return stream
            }
            let stream = try connection.wrap(muxed, use: use)
            let start = configuration.clock.now()
            do {
                let index = try await withDeadline(settings.negotiationTimeout, clock: configuration.clock) {
                    try await connection.outboundNegotiations.withPermit {
                        try await MultistreamDriver.propose(names, on: stream)
                    }
                }
                metrics.negotiationTime.record(duration: start.elapsed())
                let name = String(decoding: names[index], as: UTF8.self)
                try use.settle(name)
                stream.protocolID = name
                logger.debug("stream opened", metadata: metadata(of: stream, on: connection))
                return stream
            } catch {
                if (error as? HostError)?.code == .resourceLimit {
                    stream.reset(code: .resourceLimitExceeded)
                } else {
                    negotiationFailed(error, metadata: metadata(of: stream, on: connection))
                    stream.reset(code: .protocolNegotiationFailed)
                }
                throw error
            }
        } catch {
            throw HostError.wrapping(error, as: .streamFailed, "no stream to \(connection.peer) could be opened")
        }
    }

    /// Counts and logs that there was no agreement on the protocol of a stream that this host opened.
    private func negotiationFailed(_ error: any Error, metadata: @autoclosure () -> Logger.Metadata) {
        metrics.negotiationFailed(.outbound, error)
        logger.debug("a negotiation failed", metadata: metadata().failing(error))
    }

    private func lazyChoice(of names: [[UInt8]], for peer: PeerID) -> [UInt8]? {
        guard configuration.streams.negotiatesLazily, let known = peerStore.protocols(of: peer) else { return nil }
        return names.first { name in known.contains { $0.utf8.elementsEqual(name) } }
    }
}

extension BasicHost.DialKey {
    var peer: PeerID? {
        if case .peer(let peer) = self { return peer }
        return nil
    }
}
