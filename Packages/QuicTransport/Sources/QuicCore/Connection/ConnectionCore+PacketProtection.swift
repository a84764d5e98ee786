internal import CNgtcp2Shims

extension ConnectionCore {
    /// What protects the packets of this connection after the handshake: ``QuicConfiguration/PacketProtection/gnutls`` or
    /// ``QuicConfiguration/PacketProtection/ipsecMB``. The former until there are keys, and where the peers have agreed on
    /// ChaCha20.
    public var packetProtection: QuicConfiguration.PacketProtection {
        guard let pointer else { return .gnutls }
        return lp2p_conn_protection(pointer) == LP2P_PROTECTION_IPSEC_MB ? .ipsecMB : .gnutls
    }
}
