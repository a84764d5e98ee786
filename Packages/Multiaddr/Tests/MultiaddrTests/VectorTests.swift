import Foundation
import Testing

@testable import Multiaddr

@Suite struct AddressVectors {
    let vectors: JSON
    init() throws { vectors = try JSON.vectors("multiaddr_vectors") }

    /// What each rejected text is rejected for.
    static func expectedCode(of text: String) -> [MultiaddrError.Code] {
        switch text {
        case "": [.empty]
        case _
        where text.hasSuffix("/sctp") || ["/ip4", "/ip6zone", "/ip6zone/", "/udp", "/tcp", "/unix"].contains(text):
            [.missingValue]
        case _ where text.hasSuffix("/certhash") || text.hasSuffix("/ipfs") || text == "/ip4/127.0.0.1/tcp":
            [.missingValue]
        case _ where text.hasSuffix("quic-v1/65536") || text.hasSuffix("/1234") || text.hasSuffix("webcrt-direct"):
            [.unknownProtocol]
        case _ where text.hasPrefix("/garlic") || text.hasPrefix("/onion"): [.invalidValue, .invalidEncoding]
        case _ where text.hasSuffix("/tcp") && (text.contains("/ipfs/") || text.contains("/p2p/")): [.unknownMultibase]
        case _ where text.hasPrefix("/p2p/Qm"): [.invalidMultihash]
        default: [.invalidValue]
        }
    }

    @Test func validAddressesSurviveTextAndBinary() throws {
        #expect(vectors["goValid"].strings.count > 60)
        for text in vectors["goValid"].strings {
            let address = try Multiaddr(parsing: text)
            #expect(try Multiaddr(bytes: address.bytes) == address)
            #expect(try Multiaddr(parsing: address.description) == address, "\(text)")
            #expect(try Multiaddr(Array(address.components)) == address)
            let hasOtherForm = ["/ipfs/", "/p2p/k", "/p2p/b", "/certhash/"].contains { text.contains($0) }
            if !hasOtherForm { #expect(address.description == text) }
        }
    }

    @Test func invalidAddressesAreRejectedForTheirReason() throws {
        #expect(vectors["goInvalid"].strings.count > 40)
        for text in vectors["goInvalid"].strings {
            let error = failure { try Multiaddr(parsing: text) }
            #expect(error.map { Self.expectedCode(of: text).contains($0.code) } == true, "\(text): \(error as Any)")
            #expect(error?.offset != nil, "\(text)")
            if !text.isEmpty { #expect(error?.component != nil, "\(text)") }
            #expect(Multiaddr(text) == nil)
        }
    }

    @Test(arguments: ["goTextToBytes", "quicTextToBytes (computed here, encoder cross-checked with go+rust tables)"])
    func textAndBinaryAgree(key: String) throws {
        #expect(!vectors[key].list.isEmpty)
        for vector in vectors[key].list {
            let text = try #require(vector["text"].string)
            let bytes = unhex(try #require(vector["hex"].string))
            #expect(try Multiaddr(parsing: text).bytes == bytes)
            #expect(try Multiaddr(bytes: bytes).description == text)
        }
    }

    @Test func singleTextAndBinaryPairsAgree() throws {
        for key in ["goZone", "goDnsBytes"] {
            let text = try #require(vectors[key]["text"].string)
            let bytes = unhex(try #require(vectors[key]["hex"].string))
            #expect(try Multiaddr(parsing: text).bytes == bytes)
            #expect(try Multiaddr(bytes: bytes).description == text)
        }
    }

    @Test func canonicalTextPrintsUnchanged() throws {
        for text in vectors["goRoundTrip"].strings {
            #expect(try Multiaddr(parsing: text).description == text)
        }
    }

    @Test func splitMakesOneAddressOfEachComponent() throws {
        for vector in vectors["goSplit"].list {
            let address = try Multiaddr(parsing: try #require(vector["text"].string))
            #expect(address.split().map(\.description) == vector["components"].strings)
            #expect(address.components.map(\.description) == vector["components"].strings)
        }
    }

    @Test func decapsulateCutsAtTheLastMatch() throws {
        for vector in vectors["goDecapsulate"].list {
            let left = try Multiaddr(parsing: try #require(vector["left"].string))
            let right = try Multiaddr(parsing: try #require(vector["right"].string))
            let result = left.decapsulating(right)
            if let expected = vector["expected"].string {
                #expect(result.description == expected)
            } else {
                #expect(result.isEmpty)
            }
        }
    }

    @Test func encapsulateAppends() throws {
        for vector in vectors["goEncapsulate"].list {
            let base = try Multiaddr(parsing: try #require(vector["base"].string))
            let added = try Multiaddr(parsing: try #require(vector["add"].string))
            #expect(base.encapsulating(added).description == vector["result"].string)
            #expect(base.encapsulating(added).decapsulating(added) == base)
        }
    }

    @Test func dialTargetsSpeakTheWordsOfSocketLibraries() throws {
        for vector in vectors["goDialArgs"].list {
            let target = try Multiaddr(parsing: try #require(vector["text"].string)).dialTarget
            #expect(target?.network == vector["network"].string)
            #expect(target?.address == vector["address"].string)
        }
        for text in vectors["goDialArgsErrors"].strings {
            #expect(try Multiaddr(parsing: text).dialTarget == nil, "\(text)")
        }
    }

    @Test func thinWaistBeginsWithAnInternetAddress() throws {
        for (text, expected) in vectors["goIsThinWaist"].map {
            #expect(try Multiaddr(parsing: text).isThinWaist == expected.bool, "\(text)")
        }
    }

    @Test func everyProtocolOfTheTableIsKnown() throws {
        let protocols = try JSON.vectors("multiaddr_protocols")["protocols"].list
        #expect(protocols.count == MultiaddrProtocol.all.count + 1, "the alias ipfs shares its code")
        for vector in protocols {
            let name = try #require(vector["name"].string)
            let code = try #require(vector["code"].string.flatMap(UInt64.init))
            let proto = try #require(MultiaddrProtocol(name: name))
            #expect(proto.rawValue == code)
            #expect(proto.name == (name == "ipfs" ? "p2p" : name))
            if name == "memory" {
                // The table says variable; Go, Rust and Python write a number of eight bytes.
                #expect(proto.size == .fixed(bits: 64))
            } else if vector["variable"].bool == true {
                #expect(proto.size == .variable)
            } else {
                #expect(proto.size == .fixed(bits: try #require(vector["size"].string.flatMap(Int.init))))
            }
        }
    }
}

@Suite struct MultiformatVectors {
    @Test func varintsEncodeAndDecode() throws {
        for vector in try JSON.vectors("uvarint_vectors")["encode"].list {
            let value = try #require(vector["value"].string.flatMap(UInt64.init))
            let bytes = unhex(try #require(vector["hex"].string))
            #expect(Varint.encode(value) == bytes)
            #expect(Varint.length(of: value) == bytes.count)
            let decoded = try Varint.decode(from: bytes)
            #expect(decoded.value == value && decoded.length == bytes.count)
        }
    }

    @Test func badVarintsAreRejectedForTheirReason() throws {
        for vector in try JSON.vectors("uvarint_vectors")["mustReject"].list {
            let why = try #require(vector["why"].string)
            let expected: MultiaddrError.Code =
                why.hasPrefix("not minimal") ? .varintNotMinimal : why.hasPrefix("more") ? .varintTooLong : .truncated
            let bytes = unhex(try #require(vector["hex"].string))
            #expect(failure { try Varint.decode(from: bytes) }?.code == expected, "\(why)")
        }
    }

    @Test func multibasesEncodeAndDecode() throws {
        let bases: [String: Multibase] = [
            "base16": .base16, "base32": .base32, "base32upper": .base32upper, "base36": .base36,
            "base36upper": .base36upper, "base58btc": .base58btc, "base64": .base64, "base64pad": .base64pad,
            "base64url": .base64url, "base64urlpad": .base64urlpad,
        ]
        let inputs = [
            "basic": "yes mani !", "leading_zero": "\u{0}yes mani !", "two_leading_zeros": "\u{0}\u{0}yes mani !",
            "case_insensitivity": "hello world",
        ]
        for (file, input) in inputs {
            let rows = try JSON.vectors("multibase_vectors")["files"][file]["rows"].list
            #expect(!rows.isEmpty)
            for row in rows {
                let base = try #require(row["encoding"].string.flatMap { bases[$0] })
                let text = try #require(row["text"].string).filter { $0 != "\"" }
                let decoded = try Multibase.decode(text)
                #expect(decoded.base == base && decoded.bytes == Array(input.utf8), "\(text)")
                if file != "case_insensitivity" { #expect(Multibase.encode(Array(input.utf8), as: base) == text) }
            }
        }
    }

    @Test func multihashesReadAndWrite() throws {
        let codes: [String: UInt64] = [
            "sha1": Multihash.sha1, "sha2-256": Multihash.sha2x256, "sha2-512": Multihash.sha2x512,
        ]
        var count = 0
        for vector in try JSON.vectors("multihash_vectors")["vectors"].list {
            let bytes = unhex(try #require(vector["multihashHex"].string))
            let hash = try Multihash(bytes: bytes)
            #expect(hash.bytes == bytes)
            #expect(String(hash.digest.count * 8) == vector["bits"].string)
            #expect(hash.code == vector["algorithm"].string.flatMap { codes[$0] })
            count += 1
        }
        #expect(count > 50)
    }
}
