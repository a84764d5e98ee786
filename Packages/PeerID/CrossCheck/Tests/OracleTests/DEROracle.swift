import CGnuTLS
import PeerID
import SwiftASN1
import SwiftProtobuf
import Testing

/// A SubjectPublicKeyInfo read by swift-asn1: the algorithm, its parameters, and the key's bytes.
private struct PublicKeyInfo: DERImplicitlyTaggable, Equatable {
    static let defaultIdentifier: ASN1Identifier = .sequence
    var algorithm: ASN1ObjectIdentifier
    var parameters: ASN1Any?
    var key: ASN1BitString

    init(derEncoded node: ASN1Node, withIdentifier identifier: ASN1Identifier) throws {
        (algorithm, parameters, key) = try DER.sequence(node, identifier: identifier) { nodes in
            guard let first = nodes.next() else { throw Missing() }
            let (algorithm, parameters) = try DER.sequence(first, identifier: .sequence) { inner in
                (try ASN1ObjectIdentifier(derEncoded: &inner), inner.next().map { ASN1Any(derEncoded: $0) })
            }
            return (algorithm, parameters, try ASN1BitString(derEncoded: &nodes))
        }
    }

    func serialize(into coder: inout DER.Serializer, withIdentifier identifier: ASN1Identifier) throws {
        try coder.appendConstructedNode(identifier: identifier) { coder in
            try coder.appendConstructedNode(identifier: .sequence) { coder in
                try coder.serialize(algorithm)
                if let parameters { try coder.serialize(parameters) }
            }
            try coder.serialize(key)
        }
    }
}

/// A SEQUENCE that ends too early.
private struct Missing: Error {}

/// Modulus and exponent (RFC 8017 A.1.1).
private func rsaNumbers(_ der: ArraySlice<UInt8>) throws -> (ArraySlice<UInt8>, ArraySlice<UInt8>) {
    try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
        (try ArraySlice<UInt8>(derEncoded: &nodes), try ArraySlice<UInt8>(derEncoded: &nodes))
    }
}

/// What GnuTLS says of a key: the algorithm and the bits, nil when it refuses it.
private func gnutls(_ der: [UInt8]) -> (algorithm: Int32, bits: UInt32)? {
    var key: gnutls_pubkey_t?
    guard gnutls_pubkey_init(&key) >= 0 else { return nil }
    defer { gnutls_pubkey_deinit(key) }
    var copy = der
    let status = copy.withUnsafeMutableBufferPointer { bytes in
        var datum = gnutls_datum_t(data: bytes.baseAddress, size: UInt32(bytes.count))
        return gnutls_pubkey_import(key, &datum, GNUTLS_X509_FMT_DER)
    }
    guard status >= 0 else { return nil }
    var bits: UInt32 = 0
    return (gnutls_pubkey_get_pk_algorithm(key, &bits), bits)
}

@Suite struct DEROracle {
    static let keys = KeyMessageOracle.keys.filter { $0.type == .rsa || $0.type == .ecdsa }

    @Test func keysAreTheDERThatBothLibrariesWrite() throws {
        #expect(Self.keys.count == 4)
        for key in Self.keys.map(\.publicKey) {
            let info = try PublicKeyInfo(derEncoded: key.rawBytes)
            var serializer = DER.Serializer()
            try serializer.serialize(info)
            #expect(serializer.serializedBytes == key.rawBytes)
            let read = try #require(gnutls(key.rawBytes))
            if key.type == .rsa {
                let (modulus, exponent) = try rsaNumbers(info.key.bytes)
                #expect(modulus.drop { $0 == 0 }.count * 8 == Int(read.bits) && read.bits == 2048)
                #expect(Array(exponent) == [1, 0, 1])
                #expect(info.algorithm == [1, 2, 840, 113549, 1, 1, 1])
            } else {
                #expect(info.algorithm == [1, 2, 840, 10045, 2, 1])
                // GnuTLS counts the bits of whole bytes.
                #expect([256, 384, 528].contains(read.bits))
            }
        }
    }

    @Test func damagedKeysAreReadOnlyWhereBothLibrariesReadThem() throws {
        var random = Random.announced("damaged DER")
        var (accepted, refused) = (0, 0)
        for _ in 0..<20_000 {
            guard let key = Self.keys.randomElement(using: &random)?.publicKey else { return }
            var der = key.rawBytes
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                // Often in the headers, where it matters.
                let limit = Bool.random(using: &random) ? min(40, der.count) : der.count
                let index = Int.random(in: 0..<limit, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: der.remove(at: index)
                case 1: der.insert(UInt8.random(in: 0...255, using: &random), at: index)
                case 2: der.append(0)
                default: der[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            guard let ours = try? PublicKey(type: key.type, rawBytes: der) else {
                refused += 1
                continue
            }
            accepted += 1
            #expect(ours.rawBytes == der)
            let info = try? PublicKeyInfo(derEncoded: der)
            #expect(info != nil, "swift-asn1 refuses \(hex(der))")
            if key.type == .rsa, let info {
                #expect((try? rsaNumbers(info.key.bytes)) != nil, "swift-asn1 refuses the numbers of \(hex(der))")
            }
            #expect(gnutls(der) != nil, "GnuTLS refuses \(hex(der))")
        }
        print("damaged DER: \(accepted) still keys, \(refused) refused")
        #expect(accepted > 100 && refused > 1000)
    }

    @Test func privateKeysAreTheDERThatSwiftASN1Reads() throws {
        for key in Self.keys {
            let message = try KeyMessage(serializedBytes: key.protobuf)
            let der = [UInt8](try #require(message.data))
            if key.type == .rsa {
                let numbers = try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
                    try (0..<9).map { _ in try ArraySlice<UInt8>(derEncoded: &nodes) }
                }
                #expect(numbers[0].allSatisfy { $0 == 0 } && Array(numbers[2]) == [1, 0, 1])
                let info = try PublicKeyInfo(derEncoded: key.publicKey.rawBytes)
                #expect(try rsaNumbers(info.key.bytes) == (numbers[1], numbers[2]))
            } else {
                let point = try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
                    #expect(try Int(derEncoded: &nodes) == 1)
                    _ = try ASN1OctetString(derEncoded: &nodes)
                    _ = try DER.explicitlyTagged(&nodes, tagNumber: 0, tagClass: .contextSpecific) { node in
                        try ASN1ObjectIdentifier(derEncoded: node)
                    }
                    return try DER.explicitlyTagged(&nodes, tagNumber: 1, tagClass: .contextSpecific) { node in
                        try ASN1BitString(derEncoded: node)
                    }
                }
                #expect(try PublicKeyInfo(derEncoded: key.publicKey.rawBytes).key == point)
            }
        }
    }
}
