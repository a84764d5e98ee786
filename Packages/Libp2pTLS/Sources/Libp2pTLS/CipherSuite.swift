/// A cipher suite of TLS 1.3 (RFC 8446 §B.4), under its registered name. The cases stand in the default order.
public enum CipherSuite: String, Sendable, Hashable, CaseIterable {
    /// AES with 128 bits. Every implementation has it.
    case aes128 = "TLS_AES_128_GCM_SHA256"
    /// AES with 256 bits.
    case aes256 = "TLS_AES_256_GCM_SHA384"
    /// ChaCha20 with Poly1305: the faster one on processors without AES instructions.
    case chaCha20 = "TLS_CHACHA20_POLY1305_SHA256"

    /// What GnuTLS calls it in priority strings.
    var priorityName: String {
        switch self {
        case .aes128: "AES-128-GCM"
        case .aes256: "AES-256-GCM"
        case .chaCha20: "CHACHA20-POLY1305"
        }
    }
}
