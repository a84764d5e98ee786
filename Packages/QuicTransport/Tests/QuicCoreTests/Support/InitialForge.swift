import CGnuTLS

@testable import QuicCore

/// Seals and opens Initial packets of version 1, as anybody can: their keys follow from the destination
/// connection ID (RFC 9001 §5.2).
struct InitialForge {
    let destination: [UInt8]
    private let key: [UInt8]
    private let iv: [UInt8]
    private let headerKey: [UInt8]

    init(destination: [UInt8], isServer: Bool = false) {
        self.destination = destination
        let initial = Self.hmac(bytes("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), destination)
        let side = Self.expand(initial, isServer ? "server in" : "client in", 32)
        key = Self.expand(side, "quic key", 16)
        iv = Self.expand(side, "quic iv", 12)
        headerKey = Self.expand(side, "quic hp", 16)
    }

    /// An Initial with the frames in `payload`, padded until the datagram has `size` bytes. It is addressed to the ID that
    /// its keys follow from, or to `other`, as a server's is.
    func seal(
        _ payload: [UInt8],
        to other: [UInt8]? = nil,
        source: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8],
        token: [UInt8] = [],
        size: Int = 1200
    ) -> [UInt8] {
        let destination = other ?? destination
        var header: [UInt8] = [0xc3, 0, 0, 0, 1, UInt8(destination.count)] + destination
        header += [UInt8(source.count)] + source + Self.varint(token.count) + token
        let room = size - header.count - 2 - 4 - 16
        let plain = payload + [UInt8](repeating: 0, count: max(0, room - payload.count))
        header += Self.varint(4 + plain.count + 16)
        let numberOffset = header.count
        header += [0, 0, 0, 0]
        var packet = header + Self.aead(key, iv, header, plain)
        let mask = Self.block(headerKey, Array(packet[(numberOffset + 4)..<(numberOffset + 20)]))
        packet[0] ^= mask[0] & 0x0f
        for index in 0..<4 { packet[numberOffset + index] ^= mask[1 + index] }
        return packet
    }

    /// The frames of an Initial of the forge's side; `nil` if it does not open.
    func open(_ datagram: [UInt8]) throws -> [UInt8]? {
        let header = try parse(datagram, idLength: 8)
        guard header.kind == .initial, let token = header.tokenRange else { return nil }
        let numberOffset = token.upperBound + (1 << Int(datagram[token.upperBound] >> 6))
        let mask = Self.block(headerKey, Array(datagram[(numberOffset + 4)..<(numberOffset + 20)]))
        var packet = Array(datagram[..<header.end])
        packet[0] ^= mask[0] & 0x0f
        let numberLength = Int(packet[0] & 3) + 1
        var nonce = iv
        for index in 0..<numberLength {
            packet[numberOffset + index] ^= mask[1 + index]
            nonce[12 - numberLength + index] ^= packet[numberOffset + index]
        }
        let bodyOffset = numberOffset + numberLength
        let associated = Array(packet[..<bodyOffset])
        return Self.aead(key, nonce, associated, Array(packet[bodyOffset...]), opens: true)
    }

    /// A CRYPTO frame at offset 0.
    static func crypto(_ message: [UInt8]) -> [UInt8] { [0x06, 0] + varint(message.count) + message }

    /// The bytes of the CRYPTO frames in a payload, which has PADDING and PING besides.
    static func message(in payload: [UInt8]) -> [UInt8] {
        var pieces: [Int: [UInt8]] = [:]
        var rest = payload[...]
        while let type = rest.popFirst() {
            guard type == 6 else { continue }
            let offset = takeVarint(&rest)
            let length = takeVarint(&rest)
            pieces[offset] = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return pieces.sorted { $0.key < $1.key }.flatMap(\.value)
    }

    static func varint(_ value: Int) -> [UInt8] {
        value < 64 ? [UInt8(value)] : [0x40 | UInt8(value >> 8), UInt8(value & 0xff)]
    }

    static func takeVarint(_ bytes: inout ArraySlice<UInt8>) -> Int {
        let first = bytes.removeFirst()
        var value = Int(first & 0x3f)
        for _ in 1..<(1 << Int(first >> 6)) { value = value << 8 | Int(bytes.removeFirst()) }
        return value
    }

    // MARK: cryptography

    private static func hmac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        _ = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key.count, message, message.count, &digest)
        return digest
    }

    /// HKDF-Expand-Label (RFC 8446 §7.1) for at most one block of output.
    static func expand(_ secret: [UInt8], _ label: String, _ length: Int) -> [UInt8] {
        let name = Array("tls13 \(label)".utf8)
        return Array(hmac(secret, [0, UInt8(length), UInt8(name.count)] + name + [0, 1])[..<length])
    }

    private static func withDatum<Result>(_ bytes: [UInt8], _ body: (inout gnutls_datum_t) -> Result) -> Result {
        var copy = bytes
        return copy.withUnsafeMutableBufferPointer {
            var datum = gnutls_datum_t(data: $0.baseAddress, size: UInt32($0.count))
            return body(&datum)
        }
    }

    static func aead(
        _ key: [UInt8],
        _ nonce: [UInt8],
        _ associated: [UInt8],
        _ input: [UInt8],
        opens: Bool = false
    ) -> [UInt8] {
        var cipher: gnutls_aead_cipher_hd_t?
        _ = withDatum(key) { gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_GCM, &$0) }
        defer { gnutls_aead_cipher_deinit(cipher) }
        var output = [UInt8](repeating: 0, count: input.count + 16)
        var length = output.count
        let work = opens ? gnutls_aead_cipher_decrypt : gnutls_aead_cipher_encrypt
        let result = work(
            cipher,
            nonce,
            nonce.count,
            associated,
            associated.count,
            16,
            input,
            input.count,
            &output,
            &length
        )
        return result < 0 ? [] : Array(output[..<length])
    }

    /// One block of AES-128.
    static func block(_ key: [UInt8], _ input: [UInt8]) -> [UInt8] {
        var cipher: gnutls_cipher_hd_t?
        _ = withDatum(key) { key in
            withDatum([UInt8](repeating: 0, count: 16)) {
                gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &key, &$0)
            }
        }
        defer { gnutls_cipher_deinit(cipher) }
        var output = [UInt8](repeating: 0, count: 16)
        _ = gnutls_cipher_encrypt2(cipher, input, 16, &output, 16)
        return output
    }
}

/// A TLS ClientHello that can be taken apart and put together again (RFC 8446 §4.1.2).
struct ClientHello {
    static let transportParameters: UInt16 = 0x39

    /// Everything before the extensions, without the header of the message.
    var beginning: [UInt8]
    var extensions: [(type: UInt16, body: [UInt8])]
    /// The connection ID that the transport parameters name as that of the sender.
    let source: [UInt8]

    init(_ message: [UInt8], source: [UInt8]) {
        self.source = source
        var offset = 4 + 2 + 32
        offset += 1 + Int(message[offset])
        offset += 2 + (Int(message[offset]) << 8 | Int(message[offset + 1]))
        offset += 1 + Int(message[offset])
        beginning = Array(message[4..<offset])
        extensions = []
        offset += 2
        while offset + 4 <= message.count {
            let type = UInt16(message[offset]) << 8 | UInt16(message[offset + 1])
            let length = Int(message[offset + 2]) << 8 | Int(message[offset + 3])
            extensions.append((type, Array(message[(offset + 4)..<(offset + 4 + length)])))
            offset += 4 + length
        }
    }

    var message: [UInt8] {
        var list: [UInt8] = []
        for (type, body) in extensions {
            list += [UInt8(type >> 8), UInt8(type & 0xff), UInt8(body.count >> 8), UInt8(body.count & 0xff)] + body
        }
        let body = beginning + [UInt8(list.count >> 8), UInt8(list.count & 0xff)] + list
        return [1, UInt8(body.count >> 16), UInt8(body.count >> 8 & 0xff), UInt8(body.count & 0xff)] + body
    }

    /// The message with other transport parameters; `nil` leaves them out.
    func with(transportParameters body: [UInt8]?) -> ClientHello {
        var copy = self
        copy.extensions = extensions.compactMap { type, old in
            type == Self.transportParameters ? body.map { (type, $0) } : (type, old)
        }
        return copy
    }

    var transportParameters: [UInt8] { extensions.first { $0.type == Self.transportParameters }?.body ?? [] }

    /// What a client of this library sends first.
    static func captured() throws -> ClientHello {
        let client = try CoreNode(port: 999, seed: 999, accepts: false)
        let network = CoreNetwork(client)
        var sent: [[UInt8]] = []
        network.filter = { packet in
            sent.append(packet.bytes)
            return nil
        }
        let core = try client.endpoint.connect(
            to: .ip4(127, 0, 0, 1, port: 998),
            from: client.address,
            expecting: nil,
            now: network.now
        )
        network.service(core, of: client)
        let header = try parse(sent[0], idLength: 8)
        let forge = InitialForge(destination: header.destinationID?.bytes ?? [])
        let payload = try sent.compactMap { try forge.open($0) }.flatMap { $0 }
        return ClientHello(InitialForge.message(in: payload), source: header.sourceID?.bytes ?? [])
    }

    /// An Initial to a connection ID that bears the message.
    func initial(to destination: [UInt8], token: [UInt8] = [], size: Int = 1200) -> [UInt8] {
        InitialForge(destination: destination)
            .seal(InitialForge.crypto(message), source: source, token: token, size: size)
    }
}
