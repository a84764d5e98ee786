/// An error code of the QUIC transport (RFC 9000 §20.1), as `CONNECTION_CLOSE` frames of type 0x1c carry it.
///
/// An open number: any 62-bit value can arrive from the wire.
public struct QuicErrorCode: RawRepresentable, Sendable, Hashable {
    /// The number on the wire, at most 2^62 − 1.
    public var rawValue: UInt64

    /// Wraps a number from the wire.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The connection closes without an error.
    public static let noError = QuicErrorCode(rawValue: 0x00)
    /// The endpoint met an internal error and cannot go on.
    public static let internalError = QuicErrorCode(rawValue: 0x01)
    /// The server refuses a new connection.
    public static let connectionRefused = QuicErrorCode(rawValue: 0x02)
    /// More data was received than the advertised windows permit.
    public static let flowControlError = QuicErrorCode(rawValue: 0x03)
    /// A stream was opened above the advertised number of streams.
    public static let streamLimitError = QuicErrorCode(rawValue: 0x04)
    /// A frame arrived for a stream in whose state it is not permitted.
    public static let streamStateError = QuicErrorCode(rawValue: 0x05)
    /// Data arrived behind the final size of a stream, or the final size changed.
    public static let finalSizeError = QuicErrorCode(rawValue: 0x06)
    /// A frame was badly formatted or its type is unknown.
    public static let frameEncodingError = QuicErrorCode(rawValue: 0x07)
    /// The transport parameters are badly formatted, missing or invalid.
    public static let transportParameterError = QuicErrorCode(rawValue: 0x08)
    /// The peer provides more connection IDs than were asked for.
    public static let connectionIDLimitError = QuicErrorCode(rawValue: 0x09)
    /// The peer broke the protocol in a way that no other code describes.
    public static let protocolViolation = QuicErrorCode(rawValue: 0x0a)
    /// A client's Initial bears an invalid Retry token.
    public static let invalidToken = QuicErrorCode(rawValue: 0x0b)
    /// The application made the connection close while the handshake was not finished.
    public static let applicationError = QuicErrorCode(rawValue: 0x0c)
    /// More data arrived in CRYPTO frames than can be buffered.
    public static let cryptoBufferExceeded = QuicErrorCode(rawValue: 0x0d)
    /// An update of the packet protection keys went wrong.
    public static let keyUpdateError = QuicErrorCode(rawValue: 0x0e)
    /// The confidentiality or integrity limit of the AEAD is reached.
    public static let aeadLimitReached = QuicErrorCode(rawValue: 0x0f)
    /// No network path is able to carry QUIC.
    public static let noViablePath = QuicErrorCode(rawValue: 0x10)
    /// Version negotiation failed (RFC 9368 §8).
    public static let versionNegotiationError = QuicErrorCode(rawValue: 0x11)

    /// The TLS handshake failed with this alert: 0x100 + the alert's number (RFC 9001 §4.8).
    public static func crypto(alert: UInt8) -> QuicErrorCode {
        QuicErrorCode(rawValue: 0x100 + UInt64(alert))
    }

    /// The TLS alert of a crypto error (0x100 to 0x1ff), else `nil`.
    public var tlsAlert: UInt8? {
        rawValue >> 8 == 1 ? UInt8(truncatingIfNeeded: rawValue) : nil
    }

    /// The name that RFC 9000 §20.1 gives the code, else `nil`. Crypto errors are named with their alert.
    public var name: String? {
        if let tlsAlert {
            return "CRYPTO_ERROR (TLS alert \(tlsAlert)\(Self.alertNames[tlsAlert].map { ", \($0)" } ?? ""))"
        }
        guard rawValue < UInt64(Self.names.count) else { return nil }
        return Self.names[Int(rawValue)]
    }

    private static let names = [
        "NO_ERROR", "INTERNAL_ERROR", "CONNECTION_REFUSED", "FLOW_CONTROL_ERROR", "STREAM_LIMIT_ERROR",
        "STREAM_STATE_ERROR", "FINAL_SIZE_ERROR", "FRAME_ENCODING_ERROR", "TRANSPORT_PARAMETER_ERROR",
        "CONNECTION_ID_LIMIT_ERROR", "PROTOCOL_VIOLATION", "INVALID_TOKEN", "APPLICATION_ERROR",
        "CRYPTO_BUFFER_EXCEEDED", "KEY_UPDATE_ERROR", "AEAD_LIMIT_REACHED", "NO_VIABLE_PATH",
        "VERSION_NEGOTIATION_ERROR",
    ]

    /// The alerts a TLS 1.3 peer sends (RFC 8446 §6).
    private static let alertNames: [UInt8: String] = [
        10: "unexpected_message", 20: "bad_record_mac", 40: "handshake_failure", 42: "bad_certificate",
        43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
        46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied",
        50: "decode_error", 51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security",
        80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled", 109: "missing_extension",
        110: "unsupported_extension", 112: "unrecognized_name", 115: "unknown_psk_identity",
        116: "certificate_required", 120: "no_application_protocol",
    ]
}

extension QuicErrorCode: CustomStringConvertible {
    /// The number in hexadecimal and, where there is one, the name.
    public var description: String {
        let number = "0x" + String(rawValue, radix: 16)
        return name.map { "\(number) \($0)" } ?? number
    }
}
