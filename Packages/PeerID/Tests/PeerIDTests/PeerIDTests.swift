import Foundation
import Multiaddr
import PeerID
import Testing

@Suite struct PeerIDTests {
    struct TextFile: Decodable {
        struct Equivalent: Decodable {
            var base58btc: String
            var multihashHex: String
            var cidV1Base32: String
            var cidV1Base36: String
            var cidV1Base58btc: String
        }
        struct Conversion: Decodable {
            var text: String
            var equalsBase58btc: String
        }
        struct Rejected: Decodable {
            var text: String?
            var bytesHex: String?
            var why: String
        }
        var equivalentForms: [Equivalent]
        var cidToBase58: [Conversion]
        var mustReject: [Rejected]
    }

    @Test func everyTextFormParsesToTheSameID() throws {
        let file = try vectors("peer_id_text_forms", as: TextFile.self)
        for forms in file.equivalentForms {
            let id = try PeerID(bytes: hex(forms.multihashHex))
            #expect(id.description == forms.base58btc)
            #expect(id.cid == forms.cidV1Base32)
            #expect(id.cid(in: .base36) == forms.cidV1Base36)
            #expect(id.cid(in: .base58btc) == forms.cidV1Base58btc)
            for text in [
                forms.base58btc, forms.cidV1Base32, forms.cidV1Base36, forms.cidV1Base58btc,
                "B" + forms.cidV1Base32.dropFirst().uppercased(), id.cid(in: .base16), id.cid(in: .base64url),
            ] {
                #expect(try PeerID(parsing: text) == id, "\(text)")
                #expect(PeerID(text) == id)
            }
        }
        for conversion in file.cidToBase58 {
            #expect(try PeerID(parsing: conversion.text).description == conversion.equalsBase58btc)
        }
    }

    @Test func textThatNamesNoPeerIsRefused() throws {
        for rejected in try vectors("peer_id_text_forms", as: TextFile.self).mustReject {
            guard let text = rejected.text else { continue }
            #expect(code { try PeerID(parsing: text) } != nil, "\(rejected.why)")
            #expect(PeerID(text) == nil)
        }
        let rawCodec = "bafkreifoybygix7fh3r3g5rqle3wcnhqldgdg4shzf4k3ulyw3gn7mabt4"
        #expect(code { try PeerID(parsing: rawCodec) } == .wrongCodec)
        for text in ["", "1", "Qm", "12D3KooW0OIl", "Qm\u{0}", "z", "b", "12D3KooWé", " ", "bafz\u{ff}"] {
            #expect(code { try PeerID(parsing: text) } != nil, "\(text.debugDescription)")
        }
        let text = PrivateKey.ed25519().peerID.description
        #expect(code { try PeerID(parsing: text + " ") } == .malformedText)
        #expect(code { try PeerID(parsing: text + "\u{0}") } == .malformedText)
    }

    @Test func megabytesOfTextAreRefusedAtOnce() {
        for start in ["1", "Qm", "z", "b", "k", "f"] {
            let text = start + String(repeating: "a", count: 4 << 20)
            #expect(code { try PeerID(parsing: text) } == .malformedText)
        }
    }

    @Test(arguments: [
        "", "00", "12", "1220", "0001", "000100ff", "1221" + String(repeating: "00", count: 33),
        "121f" + String(repeating: "00", count: 31), "1220" + String(repeating: "00", count: 31),
        "002b" + String(repeating: "00", count: 43), "1114" + String(repeating: "00", count: 20),
        "1340" + String(repeating: "00", count: 64), "800000", "9200" + "20" + String(repeating: "00", count: 32),
        "00ffffffffffffffff7f", "00ffffffffffffffffff01",
    ])
    func bytesThatAreNoPeerIDAreRefused(_ text: String) {
        #expect(code { try PeerID(bytes: hex(text)) } == .malformedMultihash)
    }

    @Test func anIdentityDigestThatIsNoKeyHasNoInlineKey() throws {
        #expect(try PeerID(bytes: [0, 0]).inlinePublicKey == nil)
        #expect(try PeerID(bytes: [0, 42] + [UInt8](repeating: 7, count: 42)).inlinePublicKey == nil)
        // The same key in another encoding (fields reordered) would be a second ID of the same peer.
        let key = PrivateKey.ed25519().publicKey
        let reordered = [0x12, 0x20] + key.rawBytes + [0x08, 0x01]
        #expect(try PeerID(bytes: [0, UInt8(reordered.count)] + reordered).inlinePublicKey == nil)
    }

    @Test func shortKeysAreInlineAndLongOnesHashed() {
        for key in sampleKeys {
            let isInline = key.type == .ed25519 || key.type == .secp256k1
            #expect(key.peerID.bytes.starts(with: isInline ? [0x00, key.type == .ed25519 ? 36 : 37] : [0x12, 0x20]))
            #expect(key.peerID.inlinePublicKey == (isInline ? key.publicKey : nil))
            #expect(PeerID(publicKey: key.publicKey) == key.peerID)
        }
    }

    @Test func idsAreOrderedByTheirBytesAndCoded() throws {
        let ids = (0..<50).map { _ in PrivateKey.ed25519().peerID }.sorted()
        for (left, right) in zip(ids, ids.dropFirst()) {
            #expect(left < right)
            #expect(left.bytes.lexicographicallyPrecedes(right.bytes))
        }
        let coded = try JSONEncoder().encode(ids)
        #expect(try JSONDecoder().decode([PeerID].self, from: coded) == ids)
        let cids = try JSONEncoder().encode(ids.map(\.cid))
        #expect(try JSONDecoder().decode([PeerID].self, from: cids) == ids)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([PeerID].self, from: Data(#"["x"]"#.utf8)) }
    }
}
