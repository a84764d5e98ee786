import Foundation
import Multiaddr
import PeerID
import Testing

/// The one encoding of the key message, and what keys keep to themselves.
@Suite struct EncodingTests {
    let key = PrivateKey.ed25519()

    @Test func aKeyHasOneEncodingOnly() throws {
        let raw = key.publicKey.rawBytes
        let type: [UInt8] = [0x08, 0x01]
        let data = [0x12, 0x20] + raw
        #expect(try PublicKey(protobuf: type + data) == key.publicKey)
        let others: [(String, [UInt8])] = [
            ("empty", []),
            ("without data", type),
            ("without type", data),
            ("reordered", data + type),
            ("repeated type", type + type + data),
            ("repeated type, another first", [0x08, 0x00] + type + data),
            ("repeated data", type + data + data),
            ("repeated data, another first", type + [0x12, 0x03, 1, 2, 3] + data),
            ("unknown varint before", [0x18, 0xff, 0x01] + type + data),
            ("unknown varint between", type + [0x18, 0xff, 0x01] + data),
            ("unknown bytes after", type + data + [0x1a, 0x03, 1, 2, 3]),
            ("unknown 32 bits", [0x25, 1, 2, 3, 4] + type + data),
            ("unknown 64 bits", [0x21, 1, 2, 3, 4, 5, 6, 7, 8] + type + data),
            ("largest field number", type + data + [0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00]),
            ("group", [0x0b, 0x0c] + type + data),
            ("type as bytes", [0x0a, 0x01, 0x01] + data),
            ("type as 32 bits", [0x0d, 1, 0, 0, 0] + data),
            ("data as varint", type + [0x10, 0x20] + raw),
            ("long tag of type", [0x88, 0x00, 0x01] + data),
            ("long type", [0x08, 0x81, 0x00] + data),
            ("long tag of data", type + [0x92, 0x00, 0x20] + raw),
            ("long length", type + [0x12, 0xa0, 0x80, 0x00] + raw),
            ("type of ten bytes", [0x08, 0x81] + [UInt8](repeating: 0x80, count: 8) + [0x00] + data),
            ("type of 65 bits", [0x08] + [UInt8](repeating: 0xff, count: 9) + [0x02] + data),
            ("type without end", [0x08, 0x81]),
            ("length without end", type + [0x12, 0xa0]),
            ("one byte after", type + data + [0x00]),
            ("one byte less", type + data.dropLast()),
            ("length near 2^63", type + [0x12] + [UInt8](repeating: 0xff, count: 8) + [0x7f] + raw),
            ("length of 2^64 - 1", type + [0x12] + [UInt8](repeating: 0xff, count: 9) + [0x01] + raw),
        ]
        for (name, bytes) in others {
            #expect(code { try PublicKey(protobuf: bytes) } == .malformedProtobuf, "public key, \(name)")
            #expect(code { try PrivateKey(protobuf: bytes) } == .malformedProtobuf, "private key, \(name)")
        }
    }

    @Test func ed25519KeysOf96BytesAreStoredAs64() throws {
        let canonical = key.protobuf
        let old = [0x08, 0x01, 0x12, 0x60] + canonical[4...] + key.publicKey.rawBytes
        let decoded = try PrivateKey(protobuf: old)
        #expect(decoded == key)
        #expect(decoded.protobuf == canonical)
    }

    @Test func aSeedAlwaysGivesTheSameKey() throws {
        // RFC 8032 §7.1, test 2.
        let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
        let key = try PrivateKey.ed25519(seed: seed)
        #expect(key.publicKey.rawBytes == hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
        let expected = hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
        #expect(try key.sign([0x72]) == expected)
        for count in [0, 31, 33, 64] {
            #expect(code { try PrivateKey.ed25519(seed: [UInt8](repeating: 1, count: count)) } == .malformedKey)
        }
    }

    @Test func uncompressedSecp256k1KeysAreStoredCompressed() throws {
        // The generator of the group, whose coordinates SEC 2 lists.
        let x = hex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
        let y = hex("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")
        let compressed = try PublicKey(type: .secp256k1, rawBytes: [0x02] + x)
        let uncompressed = try PublicKey(type: .secp256k1, rawBytes: [0x04] + x + y)
        #expect(compressed == uncompressed)
        #expect(uncompressed.rawBytes == [0x02] + x)
        #expect(uncompressed.peerID == compressed.peerID)
        var one = [UInt8](repeating: 0, count: 32)
        one[31] = 1
        #expect(try PrivateKey(type: .secp256k1, rawBytes: one).publicKey == compressed)
    }

    @Test func rsaSizesOutsideTheLimitsAreRefusedBeforeAnyWork() {
        for bits in [Int.min, -1, 0, 512, 1024, 2047, 8193, 16384, .max] {
            #expect(code { try PrivateKey.rsa(bits: bits) } == .keySizeNotAllowed)
        }
    }

    @Test func unknownKeyTypesAreRefused() {
        let type = KeyType(rawValue: 4)
        #expect(!type.isSupported)
        #expect(code { try PublicKey(type: type, rawBytes: [1]) } == .unsupportedKeyType)
        #expect(code { try PrivateKey(type: type, rawBytes: [1]) } == .unsupportedKeyType)
    }

    @Test func printingAPrivateKeyShowsNothingSecret() {
        for key in sampleKeys {
            var dumped = ""
            dump(key, to: &dumped)
            for text in [key.description, String(reflecting: key), "\(key)", dumped] {
                #expect(text.contains(key.peerID.description))
                #expect(text.utf8.count < 200)
            }
            #expect(Mirror(reflecting: key).children.isEmpty)
        }
    }

    @Test func theLentMessageIsTheProtobuf() {
        for key in sampleKeys {
            #expect(key.withProtobuf { $0.count } == key.protobuf.count)
            #expect(key.withProtobuf { [UInt8]($0) } == key.protobuf)
        }
    }

    @Test func errorsAreEqualByCodeAndSayWhatToDo() {
        let first = PeerIDError(code: .malformedKey, message: "one")
        #expect(first == PeerIDError(code: .malformedKey, message: "two"))
        #expect(first != PeerIDError(code: .malformedText, message: "one"))
        #expect(first.description == "malformedKey: one")
    }

    @Test func theExampleOfTheReadmeWorks() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("peerid-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }

        let key = try KeyFile.loadOrCreate(path: path) { warning in print(warning) }
        let signature = try key.sign(Array("hello".utf8))

        let peer = key.peerID
        let known = try PeerID(parsing: "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6")
        #expect(known.inlinePublicKey?.isValidSignature(signature, for: Array("hello".utf8)) == false)
        #expect(peer.inlinePublicKey?.isValidSignature(signature, for: Array("hello".utf8)) == true)

        let address: Multiaddr = "/ip4/127.0.0.1/udp/4001/quic-v1"
        #expect(address.withPeerID(peer).description.hasSuffix("/p2p/\(peer)"))
    }
}
