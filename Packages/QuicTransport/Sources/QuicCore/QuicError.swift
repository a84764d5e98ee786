public import PeerID

/// The error of everything in this package: what went wrong, the code of QUIC it came with, and what to do about it.
///
/// Two errors are equal when their ``code`` is, so that `error == QuicError(.timeout, "")` and `switch error.code`
/// both work; the rest is detail for people and logs.
public struct QuicError: Error, Sendable {
    /// What went wrong.
    public var code: Code

    /// What happened and what the caller can do about it.
    public var message: String

    /// The QUIC error code that goes with the error: of the transport (see ``QuicErrorCode``), or of the application
    /// when ``isApplicationCode`` is true. `nil` when no code travelled.
    public var quicCode: UInt64?

    /// Whether ``quicCode`` is an application's code (a stream's reset, a close of type 0x1d).
    public var isApplicationCode: Bool

    /// Whether the peer caused it: closed the connection, reset the stream, refused.
    public var isByPeer: Bool

    /// The peer that was dialled, when another one answered (``Code/peerVerification``).
    public var expectedPeer: PeerID?

    /// The peer that answered (``Code/peerVerification``).
    public var actualPeer: PeerID?

    /// The path of the field that is invalid (``Code/invalidConfiguration``), such as `timeouts.idle`.
    public var field: String?

    /// The state something was in (``Code/streamState`` and ``Code/state``).
    public var currentState: String?

    /// What was attempted in that state.
    public var attemptedOperation: String?

    /// The error underneath.
    public var cause: (any Error)?

    /// Makes an error from its parts.
    public init(
        _ code: Code,
        _ message: String,
        quicCode: UInt64? = nil,
        isApplicationCode: Bool = false,
        isByPeer: Bool = false,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.quicCode = quicCode
        self.isApplicationCode = isApplicationCode
        self.isByPeer = isByPeer
        self.cause = cause
    }

    /// Makes an error that bears a code of the transport.
    public init(
        _ code: Code,
        _ message: String,
        transportCode: QuicErrorCode,
        isByPeer: Bool = false,
        cause: (any Error)? = nil
    ) {
        self.init(code, message, quicCode: transportCode.rawValue, isByPeer: isByPeer, cause: cause)
    }

    /// The name of ``quicCode`` when it is a transport code that has one.
    public var transportCode: QuicErrorCode? {
        guard let quicCode, !isApplicationCode else { return nil }
        return QuicErrorCode(rawValue: quicCode)
    }
}

extension QuicError: Hashable {
    /// Whether both errors have the same ``code``.
    public static func == (left: QuicError, right: QuicError) -> Bool { left.code == right.code }

    /// Feeds the ``code``.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension QuicError: CustomStringConvertible {
    /// One line: code, message, QUIC code, and the error underneath.
    public var description: String {
        var text = "\(code): \(message)"
        if let quicCode {
            let code =
                isApplicationCode
                ? "application code 0x" + String(quicCode, radix: 16) : "\(QuicErrorCode(rawValue: quicCode))"
            text += " [\(code)\(isByPeer ? ", by the peer" : "")]"
        } else if isByPeer {
            text += " [by the peer]"
        }
        if let cause { text += " (because: \(cause))" }
        return text
    }
}
