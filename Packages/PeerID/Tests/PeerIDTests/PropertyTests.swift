import Multiaddr
import PeerID
import Testing

@Suite struct PropertyTests {
    @Test func peerIDsRoundTripThroughEveryText() throws {
        try forAll("peer ID, text and CID") { generator in
            let isInline = Bool.random(using: &generator)
            let digest = generator.bytes(isInline ? Int.random(in: 0...42, using: &generator) : 32)
            let bytes = [isInline ? 0x00 : 0x12, UInt8(digest.count)] + digest
            let id = try PeerID(bytes: bytes)
            let base = Multibase.allCases.randomElement(using: &generator) ?? .base32
            #expect(id.bytes == bytes)
            #expect(try PeerID(parsing: id.description) == id)
            #expect(try PeerID(parsing: id.cid(in: base)) == id, "\(base) \(id)")
            _ = id.inlinePublicKey
        }
    }

    @Test func ed25519KeysRoundTripThroughProtobufAndID() throws {
        try forAll("Ed25519 key and protobuf") { generator in
            let key = try PrivateKey.ed25519(seed: generator.bytes(32))
            #expect(try PrivateKey(protobuf: key.protobuf) == key)
            #expect(try PublicKey(protobuf: key.publicKey.protobuf) == key.publicKey)
            #expect(key.peerID.inlinePublicKey == key.publicKey)
        }
    }

    @Test func secp256k1KeysRoundTripThroughProtobufAndID() throws {
        try forAll("secp256k1 key and protobuf") { generator in
            let key = try PrivateKey(type: .secp256k1, rawBytes: generator.bytes(32))
            let again = try PrivateKey(protobuf: key.protobuf)
            #expect(again == key && again.publicKey == key.publicKey)
            #expect(key.peerID.inlinePublicKey == key.publicKey)
        }
    }

    /// Making a key takes a tenth of a second or more.
    @Test func freshRSAKeysRoundTripThroughProtobuf() throws {
        try forAll("RSA key and protobuf", cases: 10) { _ in
            let key = try PrivateKey.rsa()
            let again = try PrivateKey(protobuf: key.protobuf)
            #expect(again == key && again.publicKey == key.publicKey && again.protobuf == key.protobuf)
            #expect(try PublicKey(protobuf: key.publicKey.protobuf) == key.publicKey)
        }
    }

    /// Making and checking a key takes a millisecond and more, most of it for P-521.
    @Test func freshECDSAKeysRoundTripThroughProtobuf() throws {
        try forAll("ECDSA key and protobuf", cases: 300) { generator in
            let curve = ECDSACurve.allCases.randomElement(using: &generator) ?? .p256
            let key = try PrivateKey.ecdsa(curve)
            let again = try PrivateKey(protobuf: key.protobuf)
            #expect(again == key && again.publicKey == key.publicKey && again.protobuf == key.protobuf)
            #expect(try PublicKey(protobuf: key.publicKey.protobuf) == key.publicKey)
        }
    }

    @Test func randomBytesAreRefusedOrReadCanonically() {
        forAll("random bytes") { generator in
            let bytes = generator.bytes(Int.random(in: 0...64, using: &generator))
            check(bytes)
            if let id = try? PeerID(bytes: bytes) { #expect(id.bytes == bytes) }
            _ = PeerID(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test func alteredKeysAreRefusedOrReadCanonically() {
        let originals = sampleKeys.filter { $0.type != .rsa }.flatMap { [$0.protobuf, $0.publicKey.protobuf] }
        forAll("altered keys") { generator in
            guard var bytes = originals.randomElement(using: &generator) else { return }
            for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0...3, using: &generator) {
                case 0: bytes[position] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                case 1: bytes.remove(at: position)
                case 2: bytes.insert(contentsOf: generator.bytes(2), at: position)
                default: bytes.removeLast(bytes.count - position)
                }
            }
            check(bytes)
        }
    }

    /// Whatever is accepted must encode to one form that is accepted again as the same key.
    private func check(_ bytes: [UInt8]) {
        if let key = try? PublicKey(protobuf: bytes) {
            #expect((try? PublicKey(protobuf: key.protobuf)) == key)
        }
        if let key = try? PrivateKey(protobuf: bytes) {
            #expect((try? PrivateKey(protobuf: key.protobuf)) == key)
        }
    }
}
