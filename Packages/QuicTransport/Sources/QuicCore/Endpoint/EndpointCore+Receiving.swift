internal import CNgtcp2Shims
internal import Libp2pTLS

extension EndpointCore {
    /// Routes one datagram and feeds it to its connection.
    ///
    /// - Parameters:
    ///   - datagram: The UDP payload; read during the call only.
    ///   - remote: Where it came from.
    ///   - local: Where it arrived.
    ///   - ecn: The two ECN bits of the IP header.
    ///   - now: The time in nanoseconds.
    public func receive(
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        now: UInt64
    ) -> Outcome {
        statistics.datagramsReceived &+= 1
        statistics.bytesReceived &+= UInt64(datagram.count)
        guard let first = datagram.first else { return drop(.malformed) }
        if first & 0x80 == 0, let core = shortHeaderOwner(datagram) {
            core.receive(datagram, from: remote, to: local, ecn: ecn, now: now)
            return .connection(core)
        }
        let header: PacketHeader
        do {
            header = try PacketHeader(
                parsing: datagram,
                shortHeaderIDLength: entropy.identifiers.length,
                requiringFixedBit: lp2p_peers_may_clear_fixed_bit() == 0
            )
        } catch {
            return drop(.malformed)
        }
        if let id = header.destinationID, let core = owner(of: id, isInitial: header.mayBearInitialID) {
            core.receive(datagram, from: remote, to: local, ecn: ecn, now: now)
            return .connection(core)
        }
        switch header.kind {
        case .short: return receiveUnrouted(header, datagram, from: remote, to: local, ecn: ecn, now: now)
        case .initial:
            if !speaks(header.version) { return negotiateVersion(header, datagram, now: now) }
            return accept(datagram, from: remote, to: local, ecn: ecn, now: now)
        case .unknownVersion: return negotiateVersion(header, datagram, now: now)
        case .zeroRTT, .handshake, .retry, .versionNegotiation: return drop(.unrouted)
        }
    }

    private func drop(_ reason: DropReason) -> Outcome {
        statistics.dropped &+= 1
        if reason == .malformed { statistics.malformed &+= 1 }
        return .dropped(reason)
    }

    // MARK: routing

    /// The connection of a packet with a short header: the hot path.
    private func shortHeaderOwner(_ datagram: UnsafeRawBufferPointer) -> ConnectionCore? {
        let end = 1 + entropy.identifiers.length
        guard datagram.count > end,
            let id = ConnectionID(UnsafeRawBufferPointer(rebasing: datagram[1..<end]))
        else { return nil }
        if let last, last.id == id { return last.core }
        guard let match = registry.find(id), let core = connections[match.connection] else { return nil }
        last = (id, core)
        return core
    }

    private func owner(of id: ConnectionID, isInitial: Bool) -> ConnectionCore? {
        if let match = registry.find(id, isInitial: isInitial) { return connections[match.connection] }
        guard isInitial, let handle = originalIDs[id] else { return nil }
        return connections[handle]
    }

    /// A packet for an ID that is not ours. It may be a stateless reset for one of the connections at that address;
    /// otherwise its sender believes in a connection that is gone, and is told so.
    private func receiveUnrouted(
        _ header: PacketHeader,
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        now: UInt64
    ) -> Outcome {
        if registry.find(at: remote) != nil {
            for handle in registry.connections(at: remote).prefix(8) {
                guard let core = connections[handle], core.isOpen else { continue }
                core.receive(datagram, from: remote, to: local, ecn: ecn, now: now)
                if !core.isOpen { return .connection(core) }
            }
        }
        guard let id = header.destinationID,
            let length = StatelessReset.length(answering: header, datagramLength: datagram.count)
        else { return drop(.unrouted) }
        guard replyBudget.take(now: now) else { return drop(.rationed) }
        guard let token = try? entropy.identifiers.resetToken(for: id) else { return drop(.unrouted) }
        statistics.statelessResets += 1
        return reply(entropy.withGenerator { StatelessReset.packet(token: token, length: length, using: &$0) })
    }

    private func reply(_ bytes: [UInt8]) -> Outcome {
        .reply(bytes)
    }

    // MARK: versions

    private func speaks(_ version: QuicVersion?) -> Bool {
        guard let version else { return false }
        return configuration.versions.contains(version) && lp2p_version_is_supported(version.rawValue) != 0
    }

    private func negotiateVersion(_ header: PacketHeader, _ datagram: UnsafeRawBufferPointer, now: UInt64) -> Outcome {
        guard acceptsConnections else { return drop(.notListening) }
        guard datagram.count >= VersionNegotiation.minimumDatagramSize else { return drop(.unrouted) }
        guard replyBudget.take(now: now) else { return drop(.rationed) }
        let random = UInt8(truncatingIfNeeded: entropy.random.next())
        let packet = VersionNegotiation.reply(
            to: header,
            datagram: RawSpan(_unsafeBytes: datagram),
            supported: configuration.versions,
            random: random
        )
        guard let packet else { return drop(.unrouted) }
        statistics.versionNegotiations += 1
        return reply(packet)
    }

    // MARK: accepting

    private func accept(
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        now: UInt64
    ) -> Outcome {
        guard acceptsConnections else { return drop(.notListening) }
        var request = lp2p_accept()
        let bytes = datagram.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard lp2p_accept_initial(bytes, datagram.count, &request) == LP2P_OK else { return drop(.unrouted) }
        let limits = configuration.endpoint
        let source = remote.source
        if halfOpen.count >= limits.maxHalfOpen
            || halfOpenBySource[source, default: 0] >= limits.maxHalfOpenPerSource
        {
            statistics.rejected += 1
            return drop(.limited)
        }
        guard connections.count < limits.maxConnections else {
            statistics.rejected += 1
            return refuse(&request, now: now)
        }
        do {
            let core = try makeServer(request, from: remote, to: local, now: now)
            halfOpen[core.handle] = source
            halfOpenBySource[source, default: 0] += 1
            core.receive(datagram, from: remote, to: local, ecn: ecn, now: now)
            return .opened(core)
        } catch {
            statistics.rejected += 1
            return drop(.limited)
        }
    }

    private func makeServer(
        _ request: lp2p_accept,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        now: UInt64
    ) throws -> ConnectionCore {
        let session = try tls.makeServerSession()
        let handle = makeHandle()
        let source = entropy.makeIdentifier()
        let original = request.dcid.connectionID
        var parameters = parameters
        parameters.version = request.version
        parameters.handshakeTimeout = configuration.timeouts.inboundHandshake.clampedNanoseconds
        let core = try ConnectionCore.server(
            handle: handle,
            session: session,
            entropy: entropy,
            parameters: parameters,
            original: original,
            peer: request.scid.connectionID,
            source: source,
            resetToken: entropy.resetToken(for: source),
            remote: remote,
            local: local,
            qlogSink: makeQlogSink?(original, true),
            now: now
        )
        registry.registerPending(source, for: handle, at: remote)
        registry.registerInitial(original, for: handle, at: remote)
        originalIDs[original] = handle
        originalIDOf[handle] = original
        nextSequence[handle] = 1
        connections[handle] = core
        return core
    }

    /// Tells a client that there is no room, in one small packet (RFC 9000 §5.2.2).
    private func refuse(_ request: inout lp2p_accept, now: UInt64) -> Outcome {
        guard replyBudget.take(now: now) else { return drop(.rationed) }
        var packet = [UInt8](repeating: 0, count: 256)
        let length = packet.withUnsafeMutableBufferPointer {
            lp2p_write_refusal($0.baseAddress, $0.count, &request, QuicErrorCode.connectionRefused.rawValue)
        }
        guard length > 0 else { return drop(.limited) }
        return reply(Array(packet[..<length]))
    }
}
