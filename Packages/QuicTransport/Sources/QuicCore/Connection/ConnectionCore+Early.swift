internal import CNgtcp2Shims
internal import Libp2pTLS

/// How far early data (0-RTT) has come on a connection.
enum EarlyDataPhase {
    /// There is none, or no more.
    case none
    /// A client has its keys and may send it; a server has got the first of it, and knows whose it is.
    case possible(HandshakeResult)
    /// A server has said so, because some has arrived.
    case announced
}

extension ConnectionCore {
    /// Gives a client what it remembers of the server, before anything is sent.
    func rememberServer() throws(QuicError) {
        guard let context = session?.earlySession?.context else { return }
        let status = context.withUnsafeBufferPointer {
            lp2p_conn_set_early_parameters(pointer, $0.baseAddress, $0.count)
        }
        guard status == LP2P_OK else { throw QuicError(status: status, while: "preparing early data") }
    }

    /// The keys for early data are there, and on a server the first packet of it.
    ///
    /// - Returns: Whether it may be used.
    func earlyKeysArrived() -> Bool {
        if isServer {
            // Without the keys the rest of the handshake fails for the same reason.
            guard let session, let peer = session.judgeEarlyPeer() else { return false }
            earlyData = .possible(earlyResult(peer: peer, alpn: session.negotiatedALPN ?? ""))
            return true
        }
        guard let early = session?.earlySession else { return false }
        let result = earlyResult(peer: early.peer, alpn: early.alpn)
        earlyData = .possible(result)
        queues.events.append(.earlyDataStarted(result))
        return true
    }

    private func earlyResult(peer: VerifiedPeer, alpn: String) -> HandshakeResult {
        HandshakeResult(
            peer: peer,
            alpn: alpn,
            cipherSuite: nil,
            isResumed: isServer,
            isEarlyDataAccepted: isServer,
            version: firstVersion
        )
    }

    /// A server says that there is early data when the first stream of it is there: most clients have nothing to say early, and
    /// their connections need not be handed up before the handshake is done.
    func announceEarlyData() {
        guard isServer, !handshakeDone, case .possible(let result) = earlyData else { return }
        earlyData = .announced
        queues.events.append(.earlyDataStarted(result))
    }

    /// The handshake is done, and with it the time of early data.
    ///
    /// - Parameter session: The TLS session.
    /// - Returns: Whether the server has taken it.
    func endEarlyData(of session: TLSSession) -> Bool {
        defer { earlyData = .none }
        if isServer {
            tookEarlyData = session.isEarlyDataAccepted
            return tookEarlyData
        }
        guard session.earlySession != nil else { return false }
        if case .possible = earlyData, session.isEarlyDataAccepted { return true }
        rejectEarlyData()
        return false
    }

    /// The server has not taken early data. Whoever wrote it has to know, and decides whether it is said again: nothing of it
    /// is sent anew. The library has forgotten the streams, and gives their numbers to the next ones.
    private func rejectEarlyData() {
        _ = lp2p_conn_reject_early_data(pointer)
        let forgotten = streams.keys.sorted { $0.rawValue < $1.rawValue }
        for record in streams.values { letGo(record) }
        streams.removeAll()
        queues.sendQueue.removeAll()
        queues.heldByConnection.removeAll()
        queues.dirtyStreams.removeAll()
        queues.acknowledgedStreams.removeAll()
        streamCounts.closed += UInt64(forgotten.count)
        nextStreamID = StreamID(rawValue: 0)
        if case .possible = earlyData { queues.events.append(.earlyDataRejected(forgotten)) }
    }

    /// Keeps what a client has to remember for early data on its next connection, until the ticket comes.
    func keepForEarlyData(in session: TLSSession) {
        guard session.keepsContextForEarlyData else { return }
        var bytes = [UInt8](repeating: 0, count: 256)
        let length = bytes.withUnsafeMutableBufferPointer {
            lp2p_conn_early_parameters(pointer, $0.baseAddress, $0.count)
        }
        if length > 0 { session.contextForEarlyData = Array(bytes[..<length]) }
    }
}
