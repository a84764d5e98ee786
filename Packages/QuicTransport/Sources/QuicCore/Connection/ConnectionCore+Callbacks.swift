internal import CNgtcp2Shims
internal import Libp2pTLS

// The C library calls these from inside `lp2p_conn_read_train`, `lp2p_conn_write` and the like, which only the methods of a
// living `ConnectionCore` call: both unretained pointers below are valid for the length of the call. They record what
// happened and call nothing but what `lp2p_events` allows.

private func core(_ owner: UnsafeMutableRawPointer?) -> ConnectionCore? {
    owner.map { Unmanaged<ConnectionCore>.fromOpaque($0).takeUnretainedValue() }
}

private func record(_ userData: UnsafeMutableRawPointer?) -> StreamRecord? {
    userData.map { Unmanaged<StreamRecord>.fromOpaque($0).takeUnretainedValue() }
}

/// The table of callbacks, the same for every connection; the connection keeps a copy.
func connectionCallbacks() -> lp2p_events {
    lp2p_events(
        random: { owner, destination, length in
            core(owner)?.entropy.fill(UnsafeMutableRawBufferPointer(start: destination, count: length))
        },
        new_connection_id: { owner, cid, token in
            guard let core = core(owner), let cid, let token else { return 1 }
            let fresh = core.entropy.makeConnectionID(length: cid.pointee.length)
            guard fresh.id.count == cid.pointee.length, fresh.resetToken.count == Int(LP2P_RESET_TOKEN_LENGTH)
            else { return 1 }
            cid.pointee = lp2p_cid(fresh.id)
            UnsafeMutableRawBufferPointer(start: token, count: fresh.resetToken.count)
                .copyBytes(from: fresh.resetToken)
            core.issued(fresh.id)
            return 0
        },
        connection_id_retired: { owner, cid in
            guard let core = core(owner), let cid else { return }
            core.retired(cid.pointee.connectionID)
        },
        handshake_completed: { owner in core(owner)?.handshakeCompleted() },
        handshake_confirmed: { owner in core(owner)?.confirmed() },
        early_keys: { owner in core(owner)?.earlyKeysArrived() == true ? 0 : 1 },
        ticket: { owner, message, length in
            core(owner)?.session?.willReceive(ticket: UnsafeRawBufferPointer(start: message, count: length))
        },
        stream_opened: { owner, stream in
            guard let core = core(owner) else { return }
            core.announceEarlyData()
            core.adopt(StreamRecord(id: StreamID(rawValue: stream), tuner: core.streamTuner))
            core.streamCounts.accepted += 1
            core.queues.events.append(.streamOpened(StreamID(rawValue: stream)))
        },
        stream_data: { owner, _, userData, data, length, fin in
            // For each packet: nothing is retained here, and nothing of the connection touched but for the first one.
            guard let owner, let userData else { return }
            Unmanaged<StreamRecord>.fromOpaque(userData)._withUnsafeGuaranteedRef { record in
                if length > 0 {
                    record.arrivals.pointee.append(UnsafeRawBufferPointer(start: data, count: length))
                }
                if fin != 0 {
                    record.arrivals.pointee.hasUnreportedEnd = true
                    record.arrivals.pointee.isComplete = true
                }
                if !record.arrivals.pointee.isDirty { core(owner)?.markDirty(record) }
            }
        },
        stream_acked: { owner, _, userData, length in
            guard let core = core(owner), let record = record(userData), length > 0 else { return }
            if record.unreportedAcknowledged == 0 { core.queues.acknowledgedStreams.append(record) }
            record.acknowledge(Int(clamping: length))
        },
        stream_reset: { owner, stream, userData, code in
            guard let core = core(owner) else { return }
            if let record = record(userData) {
                guard !record.arrivals.pointee.isComplete else { return }
                core.flush(record)
            }
            core.streamCounts.reset += 1
            core.queues.events.append(.streamReset(StreamID(rawValue: stream), code: code))
        },
        stream_stopped: { owner, stream, code in
            core(owner)?.queues.stops.append((StreamID(rawValue: stream), code))
        },
        stream_closed: { owner, stream, userData, _, _ in
            guard let core = core(owner) else { return }
            if let record = record(userData) {
                core.flush(record)
                core.flushAcknowledged(record)
                core.letGo(record)
            }
            // The last strong reference, apart from queues that skip it: the library has let go of its bytes.
            core.streams[StreamID(rawValue: stream)] = nil
            core.streamCounts.closed += 1
            core.queues.events.append(.streamClosed(StreamID(rawValue: stream)))
        },
        stream_writable: { owner, _, userData in
            guard let core = core(owner), let record = record(userData), record.isBlocked else { return }
            record.isBlocked = false
            core.queues.events.append(.streamWritable(record.id))
            core.enqueue(record)
        },
        streams_available: { owner, bidirectional in
            if bidirectional != 0 { core(owner)?.queues.events.append(.streamsAvailable) }
        },
        datagram: { owner, data, length in
            guard let core = core(owner) else { return }
            // Early data can be a copy of what was said before, and a datagram bears no mark of it. The sender had to reckon
            // with its loss anyway.
            guard !core.isServer || core.handshakeDone else {
                core.countedDatagrams.droppedEarly += 1
                return
            }
            core.countedDatagrams.received += 1
            core.queues.events.append(.datagramReceived(Array(UnsafeRawBufferPointer(start: data, count: length))))
        },
        datagram_outcome: { owner, _, acknowledged in
            guard let core = core(owner) else { return }
            if acknowledged != 0 { core.countedDatagrams.acknowledged += 1 } else { core.countedDatagrams.lost += 1 }
        },
        path_validated: { owner, success in
            guard let core = core(owner) else { return }
            core.queues.pathOutcomes.append(success != 0)
        },
        new_token: { owner, token, length in
            guard let core = core(owner) else { return }
            let bytes = Array(UnsafeRawBufferPointer(start: token, count: length))
            core.queues.events.append(.newToken(bytes))
            core.queues.routingChanges.append(.addressToken(bytes))
        },
        stateless_reset: { owner in core(owner)?.wasReset = true },
        reset_token: { owner, token, inUse in
            let bytes = UnsafeRawBufferPointer(start: token, count: StatelessResetToken.length)
            guard let core = core(owner), let token = StatelessResetToken(bytes) else { return }
            core.queues.routingChanges.append(inUse != 0 ? .resetTokenInUse(token) : .resetTokenRetired(token))
        },
        qlog: { owner, last, data, length in
            guard let sink = core(owner)?.qlogSink else { return }
            QlogRecord.withRecord(in: UnsafeRawBufferPointer(start: data, count: length)) { sink($0, last != 0) }
        }
    )
}

extension ConnectionCore {
    /// The TLS handshake is done; the peer was verified inside it.
    fileprivate func handshakeCompleted() {
        // A resumed session shows its peer only now.
        session?.judgeResumedPeer()
        guard let session, let peer = session.verifiedPeer else {
            // Otherwise the session verifies inside the handshake. Nothing may flow.
            isUnverified = true
            return
        }
        verifiedPeer = peer
        let isEarlyDataAccepted = endEarlyData(of: session)
        handshakeDone = true
        needsKeepAlive = true
        keepForEarlyData(in: session)
        queues.events.append(
            .handshakeCompleted(
                HandshakeResult(
                    peer: peer,
                    alpn: session.negotiatedALPN ?? "",
                    cipherSuite: session.cipherSuite,
                    isResumed: session.isResumed,
                    isEarlyDataAccepted: isEarlyDataAccepted,
                    version: lp2p_conn_negotiated_version(pointer)
                )
            )
        )
        // A server's handshake is confirmed as soon as it completes (RFC 9001 §4.1.2).
        if isServer { confirmed() }
    }

    /// The peer has completed the handshake too (RFC 9001 §4.1.2).
    func confirmed() {
        isConfirmed = true
        queues.events.append(.handshakeConfirmed)
    }
}
