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
        case .streamTimeout, .flowControlDeadlock, .sendMemoryExhausted:
            return .timeout
        case .cancelled:
            return .cancelled
        case .streamLimit, .limit, .memoryLimit, .connectionLimit, .backPressure:
            return .limitExceeded
        case .connectionClosed, .statelessReset, .peerVerification, .handshake, .protocolViolation, .flowControl,
            .versionNegotiation, .timeout:
            // An idle timeout ends the connection, and with it every stream; a dial's or a handshake's leaves none.
            return .connectionClosed(code: quicCode ?? 0, byPeer: isByPeer)
        default:
            return .other
        }
    }
}
