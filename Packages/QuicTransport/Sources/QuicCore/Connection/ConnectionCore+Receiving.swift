internal import CNgtcp2Shims
internal import Libp2pTLS

extension ConnectionCore {
    /// Feeds one datagram, or several that came together.
    ///
    /// - Parameters:
    ///   - datagrams: The UDP payload, or those of several datagrams back to back; read during the call only.
    ///   - segmentSize: The bytes of each datagram but the last, which may be shorter, more than 0; as it is, there is one.
    ///   - remote: Where they came from.
    ///   - local: Where they arrived.
    ///   - ecn: The two ECN bits of the IP header.
    ///   - now: The time in nanoseconds.
    public func receive(
        _ datagrams: UnsafeRawBufferPointer,
        segmentSize: Int = .max,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        now: UInt64
    ) {
        counted.datagramsReceived &+= UInt64(Self.datagrams(in: datagrams.count, of: segmentSize))
        counted.bytesReceived &+= UInt64(datagrams.count)
        idlePacing = nil
        var offset = 0
        while offset < datagrams.count {
            let rest = UnsafeRawBufferPointer(rebasing: datagrams[offset...])
            switch phase {
            case .open: offset += read(rest, segmentSize: segmentSize, from: remote, to: local, ecn: ecn, now: now)
            case .closing:
                let count = min(segmentSize, rest.count)
                receiveWhileClosing(count, from: remote)
                offset += count
            case .draining, .finished: return
            }
        }
    }

    /// How many datagrams lie back to back in so many bytes. An empty datagram is one.
    static func datagrams(in count: Int, of segmentSize: Int) -> Int {
        count <= segmentSize ? 1 : (count + segmentSize - 1) / segmentSize
    }

    /// Has the library read datagrams until one calls for a look. Returns how many bytes they were, more than 0.
    private func read(
        _ datagrams: UnsafeRawBufferPointer,
        segmentSize: Int,
        from remote: NetworkAddress,
        to local: NetworkAddress,
        ecn: UInt8,
        now: UInt64
    ) -> Int {
        if remote != lastRemote { lastRemote = remote }
        let own = openLocals.isEmpty ? local : openLocals.first { $0.port == local.port } ?? local
        if own != lastLocal { lastLocal = own }
        let train = withSocketAddresses { local, localLength, remote, remoteLength in
            lp2p_conn_read_train(
                pointer,
                local,
                localLength,
                remote,
                remoteLength,
                datagrams.octets,
                datagrams.count,
                segmentSize,
                ecn,
                now
            )
        }
        if !queues.heldByConnection.isEmpty, lp2p_conn_max_data_left(pointer) > 0 { releaseHeldStreams() }
        if !queues.stops.isEmpty { reportStops(wereRead: train.status == LP2P_OK) }
        if train.status == LP2P_OK { notePath(arrivedAt: local) }
        if queues.pings.hasPacketsOnTheirWay { reportPings() }
        if needsKeepAlive { adaptKeepAlive() }
        if isUnverified {
            fail(LP2P_INTERNAL, now: now)
        } else if train.status != LP2P_OK {
            handleReadFailure(train.status, now: now)
        } else if isConfirmed, session != nil {
            releaseSession()
        }
        return train.length
    }

    private func reportPings() {
        for slot in queues.pings.slotsInUse
        where lp2p_conn_watch_acked(pointer, Int32(LP2P_WATCH_PING) + Int32(slot)) != 0 {
            for id in queues.pings.acknowledged(slot) { queues.events.append(.pingAcknowledged(id)) }
        }
    }

    /// The shortest pause between two PINGs that keep a connection alive, whatever the peer asks for.
    private static let shortestKeepAlive: UInt64 = 1_000_000_000

    /// A peer with a shorter idle timeout than ours would give the connection up between two PINGs.
    private func adaptKeepAlive() {
        needsKeepAlive = false
        let remote = lp2p_conn_remote_idle_timeout(pointer)
        guard keepAlive > 0, remote > 0 else { return }
        let wanted = max(remote / 2, Self.shortestKeepAlive)
        if wanted < keepAlive { lp2p_conn_set_keep_alive(pointer, wanted) }
    }

    /// The library has reset the streams whose bytes the peer does not want.
    private func reportStops(wereRead: Bool) {
        if wereRead {
            for (stream, code) in queues.stops {
                guard let record = streams[stream], !record.sendingOver else { continue }
                record.stopSending()
                streamCounts.reset += 1
                queues.events.append(.streamStopped(stream, code: code))
            }
        }
        queues.stops.removeAll(keepingCapacity: true)
    }

    /// Does what is due. Call it when ``nextDeadline`` has come.
    public func handleTimer(now: UInt64) {
        switch phase {
        case .open:
            guard lp2p_conn_expiry(pointer) <= now else { return }
            idlePacing = nil
            let status = lp2p_conn_handle_expiry(pointer, now)
            reportPathOutcomes()
            if status != LP2P_OK { handleReadFailure(status, now: now) }
        case .closing(let until), .draining(let until):
            if until <= now { phase = .finished }
        case .finished: break
        }
    }

    private func handleReadFailure(_ status: lp2p_status, now: UInt64) {
        switch status {
        case LP2P_DISCARD_PACKET, LP2P_CLOSING: break
        case LP2P_DRAINING: peerClosed(now: now)
        case LP2P_IDLE_CLOSE:
            finish(.idleTimeout, error: .idleTimeout())
        case LP2P_HANDSHAKE_TIMEOUT:
            finish(.handshakeTimeout, error: .handshakeTimeout())
        case LP2P_RECEIVED_VERSION_NEGOTIATION:
            finish(.versionNegotiation, error: QuicError(status: status, while: "negotiating the version"))
        case LP2P_DROP_CONNECTION, LP2P_RETRY:
            finish(.dropped, error: QuicError(status: status, while: "reading a packet"))
        default: fail(status, now: now)
        }
    }

    /// The library refuses to go on: tell the peer why and close.
    func fail(_ status: lp2p_status, now: UInt64) {
        var code = lp2p_conn_close_code(pointer, status)
        // GnuTLS has no error for some of the alerts that our checks call for.
        if !handshakeDone, status != LP2P_GUARD_VIOLATION, let failure = session?.failure {
            code = QuicErrorCode.crypto(alert: failure.alert).rawValue
        }
        var error = QuicError(status: status, while: handshakeDone ? "reading a packet" : "shaking hands", code: code)
        if !handshakeDone, let session, let alert = QuicErrorCode(rawValue: code).tlsAlert {
            error = .handshake(tls: session.recordFailure(sentAlert: alert), code: code)
        }
        var frameType: UInt64 = 0
        var reason = ""
        if status == LP2P_GUARD_VIOLATION, let text = lp2p_conn_violation(pointer, &frameType) {
            reason = String(cString: text)
            error.message += " (\(reason))"
        }
        beginClose(
            kind: LP2P_CLOSE_TRANSPORT,
            code: code,
            frameType: frameType,
            reason: reason,
            cause: .transport,
            error: error,
            now: now
        )
    }

    private func peerClosed(now: UInt64) {
        phase = .draining(until: now &+ closingPeriod)
        if wasReset {
            terminate(
                ConnectionTermination(
                    cause: .statelessReset,
                    code: 0,
                    frameType: 0,
                    reason: "",
                    byPeer: true,
                    error: .statelessReset()
                )
            )
            return
        }
        var kind = LP2P_CLOSE_OTHER
        var code: UInt64 = 0
        var frameType: UInt64 = 0
        var reasonPointer: UnsafePointer<UInt8>?
        var reasonLength = 0
        lp2p_conn_remote_close(pointer, &kind, &code, &frameType, &reasonPointer, &reasonLength)
        let bytes = UnsafeBufferPointer(start: reasonPointer, count: reasonPointer == nil ? 0 : min(reasonLength, 1024))
        let reason = String(decoding: bytes, as: UTF8.self)
        let isApplication = kind == LP2P_CLOSE_APPLICATION
        var error = QuicError.closedByPeer(code: code, isApplication: isApplication, reason: reason)
        if !handshakeDone, !isApplication, let session, let alert = QuicErrorCode(rawValue: code).tlsAlert {
            error.cause = session.recordFailure(receivedAlert: alert)
        }
        terminate(
            ConnectionTermination(
                cause: isApplication ? .application : .transport,
                code: code,
                frameType: frameType,
                reason: reason,
                byPeer: true,
                error: error
            )
        )
    }

    /// Ends the connection without a word to the peer.
    func finish(_ cause: ConnectionTermination.Cause, error: QuicError) {
        phase = .finished
        terminate(
            ConnectionTermination(cause: cause, code: 0, frameType: 0, reason: "", byPeer: false, error: error)
        )
    }

    func terminate(_ end: ConnectionTermination) {
        guard termination == nil else { return }
        termination = end
        stash = nil
        for record in queues.dirtyStreams { flush(record) }
        queues.dirtyStreams.removeAll()
        queues.sendQueue.removeAll()
        queues.heldByConnection.removeAll()
        queues.outgoingDatagrams.removeAll()
        queues.pings = PingQueue()
        queues.events.append(.terminated(end))
    }
}
