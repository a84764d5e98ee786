internal import CNgtcp2Shims

extension ConnectionCore {
    /// The most bytes that an unreliable datagram can have at the moment (RFC 9221 §3, §5); 0 if the peer takes none, or the
    /// handshake is not done.
    public var maxDatagramSize: Int {
        guard isOpen, handshakeDone else { return 0 }
        let peer = Int(clamping: lp2p_conn_remote_max_datagram_frame_size(pointer))
        // A frame's type and length are at most 5 bytes here.
        let path = pathSize.limit ?? lp2p_conn_path_payload(pointer)
        return max(0, min(peer - 5, path - lp2p_datagram_overhead()))
    }

    /// Queues an unreliable datagram (RFC 9221). It leaves before stream data, at most once.
    ///
    /// - Throws: ``QuicError`` of code `datagramUnsupported`, `datagramTooLarge`, `backPressure` when
    ///   ``QuicConfiguration/maxQueuedDatagrams`` wait already, `state` before the handshake is done, or what ended the
    ///   connection.
    public func sendDatagram(_ bytes: [UInt8]) throws(QuicError) {
        guard isOpen else { throw termination?.error ?? .closedLocally(code: 0, reason: "") }
        guard handshakeDone else { throw .state("the handshake is not done", attempted: "send a datagram") }
        guard lp2p_conn_remote_max_datagram_frame_size(pointer) > 0 else {
            throw QuicError(.datagramUnsupported, "the peer takes no datagrams; send the bytes on a stream")
        }
        let most = maxDatagramSize
        guard bytes.count <= most else {
            throw QuicError(
                .datagramTooLarge,
                "a datagram of \(bytes.count) bytes does not fit, \(most) do; send less, or use a stream"
            )
        }
        guard queues.outgoingDatagrams.count < maxQueuedDatagrams else {
            throw QuicError(.backPressure, "\(maxQueuedDatagrams) datagrams wait already; send fewer")
        }
        queues.outgoingDatagrams.append(bytes)
    }

    /// Asks the peer for a sign of life: an acknowledgement, which comes as ``ConnectionEvent/pingAcknowledged(_:)`` with the
    /// number returned here. A packet that gets lost is sent again until the connection ends.
    ///
    /// - Throws: ``QuicError`` of code `state` before the handshake is done, `limit` when 64 wait already, or what
    ///   ended the connection.
    public func ping() throws(QuicError) -> UInt64 {
        guard isOpen else { throw termination?.error ?? .closedLocally(code: 0, reason: "") }
        guard handshakeDone else { throw .state("the handshake is not done", attempted: "ping") }
        guard let id = queues.pings.add() else {
            throw QuicError(.limit, "\(PingQueue.limit) pings wait for their answer already; wait for some")
        }
        return id
    }

    /// Takes new keys into use for what is sent from now on; the peer follows (RFC 9001 §6). The library makes the next keys
    /// when batches are written, a probe timeout after the last update: let the connection have a turn before.
    ///
    /// - Throws: ``QuicError`` of code `state` before the handshake is confirmed, and while the peer has not acknowledged
    ///   the last update for three probe timeouts.
    public func updateKeys(now: UInt64) throws(QuicError) {
        guard isOpen else { throw termination?.error ?? .closedLocally(code: 0, reason: "") }
        // The library aborts the process when it is asked between the end of the handshake and its next write.
        guard isConfirmed else { throw .state("the handshake is not confirmed", attempted: "update the keys") }
        let status = lp2p_conn_update_keys(pointer, now)
        guard status == LP2P_OK else { throw QuicError(status: status, while: "updating the keys") }
    }

    /// Gives up the datagram that waits longest.
    func dropFirstDatagram() {
        queues.outgoingDatagrams.removeFirst()
        countedDatagrams.dropped += 1
    }

    /// Writes a packet with the datagram that waits longest; `nil` when none waits.
    func writeDatagramFrame(
        _ destination: UnsafeMutablePointer<UInt8>,
        capacity: Int,
        isFirst: Bool,
        now: UInt64
    ) -> lp2p_written? {
        while let datagram = queues.outgoingDatagrams.first {
            guard datagram.count + lp2p_datagram_overhead() <= min(capacity, payloadNow) else {
                // The packets of a batch must not be larger than its first: this one opens the next batch.
                if !isFirst, capacity < payloadNow { return lp2p_written() }
                dropFirstDatagram()
                continue
            }
            let written = datagram.withUnsafeBufferPointer {
                lp2p_conn_write_datagram(pointer, destination, capacity, nextDatagramID, $0.baseAddress, $0.count, now)
            }
            if written.status != LP2P_OK {
                dropFirstDatagram()
                continue
            }
            if written.accepted == 1 {
                queues.outgoingDatagrams.removeFirst()
                nextDatagramID += 1
                countedDatagrams.sent += 1
            }
            return written
        }
        return nil
    }
}
