import Multiaddr
import PeerID
import Testing

@Suite struct KeyVectorTests {
    struct SpecFile: Decodable {
        struct Forms: Decodable {
            var multihashHex: String
            var base58btc: String
            var cidV1Base32: String
            var cidV1Base36: String
            var cidV1Base58btc: String
        }
        struct Vector: Decodable {
            var name: String
            var keyType: String
            var publicKeyProtobufHex: String
            var privateKeyProtobufHex: String
            var publicKeyDataHex: String
            var peerID: Forms

            enum CodingKeys: String, CodingKey {
                case name, keyType, publicKeyProtobufHex, privateKeyProtobufHex, publicKeyDataHex
                case peerID = "peerId (computed here)"
            }
        }
        var vectors: [Vector]
    }

    struct ForeignFile: Decodable {
        struct Vector: Decodable {
            var name: String
            var privateKeyProtobufHex: String
            var publicKeyProtobufHex: String
            var peerID: String
            var messageHex: String
            var signatureHex: String
            var deterministic: Bool
        }
        var vectors: [Vector]
    }

    struct RejectionFile: Decodable {
        struct Vector: Decodable {
            var name: String
            var kind: String
            var protobufHex: String
            var code: String
            var why: String
        }
        var vectors: [Vector]
    }

    @Test func keysOfTheSpecificationDecodeAndEncodeToTheSameBytes() throws {
        let file = try vectors("peer_id_keys_spec", as: SpecFile.self)
        #expect(file.vectors.count == 4)
        for vector in file.vectors {
            let key = try PrivateKey(protobuf: hex(vector.privateKeyProtobufHex))
            #expect(key.protobuf == hex(vector.privateKeyProtobufHex), "\(vector.name)")
            #expect(key.publicKey.protobuf == hex(vector.publicKeyProtobufHex), "\(vector.name)")
            #expect(key.publicKey.rawBytes == hex(vector.publicKeyDataHex), "\(vector.name)")
            #expect(key.type.description == vector.keyType)
            #expect(try PublicKey(protobuf: hex(vector.publicKeyProtobufHex)) == key.publicKey)

            let id = key.peerID
            #expect(id.bytes == hex(vector.peerID.multihashHex))
            #expect(id.description == vector.peerID.base58btc)
            #expect(id.cid == vector.peerID.cidV1Base32)
            #expect(id.cid(in: .base36) == vector.peerID.cidV1Base36)
            #expect(id.cid(in: .base58btc) == vector.peerID.cidV1Base58btc)
            #expect(id.matches(key.publicKey))
            #expect(id.inlinePublicKey == (id.bytes[0] == 0 ? key.publicKey : nil))

            let message = Array("signed by the specification's key".utf8)
            #expect(key.publicKey.isValidSignature(try key.sign(message), for: message), "\(vector.name)")
        }
    }

    @Test func keysAndSignaturesOfOtherLibrariesAreUnderstood() throws {
        for vector in try vectors("foreign_keys", as: ForeignFile.self).vectors {
            let key = try PrivateKey(protobuf: hex(vector.privateKeyProtobufHex))
            let message = hex(vector.messageHex)
            #expect(key.protobuf == hex(vector.privateKeyProtobufHex), "\(vector.name)")
            #expect(key.publicKey.protobuf == hex(vector.publicKeyProtobufHex), "\(vector.name)")
            #expect(key.peerID.description == vector.peerID, "\(vector.name)")
            #expect(key.publicKey.isValidSignature(hex(vector.signatureHex), for: message), "\(vector.name)")
            let signature = try key.sign(message)
            #expect(key.publicKey.isValidSignature(signature, for: message), "\(vector.name)")
            if vector.deterministic { #expect(signature == hex(vector.signatureHex), "\(vector.name)") }
        }
    }

    @Test func damagedWeakAndForgedKeysAreRefusedWithTheRightCode() throws {
        for vector in try vectors("key_rejections", as: RejectionFile.self).vectors {
            let bytes = hex(vector.protobufHex)
            let found = code {
                vector.kind == "public"
                    ? try PublicKey(protobuf: bytes).protobuf : try PrivateKey(protobuf: bytes).publicKey.protobuf
            }
            #expect(found?.description == vector.code, "\(vector.name): \(vector.why)")
        }
    }
}
