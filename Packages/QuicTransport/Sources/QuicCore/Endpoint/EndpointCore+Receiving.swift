internal import CNgtcp2Shims

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

extension EndpointCore {
    /// Routes one datagram and feeds it to its connection.
    ///
    /// - Parameters:
    ///   - datagram: The UDP payload; read during the call only.
    ///   - remote: Where it came from.
    ///   - local: Where it arrived.
    ///   - ecn: The two ECN bits of the IP header.
    ///   - mayOpen: Whether it may open a connection where it arrived; ``acceptsConnections`` has to be set too.
    ///   - isPassedOn: Whether another endpoint of the group has said that it belongs here.
    ///   - now: The time in nanoseconds.
    public func receive(
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        mayOpen: Bool = true,
        isPassedOn: Bool = false,
        now: UInt64
    ) -> Outcome {
        lastReceived = now
        counted.datagramsReceived &+= 1
        counted.bytesReceived &+= UInt64(datagram.count)
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
        if mayOpen, !isPassedOn, let owner = otherOwner(of: header, datagram) {
            // It counts where it goes.
            counted.datagramsReceived &-= 1
            counted.bytesReceived &-= UInt64(datagram.count)
            return .elsewhere(owner)
        }
        switch header.kind {
        case .short: return receiveUnrouted(header, datagram, from: remote, to: local, ecn: ecn, now: now)
        case .initial, .unknownVersion:
            guard acceptsConnections, mayOpen else { return drop(.notListening) }
            guard header.kind == .initial, speaks(header.version) else {
                return negotiateVersion(header, datagram, now: now)
            }
            return accept(datagram, from: remote, to: local, ecn: ecn, now: now)
        case .zeroRTT, .handshake, .retry, .versionNegotiation: return drop(.unrouted)
        }
    }

    /// Routes the first of some datagrams that came together, and those right behind it that go to the same connection.
    ///
    /// - Parameters:
    ///   - datagrams: UDP payloads of one sender, back to back, at least one; read during the call only.
    ///   - segmentSize: The bytes of each but the last, which may be shorter; more than 0.
    ///   - remote: Where they came from.
    ///   - local: Where they arrived.
    ///   - ecn: The two ECN bits of the IP header.
    ///   - mayOpen: As for a single one.
    ///   - now: The time in nanoseconds.
    /// - Returns: What became of them, and how many bytes they are.
    public func receiveRun(
        _ datagrams: UnsafeRawBufferPointer,
        segmentSize: Int,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        mayOpen: Bool = true,
        now: UInt64
    ) -> (outcome: Outcome, length: Int) {
        let first = UnsafeRawBufferPointer(rebasing: datagrams.prefix(segmentSize))
        guard let byte = first.first, byte & 0x80 == 0, let core = shortHeaderOwner(first) else {
            return (receive(first, from: remote, to: local, ecn: ecn, mayOpen: mayOpen, now: now), first.count)
        }
        let length = runLength(datagrams, segmentSize: segmentSize)
        lastReceived = now
        counted.datagramsReceived &+= UInt64(ConnectionCore.datagrams(in: length, of: segmentSize))
        counted.bytesReceived &+= UInt64(length)
        let run = UnsafeRawBufferPointer(rebasing: datagrams[..<length])
        core.receive(run, segmentSize: segmentSize, from: remote, to: local, ecn: ecn, now: now)
        return (.connection(core), length)
    }

    /// The bytes of the datagrams with short headers that bear the first one's connection ID, up to the first that does not.
    private func runLength(_ datagrams: UnsafeRawBufferPointer, segmentSize: Int) -> Int {
        let end = 1 + entropy.identifiers.length
        guard let base = datagrams.baseAddress else { return 0 }
        var offset = min(segmentSize, datagrams.count)
        while offset + end < datagrams.count, datagrams[offset] & 0x80 == 0,
            memcmp(base + offset + 1, base + 1, end - 1) == 0
        {
            offset += segmentSize
        }
        return min(offset, datagrams.count)
    }

    func drop(_ reason: DropReason) -> Outcome {
        counted.dropped &+= 1
        if reason == .malformed { counted.malformed &+= 1 }
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

    /// The other endpoint of the group that has the connection of a packet which is unknown here: the kernel chooses a
    /// socket by the addresses alone, and these change when a peer moves, or were never this socket's when it dialed.
    private func otherOwner(of header: PacketHeader, _ datagram: UnsafeRawBufferPointer) -> UInt8? {
        guard group.count > 1 else { return nil }
        switch header.kind {
        // Those that open no connection and belong to none are answered by whoever gets them.
        case .unknownVersion: return nil
        // A stateless reset bears random bytes where the ID stands.
        case .short:
            if let token = StatelessReset.candidateToken(in: datagram), let owner = group.owner(of: token) {
                return owner == self.owner ? nil : owner
            }
        case .initial, .zeroRTT, .handshake, .retry, .versionNegotiation: break
        }
        guard let id = header.destinationID, let owner = entropy.identifiers.owner(of: id), owner != self.owner,
            Int(owner) < group.count
        else { return nil }
        return owner
    }

    /// A packet for an ID that is not ours. It may be a stateless reset for one of our connections; otherwise its sender
    /// believes in a connection that is gone, and is told so.
    private func receiveUnrouted(
        _ header: PacketHeader,
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        now: UInt64
    ) -> Outcome {
        if let core = resetTarget(datagram, from: remote) {
            core.receive(datagram, from: remote, to: local, ecn: ecn, now: now)
            if !core.isOpen {
                counted.statelessResetsReceived += 1
                return .connection(core)
            }
        }
        guard let id = header.destinationID,
            let length = StatelessReset.length(answering: header, datagramLength: datagram.count)
        else { return drop(.unrouted) }
        guard group.takeReply(now: now) else { return drop(.rationed) }
        guard let token = try? entropy.identifiers.resetToken(for: id) else { return drop(.unrouted) }
        counted.statelessResets += 1
        return .reply(entropy.withGenerator { StatelessReset.packet(token: token, length: length, using: &$0) })
    }

    /// The connection that a datagram resets: it ends in one of the peer's tokens and comes from the peer's address. One
    /// look into a table, however many connections there are.
    private func resetTarget(_ datagram: UnsafeRawBufferPointer, from remote: NetworkAddress) -> ConnectionCore? {
        guard let token = StatelessReset.candidateToken(in: datagram), let handle = resetTokens[token],
            let core = connections[handle], core.isOpen, core.remoteAddress == remote, registry.find(at: remote) != nil
        else { return nil }
        return core
    }

    // MARK: versions

    private func speaks(_ version: QuicVersion?) -> Bool {
        guard let version else { return false }
        return configuration.versions.contains(version) && lp2p_version_is_supported(version.rawValue) != 0
    }

    private func negotiateVersion(_ header: PacketHeader, _ datagram: UnsafeRawBufferPointer, now: UInt64) -> Outcome {
        guard datagram.count >= VersionNegotiation.minimumDatagramSize else { return drop(.unrouted) }
        guard group.takeReply(now: now) else { return drop(.rationed) }
        let random = UInt8(truncatingIfNeeded: entropy.random.next())
        let packet = VersionNegotiation.reply(
            to: header,
            datagram: RawSpan(_unsafeBytes: datagram),
            supported: configuration.versions,
            random: random
        )
        guard let packet else { return drop(.unrouted) }
        counted.versionNegotiations += 1
        return .reply(packet)
    }
}
