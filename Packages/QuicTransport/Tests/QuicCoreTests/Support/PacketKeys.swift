import CNgtcp2Shims

@testable import QuicCore

/// The keys of one direction, by themselves, as connections use them.
final class PacketKeys {
    private let keys: OpaquePointer

    /// `nil` where that kind cannot be used.
    init?(_ kind: lp2p_protection, key: [UInt8], headerKey: [UInt8]) {
        guard let made = lp2p_packet_keys_new(kind, key, headerKey, key.count) else { return nil }
        keys = made
    }

    deinit { lp2p_packet_keys_delete(keys) }

    var expandedBytes: Int { lp2p_packet_keys_expanded(keys) }

    func seal(_ plaintext: [UInt8], nonce: [UInt8], associated: [UInt8]) -> [UInt8]? {
        var sealed = [UInt8](repeating: 0xee, count: plaintext.count + 16)
        let rv = lp2p_packet_keys_seal(keys, &sealed, plaintext, plaintext.count, nonce, associated, associated.count)
        return rv == 0 ? sealed : nil
    }

    /// The plaintext, or `nil` and what was left at its place.
    func open(_ sealed: [UInt8], nonce: [UInt8], associated: [UInt8]) -> (plaintext: [UInt8]?, left: [UInt8]) {
        var opened = [UInt8](repeating: 0xee, count: max(sealed.count - 16, 0))
        let rv = lp2p_packet_keys_open(keys, &opened, sealed, sealed.count, nonce, associated, associated.count)
        return (rv == 0 ? opened : nil, opened)
    }

    /// Both in place, in memory of the caller's.
    func sealInPlace(_ memory: UnsafeMutablePointer<UInt8>, count: Int, nonce: [UInt8], associated: [UInt8]) -> Bool {
        lp2p_packet_keys_seal(keys, memory, memory, count, nonce, associated, associated.count) == 0
    }

    func openInPlace(_ memory: UnsafeMutablePointer<UInt8>, count: Int, nonce: [UInt8], associated: [UInt8]) -> Bool {
        lp2p_packet_keys_open(keys, memory, memory, count, nonce, associated, associated.count) == 0
    }

    func mask(_ sample: [UInt8]) -> [UInt8]? {
        var mask = [UInt8](repeating: 0, count: 16)
        return lp2p_packet_keys_mask(keys, &mask, sample) == 0 ? Array(mask[..<5]) : nil
    }
}

/// What can be used on this machine; GnuTLS always.
let usableProtections: [lp2p_protection] =
    QuicConfiguration.PacketProtection.ipsecMBObstacle == nil
    ? [LP2P_PROTECTION_GNUTLS, LP2P_PROTECTION_IPSEC_MB] : [LP2P_PROTECTION_GNUTLS]
