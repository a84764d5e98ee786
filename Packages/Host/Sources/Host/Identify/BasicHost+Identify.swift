import Logging
public import Multiaddr
import NetStream
public import PeerID
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The names of the identify protocols.
public enum IdentifyProtocol {
    /// Asks a peer about itself.
    public static let name = "/ipfs/id/1.0.0"
    /// Tells peers that something changed.
    public static let pushName = "/ipfs/id/push/1.0.0"
}

extension BasicHost {
    /// Asks a peer about itself. Connects if need be.
    ///
    /// The host does that on its own for each new connection; ask ``peerStore`` for what was told then.
    public func identify(_ peer: PeerID) async throws -> IdentifyInfo {
        try await identify(connection(to: peer))
    }

    /// Handlers of the protocols that every host speaks.
    func installOwnProtocols() {
        state.withLock { state in
            state.handlers.set(Array(IdentifyProtocol.name.utf8)) { [weak self] in try await self?.answerIdentify($0) }
            state.handlers.set(Array(IdentifyProtocol.pushName.utf8)) { [weak self] in try await self?.acceptPush($0) }
            guard configuration.servesPing else { return }
            state.handlers.set(Array(PingProtocol.name.utf8), runsOnTransport: true) { [weak self] in
                try await self?.servePing($0)
            }
        }
    }

    func identifyOnConnect(_ connection: HostConnection) async {
        do {
            _ = try await identify(connection)
        } catch let error as HostError {
            guard !connection.muxed.isClosed, error.code != .cancelled else { return }
            logger.debug("identify failed", metadata: connection.metadata.failing(error))
            hub.emit(.identifyFailed(connection.peer, error))
        } catch {}
    }

    private func identify(_ connection: HostConnection) async throws -> IdentifyInfo {
        do {
            return try await withDeadline(configuration.identify.timeout, clock: configuration.clock) {
                let stream = try await self.newStream(on: connection, names: [Array(IdentifyProtocol.name.utf8)])
                do {
                    let info = try await self.readIdentify(from: stream, isPush: false)
                    do { try await stream.close() } catch { stream.reset() }
                    return info
                } catch {
                    stream.reset(code: .protocolViolation)
                    throw error
                }
            }
        } catch {
            throw HostError.wrapping(error, as: .identifyFailed, "\(connection.peer) could not be identified")
        }
    }

    /// Reads messages up to the end of the stream, checks them and remembers what they say. An answer takes the place of
    /// what was known; a push changes what it names.
    private func readIdentify(from stream: NetStream, isPush: Bool) async throws -> IdentifyInfo {
        var messages: [[UInt8]] = []
        while let message = try await stream.readMessage(limit: IdentifyMessage.receiveLimit) {
            messages.append(message)
            guard messages.count <= IdentifyMessage.messageLimit else {
                throw HostError(
                    .identifyFailed,
                    "\(stream.remotePeer) sent more than \(IdentifyMessage.messageLimit) identify messages"
                )
            }
        }
        guard !messages.isEmpty else {
            throw HostError(.identifyFailed, "\(stream.remotePeer) ended the stream without an identify message")
        }
        let update = try IdentifyMessage.decode(
            messages,
            from: stream.remotePeer,
            key: stream.connection.remotePublicKey
        )
        let info = peerStore.record(update, isPush: isPush, seenAt: stream.connection.remoteAddress)
        if !isPush || update.observedAddress != nil { note(update.observedAddress, over: stream.connection) }
        hub.emit(.identified(info))
        return info
    }

    /// The addresses that enough different peers in different networks see this host at
    /// (``HostConfiguration/Identify/observersNeeded``). They are told others beside those listened on: behind a router they
    /// are the ones that work.
    public var observedAddresses: [Multiaddr] {
        state.withLock { $0.observed.confirmed }
    }

    private func note(_ address: Multiaddr?, over connection: any MuxedConnection) {
        let before = observedAddresses
        let listening = listenAddresses
        state.withLock { state in
            // A connection that is over was forgotten already.
            let open = state.connections[connection.remotePeer]?.first { $0.muxed === connection }
            if let open { state.observed.note(address, by: open.info, listening: listening) }
        }
        if observedAddresses != before { scheduleIdentifyPush() }
    }

    private func answerIdentify(_ stream: NetStream) async throws {
        try await withDeadline(configuration.identify.timeout, clock: configuration.clock) {
            try await self.sendIdentify(on: stream)
        }
        // The host closes the stream when this returns, which asks the peer to stop sending. Some peers, py-libp2p among
        // them, drop the answer when that comes before they have read it: let them end the stream first.
        _ = try? await withDeadline(.seconds(1), clock: configuration.clock) { try await stream.readToEnd(limit: 64) }
    }

    private func sendIdentify(on stream: NetStream) async throws {
        for message in IdentifyMessage.encode(identifyContent(for: stream)) {
            try await stream.writeMessage(message)
        }
        try await stream.closeWrite()
    }

    private func acceptPush(_ stream: NetStream) async throws {
        let moment = configuration.clock.now()
        let isAllowed = state.withLock { $0.pushes.take(by: stream.remotePeer, at: moment) }
        guard isAllowed else { return stream.reset(code: .rateLimited) }
        try await withDeadline(configuration.identify.timeout, clock: configuration.clock) {
            _ = try await self.readIdentify(from: stream, isPush: true)
        }
    }

    private func identifyContent(for stream: NetStream) -> IdentifyMessage.Content {
        let addresses = advertisedAddresses(over: stream.connection)
        let sequence = state.withLock { state in
            state.recordSequence = max(state.recordSequence + 1, Self.wallClockNanoseconds())
            return state.recordSequence
        }
        let record = PeerRecord(peer: peerID, sequence: sequence, addresses: addresses)
        return IdentifyMessage.Content(
            protocolVersion: configuration.identify.protocolVersion,
            agentVersion: configuration.identify.agentVersion,
            publicKey: identity.publicKey,
            listenAddresses: addresses,
            observedAddress: stream.remoteAddress,
            protocols: protocols,
            signedRecord: try? record.signed(by: identity, limit: IdentifyMessage.recordLimit).bytes
        )
    }

    /// Where others may reach this host: announced addresses, those listened on and those observed.
    var advertisedAddresses: [Multiaddr] {
        let all = configuration.identify.announcedAddresses + interfaceAddresses + observedAddresses
        var seen: Set<Multiaddr> = []
        return all.map(\.withoutPeerID).filter { !AddressRanking.isUnspecified($0) && seen.insert($0).inserted }
    }

    /// What the peer at the other end of a connection is told. Loopback addresses are of use to those only who come from
    /// there, as go-libp2p has it; somebody else would find himself at them.
    private func advertisedAddresses(over connection: any MuxedConnection) -> [Multiaddr] {
        let ends = [connection.localAddress, connection.remoteAddress]
        let isNear = ends.contains(where: AddressRanking.isLoopback) || !ends.contains(where: AddressRanking.hasIP)
        return isNear ? advertisedAddresses : advertisedAddresses.filter { !AddressRanking.isLoopback($0) }
    }

    // MARK: Push

    /// Tells connected peers what changed. Changes in quick succession are told together.
    func scheduleIdentifyPush() {
        guard configuration.identify.pushesChanges else { return }
        let isNew = state.withLock { state in
            guard !state.connections.isEmpty else { return false }
            state.isPushNeeded = true
            defer { state.isPushing = true }
            return !state.isPushing
        }
        if isNew { submit { await self.pushIdentify() } }
    }

    private func pushIdentify() async {
        while true {
            let connections: [HostConnection]? = state.withLock { state in
                guard state.isPushNeeded, !Task.isCancelled else {
                    state.isPushing = false
                    return nil
                }
                state.isPushNeeded = false
                return state.connections.values.compactMap { $0.first { !$0.muxed.isClosed } }
            }
            guard let connections else { return }
            await withDiscardingTaskGroup { group in
                for connection in connections {
                    // Only to those who said that they listen to it.
                    guard peerStore.protocols(of: connection.peer)?.contains(IdentifyProtocol.pushName) == true else {
                        continue
                    }
                    group.addTask { await self.push(to: connection) }
                }
            }
        }
    }

    private func push(to connection: HostConnection) async {
        do {
            try await withDeadline(configuration.identify.timeout, clock: configuration.clock) {
                let names = [Array(IdentifyProtocol.pushName.utf8)]
                let stream = try await self.newStream(on: connection, names: names)
                do {
                    try await self.sendIdentify(on: stream)
                    // Reading to the end checks the answer to a lazy negotiation; nothing else is expected.
                    _ = try await stream.readToEnd(limit: 0)
                } catch {
                    stream.reset()
                    throw error
                }
            }
        } catch {
            logger.debug("identify push failed", metadata: connection.metadata.failing(error))
        }
    }

    private static func wallClockNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }
}
