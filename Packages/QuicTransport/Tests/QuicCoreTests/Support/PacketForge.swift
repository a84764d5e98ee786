import CGnuTLS
import Synchronization

@testable import QuicCore

/// Seals 0-RTT, Handshake and 1-RTT packets with any frames, with the secrets of a connection (RFC 9001 §5). The cipher suite is
/// TLS_AES_128_GCM_SHA256.
struct PacketForge {
    private let key: [UInt8]
    private let iv: [UInt8]
    private let headerKey: [UInt8]

    init(secret: [UInt8]) {
        key = InitialForge.expand(secret, "quic key", 16)
        iv = InitialForge.expand(secret, "quic iv", 12)
        headerKey = InitialForge.expand(secret, "quic hp", 16)
    }

    /// A Handshake packet of version 1.
    func handshake(_ payload: [UInt8], to destination: [UInt8], from source: [UInt8], number: UInt32) -> [UInt8] {
        long(0xe3, payload, to: destination, from: source, number: number)
    }

    /// A 0-RTT packet of version 1.
    func zeroRTT(_ payload: [UInt8], to destination: [UInt8], from source: [UInt8], number: UInt32) -> [UInt8] {
        long(0xd3, payload, to: destination, from: source, number: number)
    }

    private func long(
        _ first: UInt8,
        _ payload: [UInt8],
        to destination: [UInt8],
        from source: [UInt8],
        number: UInt32
    ) -> [UInt8] {
        var header: [UInt8] = [first, 0, 0, 0, 1, UInt8(destination.count)] + destination
        header += [UInt8(source.count)] + source + InitialForge.varint(4 + payload.count + 16)
        return seal(header, payload, number, protecting: 0x0f)
    }

    /// A 1-RTT packet of the first key phase.
    func oneRTT(_ payload: [UInt8], to destination: [UInt8], number: UInt32) -> [UInt8] {
        seal([0x43] + destination, payload, number, protecting: 0x1f)
    }

    private func seal(_ start: [UInt8], _ plain: [UInt8], _ number: UInt32, protecting bits: UInt8) -> [UInt8] {
        let numberBytes = withUnsafeBytes(of: number.bigEndian) { Array($0) }
        // A number of four bytes leaves enough to sample, whatever the payload (RFC 9001 §5.4.2).
        let header = start + numberBytes
        var nonce = iv
        for index in 0..<4 { nonce[8 + index] ^= numberBytes[index] }
        var packet = header + InitialForge.aead(key, nonce, header, plain)
        let mask = InitialForge.block(headerKey, Array(packet[header.count..<(header.count + 16)]))
        packet[0] ^= mask[0] & bits
        for index in 0..<4 { packet[start.count + index] ^= mask[1 + index] }
        return packet
    }
}

/// The secrets of a session as GnuTLS tells them, by the labels of key logs.
enum ToldSecrets {
    private static let all = Mutex<[UInt: [String: [UInt8]]]>([:])

    /// Notes the secrets of a session from now on.
    static func listen(to session: OpaquePointer) {
        let key = UInt(bitPattern: session)
        all.withLock { $0[key] = [:] }
        gnutls_session_set_keylog_function(session) { session, label, secret in
            guard let session, let label, let secret else { return 0 }
            let bytes = Array(UnsafeBufferPointer(start: secret.pointee.data, count: Int(secret.pointee.size)))
            ToldSecrets.note(UInt(bitPattern: session), String(cString: label), bytes)
            return 0
        }
    }

    private static func note(_ session: UInt, _ label: String, _ secret: [UInt8]) {
        all.withLock { $0[session]?[label] = secret }
    }

    /// The secrets told so far, which are forgotten.
    static func take(of session: OpaquePointer) -> [String: [UInt8]] {
        all.withLock { $0.removeValue(forKey: UInt(bitPattern: session)) } ?? [:]
    }
}
