public import PeerID

extension QuicError {
    /// A field of the configuration is invalid.
    ///
    /// - Parameters:
    ///   - field: The path of the field, such as `timeouts.idle`.
    ///   - message: What the field must be.
    public static func invalidConfiguration(field: String, _ message: String) -> QuicError {
        var error = QuicError(.invalidConfiguration, "\(field): \(message)")
        error.field = field
        return error
    }

    /// Another peer answered than the one that was dialled.
    public static func peerMismatch(expected: PeerID, actual: PeerID, cause: (any Error)? = nil) -> QuicError {
        var error = QuicError(
            .peerVerification,
            "dialled peer \(expected), but \(actual) answered; check the address, or drop its /p2p part to accept "
                + "whoever answers",
            cause: cause
        )
        error.expectedPeer = expected
        error.actualPeer = actual
        return error
    }

    /// The connection is closed.
    ///
    /// - Parameters:
    ///   - code: The code of the close.
    ///   - isApplication: Whether it is an application's code.
    ///   - byPeer: Whether the peer closed.
    ///   - reason: The text that came with it.
    ///   - cause: What led to it, if that is another error.
    public static func connectionClosed(
        code: UInt64,
        isApplication: Bool,
        byPeer: Bool,
        reason: String,
        cause: (any Error)? = nil
    ) -> QuicError {
        let who = byPeer ? "the peer closed the connection" : "the connection was closed here"
        return QuicError(
            .connectionClosed,
            reason.isEmpty ? "\(who); dial again to go on" : "\(who): \(reason); dial again to go on",
            quicCode: code,
            isApplicationCode: isApplication,
            isByPeer: byPeer,
            cause: cause
        )
    }

    /// A stream was reset.
    ///
    /// - Parameters:
    ///   - code: The application's code of the reset.
    ///   - byPeer: Whether the peer reset it.
    public static func streamReset(code: UInt64, byPeer: Bool) -> QuicError {
        QuicError(
            .streamReset,
            byPeer ? "the peer reset the stream; open another one" : "the stream was reset here",
            quicCode: code,
            isApplicationCode: true,
            isByPeer: byPeer
        )
    }

    /// A stream was opened early, and the server has not taken early data.
    public static var earlyDataRejected: QuicError {
        QuicError(
            .earlyDataRejected,
            "the server did not take early data, nothing of the stream was delivered; repeat the request on another stream"
        )
    }

    /// An operation met a stream in a state that forbids it.
    public static func streamState(_ state: String, attempted operation: String) -> QuicError {
        var error = QuicError(.streamState, "cannot \(operation) a stream that is \(state)")
        error.currentState = state
        error.attemptedOperation = operation
        return error
    }

    /// An operation met the transport, a listener or a connection in a state that forbids it.
    public static func state(_ state: String, attempted operation: String) -> QuicError {
        var error = QuicError(.state, "cannot \(operation): \(state)")
        error.currentState = state
        error.attemptedOperation = operation
        return error
    }

    /// A close with a transport code, turned into the error that describes it best. Total over all codes.
    ///
    /// - Parameters:
    ///   - code: The transport's code.
    ///   - byPeer: Whether the peer sent it.
    ///   - reason: The text that came with it.
    ///   - cause: What led to it, if that is another error.
    public static func transportClose(
        _ code: QuicErrorCode,
        byPeer: Bool,
        reason: String,
        cause: (any Error)? = nil
    ) -> QuicError {
        let kind: Code
        let advice: String
        switch code {
        case .noError: (kind, advice) = (.connectionClosed, "dial again to go on")
        case .connectionRefused:
            (kind, advice) = (.connectionLimit, "the listener accepts no connections now; try later")
        case .flowControlError: (kind, advice) = (.flowControl, "more was sent than the windows permit")
        case .streamLimitError: (kind, advice) = (.streamLimit, "more streams were opened than permitted")
        case .cryptoBufferExceeded: (kind, advice) = (.memoryLimit, "the handshake needs more memory than permitted")
        case .versionNegotiationError: (kind, advice) = (.versionNegotiation, "no common version")
        case .invalidToken: (kind, advice) = (.handshake, "the address token is stale; dial again")
        case .internalError: (kind, advice) = (.connectionClosed, "one side met an internal error; see its log")
        case .applicationError: (kind, advice) = (.connectionClosed, "the application ended the handshake")
        case .noViablePath: (kind, advice) = (.connectionClosed, "the path no longer carries QUIC; dial again")
        case .transportParameterError: (kind, advice) = (.handshake, "the transport parameters were not accepted")
        case _ where code.tlsAlert != nil: (kind, advice) = Self.meaning(ofAlert: code.tlsAlert ?? 0)
        case _ where code.rawValue <= QuicErrorCode.aeadLimitReached.rawValue:
            (kind, advice) = (.protocolViolation, "one side broke the protocol")
        default: (kind, advice) = (.connectionClosed, "dial again to go on")
        }
        let who = byPeer ? "the peer closed the connection" : "the connection was closed here"
        return QuicError(
            kind,
            "\(who)\(reason.isEmpty ? "" : ": \(reason)"); \(advice)",
            transportCode: code,
            isByPeer: byPeer,
            cause: cause
        )
    }

    private static func meaning(ofAlert alert: UInt8) -> (Code, String) {
        switch alert {
        case 42...46, 48, 51, 116: (.peerVerification, "the identity or the certificate was not accepted")
        case 120: (.handshake, "no application protocol in common; both sides must offer libp2p")
        case 70: (.handshake, "no TLS version in common; TLS 1.3 is needed")
        default: (.handshake, "the TLS handshake failed")
        }
    }
}
