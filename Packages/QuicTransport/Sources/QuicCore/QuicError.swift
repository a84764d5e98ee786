public import PeerID

/// The error of everything in this package: what went wrong, the code of QUIC it came with, and what to do about it.
///
/// Two errors are equal when their ``code`` is, so that `error == QuicError(.timeout, "")` and `switch error.code`
/// both work; the rest is detail for people and logs.
///
/// The detail stands in memory of its own: an error has the size of a pointer, because room for one is kept in every stream,
/// in every task that waits, and in most results.
public struct QuicError: Error, Sendable {
    private struct Details: Sendable {
        var code: Code
        var message: String
        var quicCode: UInt64?
        var isApplicationCode: Bool
        var isByPeer: Bool
        var expectedPeer: PeerID?
        var actualPeer: PeerID?
        var field: String?
        var currentState: String?
        var attemptedOperation: String?
        var dialStage: DialStage?
        var cause: (any Error)?
    }

    private final class Storage: Sendable {
        let details: Details

        init(_ details: Details) { self.details = details }
    }

    private var storage: Storage

    private mutating func change<Value>(_ field: WritableKeyPath<Details, Value>, to value: Value) {
        var details = storage.details
        details[keyPath: field] = value
        storage = Storage(details)
    }

    /// What went wrong.
    public var code: Code {
        get { storage.details.code }
        set { change(\.code, to: newValue) }
    }

    /// What happened and what the caller can do about it.
    public var message: String {
        get { storage.details.message }
        set { change(\.message, to: newValue) }
    }

    /// The QUIC error code that goes with the error: of the transport (see ``QuicErrorCode``), or of the application
    /// when ``isApplicationCode`` is true. `nil` when no code travelled.
    public var quicCode: UInt64? {
        get { storage.details.quicCode }
        set { change(\.quicCode, to: newValue) }
    }

    /// Whether ``quicCode`` is an application's code (a stream's reset, a close of type 0x1d).
    public var isApplicationCode: Bool {
        get { storage.details.isApplicationCode }
        set { change(\.isApplicationCode, to: newValue) }
    }

    /// Whether the peer caused it: closed the connection, reset the stream, refused.
    public var isByPeer: Bool {
        get { storage.details.isByPeer }
        set { change(\.isByPeer, to: newValue) }
    }

    /// The peer that was dialled, when another one answered (``Code/peerVerification``).
    public var expectedPeer: PeerID? {
        get { storage.details.expectedPeer }
        set { change(\.expectedPeer, to: newValue) }
    }

    /// The peer that answered (``Code/peerVerification``).
    public var actualPeer: PeerID? {
        get { storage.details.actualPeer }
        set { change(\.actualPeer, to: newValue) }
    }

    /// The path of the field that is invalid (``Code/invalidConfiguration``), such as `timeouts.idle`.
    public var field: String? {
        get { storage.details.field }
        set { change(\.field, to: newValue) }
    }

    /// The state something was in (``Code/streamState`` and ``Code/state``).
    public var currentState: String? {
        get { storage.details.currentState }
        set { change(\.currentState, to: newValue) }
    }

    /// What was attempted in that state.
    public var attemptedOperation: String? {
        get { storage.details.attemptedOperation }
        set { change(\.attemptedOperation, to: newValue) }
    }

    /// How far the dial came that failed; `nil` for everything but dials.
    public var dialStage: DialStage? {
        get { storage.details.dialStage }
        set { change(\.dialStage, to: newValue) }
    }

    /// The error underneath.
    public var cause: (any Error)? {
        get { storage.details.cause }
        set { change(\.cause, to: newValue) }
    }

    /// Makes an error from its parts.
    public init(
        _ code: Code,
        _ message: String,
        quicCode: UInt64? = nil,
        isApplicationCode: Bool = false,
        isByPeer: Bool = false,
        cause: (any Error)? = nil
    ) {
        storage = Storage(
            Details(
                code: code,
                message: message,
                quicCode: quicCode,
                isApplicationCode: isApplicationCode,
                isByPeer: isByPeer,
                cause: cause
            )
        )
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
    /// One line: code, message, QUIC code, the stage of a dial, and the error underneath.
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
        if let dialStage { text += " [dialing: \(dialStage)]" }
        if let cause { text += " (because: \(cause))" }
        return text
    }
}
