internal import CNgtcp2Shims

extension ConnectionCore {
    /// Closes the connection with an application code (RFC 9000 §10.2).
    ///
    /// The close packet is in the next batch. Streams are cut off: finish them first if their bytes matter. Does nothing
    /// on a connection that is closing or closed.
    ///
    /// - Parameters:
    ///   - code: The application error code; 0 for an orderly end.
    ///   - reason: A text for the peer's log, cut to 256 bytes.
    ///   - now: The time in nanoseconds.
    public func close(code: UInt64, reason: String, now: UInt64) {
        beginClose(
            kind: LP2P_CLOSE_APPLICATION,
            code: code,
            reason: reason,
            cause: .application,
            error: .closedLocally(code: code, reason: reason),
            now: now
        )
    }

    /// How long a closed connection answers or keeps silent (RFC 9000 §10.2). The peer's acknowledgements decide what three
    /// probe timeouts are, so there is a bound.
    var closingPeriod: UInt64 { min(3 &* lp2p_conn_pto(pointer), closeTimeout) }

    /// Says once more that the connection is closed, ever more rarely: in answer to the 1st, 2nd, 4th, 8th … datagram
    /// (RFC 9000 §10.2.1).
    ///
    /// The library keeps to three times the bytes of an address that is not validated, and does not know of these: each has
    /// to be paid for by the datagram that it answers, from the very address it goes to.
    // Not inlined, or all receiving would pay for the checks of exclusive access to these properties.
    @inline(never)
    func receiveWhileClosing(_ count: Int, from remote: NetworkAddress) {
        datagramsSinceClose += 1
        guard datagramsSinceClose & (datagramsSinceClose - 1) == 0 else { return }
        if isServer, !handshakeDone {
            guard remote == closePath?.remote, closePacket.count <= 3 * count else { return }
        }
        closePacketPending = true
    }

    /// Forgets the connection without telling the peer.
    public func abandon() {
        guard isOpen else { return }
        finish(.dropped, error: .closedLocally(code: 0, reason: "abandoned"))
    }

    func beginClose(
        kind: lp2p_close_kind,
        code: UInt64,
        frameType: UInt64 = 0,
        reason: String,
        cause: ConnectionTermination.Cause,
        error: QuicError,
        now: UInt64
    ) {
        guard case .open = phase else { return }
        let text = Array(reason.utf8.prefix(256))
        var packet = [UInt8](repeating: 0, count: 1452)
        let result = packet.withUnsafeMutableBufferPointer { buffer in
            text.withUnsafeBufferPointer { text in
                lp2p_conn_begin_batch(pointer)
                return lp2p_conn_write_close(
                    pointer,
                    buffer.baseAddress,
                    buffer.count,
                    kind,
                    code,
                    text.baseAddress,
                    text.count,
                    now
                )
            }
        }
        if result.status == LP2P_OK, result.length > 0 {
            packet.removeLast(packet.count - result.length)
            closePacket = packet
            closePath = lastWrittenPath()
            closePacketPending = true
            phase = .closing(until: now &+ closingPeriod)
        } else {
            // Nothing can be said to the peer, for instance because no keys exist yet.
            phase = .finished
        }
        terminate(
            ConnectionTermination(
                cause: cause,
                code: code,
                frameType: frameType,
                reason: reason,
                byPeer: false,
                error: error
            )
        )
    }
}
