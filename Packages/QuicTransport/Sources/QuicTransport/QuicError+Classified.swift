public import NetStream
public import QuicCore

/// The error of everything in this package; see `QuicCore`.
public typealias QuicError = QuicCore.QuicError

/// An error code of the QUIC transport; see `QuicCore`.
public typealias QuicErrorCode = QuicCore.QuicErrorCode

/// The settings of the transport; see `QuicCore`.
public typealias QuicConfiguration = QuicCore.QuicConfiguration

/// A QUIC version; see `QuicCore`.
public typealias QuicVersion = QuicCore.QuicVersion

extension QuicError: ClassifiedStreamError {
    /// What the error means for a stream, as the layers above ask without knowing QUIC.
    public var streamFailureKind: StreamFailureKind {
        switch code {
        case .streamReset:
            return .reset(code: quicCode ?? 0, byPeer: isByPeer)
        case .streamClosed, .streamState, .state:
            return .closed
        case .streamTimeout:
            return .timeout
        case .cancelled:
            return .cancelled
        case .streamLimit, .limit, .memoryLimit, .connectionLimit, .backPressure:
            return .limitExceeded
        case .timeout:
            // Of a dial or a handshake there is no connection yet; an idle timeout ends one. For a stream both are time.
            return .timeout
        case .connectionClosed, .statelessReset, .peerVerification, .handshake, .protocolViolation, .flowControl,
            .versionNegotiation:
            return .connectionClosed(code: quicCode ?? 0, byPeer: isByPeer)
        default:
            return .other
        }
    }
}
