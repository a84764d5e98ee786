internal import CNgtcp2Shims
internal import Libp2pTLS

/// Errors made of what the C libraries report.
extension QuicError {
    /// A status of the QUIC library, total over all of them.
    ///
    /// - Parameters:
    ///   - status: The library's status.
    ///   - activity: What was being done, for the message.
    ///   - code: The transport code that goes to the peer, if any.
    init(status: lp2p_status, while activity: String, code: UInt64? = nil) {
        let (kind, advice) = Self.meaning(of: status)
        self.init(
            kind,
            "\(activity): \(String(cString: lp2p_status_text(status)))\(advice.isEmpty ? "" : "; \(advice)")",
            quicCode: code
        )
    }

    private static func meaning(of status: lp2p_status) -> (Code, String) {
        switch status {
        case LP2P_STREAM_ID_BLOCKED, LP2P_STREAM_LIMIT: (.streamLimit, "close streams, or wait for credit")
        case LP2P_FLOW_CONTROL: (.flowControl, "the peer sent more than it was allowed")
        case LP2P_STREAM_DATA_BLOCKED: (.flowControl, "wait until the peer reads")
        case LP2P_CRYPTO, LP2P_CRYPTO_BUFFER_EXCEEDED, LP2P_REQUIRED_TRANSPORT_PARAMETER,
            LP2P_MALFORMED_TRANSPORT_PARAMETER, LP2P_TRANSPORT_PARAMETER:
            (.handshake, "the peer may not speak libp2p over QUIC")
        case LP2P_PROTOCOL_VIOLATION, LP2P_ACK_FRAME, LP2P_FINAL_SIZE, LP2P_FRAME_ENCODING, LP2P_STREAM_STATE,
            LP2P_CONNECTION_ID_LIMIT, LP2P_GUARD_VIOLATION:
            (.protocolViolation, "the peer broke the protocol; the connection is closed")
        case LP2P_CLOSING, LP2P_DRAINING, LP2P_DROP_CONNECTION, LP2P_AEAD_LIMIT_REACHED,
            LP2P_PACKET_NUMBER_EXHAUSTED, LP2P_NO_VIABLE_PATH:
            (.connectionClosed, "dial again to go on")
        case LP2P_HANDSHAKE_TIMEOUT, LP2P_IDLE_CLOSE: (.timeout, "check that the peer runs and is reachable")
        case LP2P_RECEIVED_VERSION_NEGOTIATION, LP2P_VERSION_NEGOTIATION, LP2P_VERSION_NEGOTIATION_FAILURE:
            (.versionNegotiation, "no QUIC version in common with the peer")
        case LP2P_STREAM_SHUT_WRITE, LP2P_STREAM_NOT_FOUND, LP2P_STREAM_IN_USE: (.streamClosed, "")
        case LP2P_INVALID_STATE, LP2P_CONNECTION_ID_BLOCKED: (.state, "not possible in this state of the connection")
        case LP2P_OUT_OF_MEMORY: (.memoryLimit, "")
        case LP2P_RETRY: (.handshake, "the address has to be validated first")
        default: (.internal, "please report this")
        }
    }

    /// The TLS handshake failed on a check of ours.
    static func handshake(tls failure: TLSError, code: UInt64) -> QuicError {
        var error: QuicError
        if let expected = failure.expected, let actual = failure.actual {
            error = .peerMismatch(expected: expected, actual: actual, cause: failure)
        } else {
            error = QuicError(.peerVerification, "the peer's identity could not be verified", cause: failure)
        }
        error.quicCode = code
        return error
    }

    /// Nothing was heard of the peer for the idle timeout.
    static func idleTimeout() -> QuicError {
        QuicError(
            .timeout,
            "nothing was heard of the peer for the idle timeout, the connection is given up; dial again"
        )
    }

    /// The handshake was not done in time.
    static func handshakeTimeout() -> QuicError {
        QuicError(
            .timeout,
            "the handshake was not finished in time; check the address, and that UDP reaches the peer"
        )
    }

    /// The peer does not know the connection any more.
    static func statelessReset() -> QuicError {
        QuicError(
            .statelessReset,
            "the peer has lost the connection, perhaps it was restarted; dial again",
            isByPeer: true
        )
    }

    /// This side closed the connection.
    static func closedLocally(code: UInt64, reason: String) -> QuicError {
        .connectionClosed(code: code, isApplication: true, byPeer: false, reason: reason)
    }

    /// The peer closed the connection.
    static func closedByPeer(code: UInt64, isApplication: Bool, reason: String) -> QuicError {
        isApplication
            ? .connectionClosed(code: code, isApplication: true, byPeer: true, reason: reason)
            : .transportClose(QuicErrorCode(rawValue: code), byPeer: true, reason: reason)
    }
}
