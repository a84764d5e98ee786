internal import CNgtcp2Shims

extension QuicConfiguration {
    /// What seals and opens packets with AES-GCM (RFC 9001 §5.3), and masks their headers (§5.4.3). Only the packets after the
    /// handshake differ; the handshake itself is GnuTLS's in any case, and so is everything where the peers agree on ChaCha20.
    public enum PacketProtection: String, Sendable, Hashable, CaseIterable {
        /// ``ipsecMB`` where it can be used, else ``gnutls``.
        case automatic
        /// GnuTLS, which is always there.
        case gnutls
        /// Intel's ipsec-mb, which uses wider registers: on processors with VAES and AVX-512 a full packet takes a quarter of
        /// GnuTLS's time, on those with AVX2 three quarters. Linux on x86-64; Debian's `libipsec-mb-dev` has to be there when
        /// this package is built, and its library when it runs. Where that is not so, the configuration is not valid.
        case ipsecMB

        /// What this comes to on this machine: ``gnutls`` or ``ipsecMB``. The first time, it loads the library and has it test
        /// itself, which takes some milliseconds at most.
        public var resolved: PacketProtection {
            switch self {
            case .gnutls: .gnutls
            case .automatic, .ipsecMB: Self.ipsecMBObstacle == nil ? .ipsecMB : .gnutls
            }
        }

        /// Why ``ipsecMB`` cannot be used on this machine, to follow its name in a sentence; `nil` if it can.
        public static var ipsecMBObstacle: String? { lp2p_ipsec_mb_obstacle().map { String(cString: $0) } }

        /// For people: the name, and of ipsec-mb its version.
        package var inUse: String {
            guard resolved == .ipsecMB else { return "gnutls" }
            return lp2p_ipsec_mb_version().map { "ipsec-mb \(String(cString: $0))" } ?? "ipsec-mb"
        }
    }
}

extension lp2p_protection {
    init(_ protection: QuicConfiguration.PacketProtection) {
        self = protection.resolved == .ipsecMB ? LP2P_PROTECTION_IPSEC_MB : LP2P_PROTECTION_GNUTLS
    }
}
