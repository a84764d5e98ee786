internal import CNgtcp2Shims

/// A QUIC version, as the long header carries it (RFC 9000 §15).
public struct QuicVersion: RawRepresentable, Sendable, Hashable {
    /// The number on the wire.
    public var rawValue: UInt32

    /// Wraps a number from the wire.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Version 0, which marks a Version Negotiation packet and is no version (RFC 8999 §6).
    public static let negotiation = QuicVersion(rawValue: 0)
    /// QUIC version 1 (RFC 9000).
    public static let v1 = QuicVersion(rawValue: 0x0000_0001)
    /// QUIC version 2 (RFC 9369).
    public static let v2 = QuicVersion(rawValue: 0x6b33_43cf)
    /// Draft 29, which the multiaddr protocol `/quic` means.
    public static let draft29 = QuicVersion(rawValue: 0xff00_001d)

    /// Whether the number is that of a draft of version 1 (RFC 9000 §15: `0xff0000…`).
    public var isDraftOfVersion1: Bool { rawValue >> 8 == 0xff_0000 }

    /// Whether the installed QUIC library speaks the version.
    public var isInstalled: Bool { lp2p_version_is_supported(rawValue) != 0 }

    /// The version of the installed QUIC library, such as `1.11.0`.
    public static var libraryVersion: String { String(cString: lp2p_library_version()) }

    /// Whether the number is one of those reserved to exercise version negotiation (RFC 9000 §15: `0x?a?a?a?a`).
    public var isReserved: Bool { rawValue & 0x0f0f_0f0f == 0x0a0a_0a0a }
}

extension QuicVersion: CustomStringConvertible {
    /// The number in hexadecimal.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}
