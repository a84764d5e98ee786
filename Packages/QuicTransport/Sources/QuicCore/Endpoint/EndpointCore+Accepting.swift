internal import CNgtcp2Shims
internal import Libp2pTLS

extension EndpointCore {
    /// A client's first Initial, which opens a connection if its sender may have one.
    func accept(
        _ datagram: UnsafeRawBufferPointer,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        now: UInt64
    ) -> Outcome {
        var request = lp2p_accept()
        guard lp2p_accept_initial(datagram.octets, datagram.count, &request) == LP2P_OK else { return drop(.unrouted) }
        let proof = tokens.proof(in: request, from: remote, now: now)
        // RFC 9000 §7.2. The library looks only where there is no token, and any bytes may stand there.
        if case .retry = proof {} else if request.dcid.length < 8 { return drop(.malformed) }
        let source = remote.source
        switch proof {
        case .invalid:
            counted.invalidTokens += 1
            return refuse(datagram, &request, .invalidToken, now: now)
        case .none:
            if group.mustProveAddress(source, now: now) { return retry(request, to: remote, now: now) }
        case .retry, .earlierConnection: counted.validatedByToken += 1
        }
        guard group.takeHalfOpen(source) else {
            counted.rejected += 1
            return drop(.limited)
        }
        guard budget.take() else {
            group.giveBackHalfOpen(source)
            counted.rejected += 1
            return refuse(datagram, &request, .connectionRefused, now: now)
        }
        let core: ConnectionCore
        do {
            core = try makeServer(request, proof, from: remote, to: local, now: now)
        } catch {
            budget.giveBack()
            group.giveBackHalfOpen(source)
            counted.rejected += 1
            return drop(.limited)
        }
        halfOpen[core.handle] = source
        core.receive(datagram, from: remote, to: local, ecn: ecn, now: now)
        // What does not decrypt never was an Initial.
        if core.isFinished {
            remove(core)
            return drop(.malformed)
        }
        return .opened(core)
    }

    // MARK: validating addresses

    /// Asks for proof, and remembers nothing. Not rationed: a Retry is a tenth of what it answers, and with a ration the
    /// peer that is real would hardly get one of them in a flood.
    private func retry(_ request: lp2p_accept, to remote: NetworkAddress, now: UInt64) -> Outcome {
        guard let packet = tokens.retry(answering: request, as: entropy.makeIdentifier(), to: remote, now: now) else {
            return drop(.limited)
        }
        counted.retries += 1
        return .reply(packet)
    }

    // MARK: opening and refusing

    private func makeServer(
        _ request: lp2p_accept,
        _ proof: AddressProof,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        now: UInt64
    ) throws -> ConnectionCore {
        let session = try tls.makeServerSession(ticketsBoundTo: ticketPurpose)
        let handle = makeHandle()
        let source = entropy.makeIdentifier()
        let chosen = request.dcid.connectionID
        var accepted = ConnectionOpening.Accepted(original: chosen, resetToken: entropy.resetToken(for: source))
        var token: [UInt8] = []
        switch proof {
        case .none, .invalid: break
        // It has saved the client a Retry. ngtcp2 does not get it: it would lift the limit on what is sent to an unproved
        // address, and within its day anybody who may send from that address could use it again (RFC 9000 §8.1.4).
        case .earlierConnection: break
        case .retry(let original):
            token = request.tokenBytes
            accepted.original = original
            accepted.retrySource = chosen
        }
        var parameters = parameters
        parameters.version = request.version
        parameters.handshakeTimeout = configuration.timeouts.inboundHandshake.clampedNanoseconds
        let opening = ConnectionOpening(
            handle: handle,
            session: session,
            entropy: entropy,
            parameters: parameters,
            destination: request.scid.connectionID,
            source: source,
            token: token,
            remote: remote,
            local: local,
            accepted: accepted,
            qlogSink: makeQlogSink?(accepted.original, true)
        )
        let core = try ConnectionCore(opening, now: now)
        registry.registerPending(source, for: handle, at: remote)
        registry.registerInitial(chosen, for: handle, at: remote)
        originalIDs[chosen] = handle
        originalIDOf[handle] = chosen
        connections[handle] = core
        return core
    }

    /// Turns a client away in one small packet (RFC 9000 §5.2.2). It is less than a quarter of the Initial it answers.
    ///
    /// Only what a client wrote is answered: an Initial that was damaged on the way, perhaps in its token, would end a
    /// handshake that the next copy completes (RFC 9000 §8.1.2 asks for one that is otherwise valid).
    private func refuse(
        _ datagram: UnsafeRawBufferPointer,
        _ request: inout lp2p_accept,
        _ code: QuicErrorCode,
        now: UInt64
    ) -> Outcome {
        guard group.takeReply(now: now) else { return drop(.rationed) }
        guard lp2p_initial_is_intact(datagram.octets, datagram.count) != 0 else { return drop(.malformed) }
        var packet = [UInt8](repeating: 0, count: 256)
        let length = packet.withUnsafeMutableBufferPointer {
            lp2p_write_refusal($0.baseAddress, $0.count, &request, code.rawValue)
        }
        guard length > 0 else { return drop(.limited) }
        return .reply(Array(packet[..<length]))
    }
}

extension lp2p_accept {
    /// The token, copied out of the datagram.
    fileprivate var tokenBytes: [UInt8] { Array(UnsafeBufferPointer(start: token, count: token_length)) }
}
