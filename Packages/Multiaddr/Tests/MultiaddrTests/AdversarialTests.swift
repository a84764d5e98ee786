import Testing

@testable import Multiaddr

@Suite struct HostileInput {
    @Test func varintsThatAreTooLongOrNotMinimalAreRefusedEverywhere() {
        let ten = [UInt8](repeating: 0xff, count: 9) + [0x01]
        #expect(failure { try Multiaddr(bytes: ten) }?.code == .varintTooLong)
        #expect(failure { try Multiaddr(bytes: [0x84, 0x00, 1, 2, 3, 4]) }?.code == .varintNotMinimal)
        let length = failure { try Multiaddr(bytes: [0x36, 0x81, 0x00, 0x61]) }
        #expect(length?.code == .varintNotMinimal)
        #expect(length?.component == "dns4" && length?.offset == 1)
        #expect(failure { try Multiaddr(bytes: [0x36] + ten) }?.code == .varintTooLong)
        #expect(failure { try Multihash(bytes: ten) }?.code == .varintTooLong)
        #expect(failure { try Multihash(bytes: [0x12] + ten) }?.code == .varintTooLong)
        #expect(failure { try CIDv1(bytes: [0x81, 0x00]) }?.code == .varintNotMinimal)
    }

    @Test func lengthsBeyondTheBufferAreRefused() {
        for length in [UInt64(4), 127, 1 << 31, 1 << 32, UInt64(Int64.max) - 1, UInt64(Int64.max)] {
            let error = failure { try Multiaddr(bytes: [0x36] + Varint.encode(length) + [0x61, 0x62, 0x63]) }
            #expect(error?.code == .truncated && error?.component == "dns4")
            #expect(
                failure { try Multihash(bytes: [0x00] + Varint.encode(length) + [1, 2, 3]) }?.code == .invalidMultihash
            )
        }
        #expect(failure { try Multiaddr(bytes: [0x04, 1, 2, 3]) }?.code == .truncated)
        #expect(failure { try Multiaddr(bytes: [0x36]) }?.code == .truncated)
    }

    @Test(arguments: [64 * 1024, 10 * 1024 * 1024])
    func hugeAddressesAreRefusedAtOnce(size: Int) {
        let text = String(repeating: "/ip4/1.2.3.4", count: size / 12)
        #expect(failure { try Multiaddr(parsing: text) }?.code == .tooLong)
        #expect(failure { try Multiaddr(parsing: "/unix/" + String(repeating: "a", count: size)) }?.code == .tooLong)
        #expect(failure { try Multiaddr(parsing: String(repeating: "/", count: size)) }?.code == .tooLong)
        #expect(failure { try Multiaddr(bytes: [UInt8](repeating: 0xa2, count: size)) }?.code == .tooLong)
        let name = Array(repeating: UInt8(ascii: "a"), count: size)
        #expect(failure { try Multiaddr(bytes: [0x36] + Varint.encode(UInt64(size)) + name) }?.code == .tooLong)
        #expect(failure { try Multiaddr.Component(.dns, value: name) }?.code == .tooLong)
        #expect(failure { try Multiaddr.Component(.dns, text: String(repeating: "a", count: size)) }?.code == .tooLong)
    }

    @Test func chainsOfRelaysAreBounded() throws {
        let chain = String(repeating: "/p2p-circuit", count: 65)
        let error = failure { try Multiaddr(parsing: chain) }
        #expect(error?.code == .tooLong && error?.offset == 64 * 12)
        let bytes = (0..<65).flatMap { _ in Varint.encode(290) }
        #expect(failure { try Multiaddr(bytes: bytes) }?.code == .tooLong)
        #expect(try Multiaddr(bytes: Array(bytes.dropLast(2))).components.count == 64)
    }

    @Test func unknownProtocolsAreNamed() {
        let text = failure { try Multiaddr(parsing: "/ip4/1.2.3.4/nonsense/1") }
        #expect(text?.code == .unknownProtocol && text?.component == "nonsense" && text?.offset == 13)
        let binary = failure { try Multiaddr(bytes: [0x04, 1, 2, 3, 4, 0x05]) }
        #expect(binary?.code == .unknownProtocol && binary?.component == "5" && binary?.offset == 5)
        let largest = failure { try Multiaddr(bytes: Varint.encode(UInt64(Int64.max))) }
        #expect(largest?.code == .unknownProtocol)
        #expect(failure { try Multiaddr.Component(MultiaddrProtocol(rawValue: .max)) }?.code == .unknownProtocol)
        #expect(failure { try Multiaddr(parsing: "/ip4/1.2.3.4//udp/1") }?.code == .unknownProtocol)
        #expect(failure { try Multiaddr(parsing: "ip4/1.2.3.4") }?.code == .missingLeadingSlash)
        // Equal for Swift's ==, but not the bytes of the table.
        #expect(failure { try Multiaddr(parsing: "/ip4\u{200d}/1.2.3.4") }?.code == .unknownProtocol)
    }

    @Test(arguments: ["dns", "dns4", "dns6", "dnsaddr", "sni", "ip6zone", "unix"])
    func nulAndBrokenUTF8AreRefused(name: String) throws {
        let proto = try #require(MultiaddrProtocol(name: name))
        #expect(failure { try Multiaddr(parsing: "/\(name)/a\u{0}b") }?.code == .invalidValue)
        for tail in [[0], [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]] as [[UInt8]]
        {
            let value = [UInt8(ascii: "/"), UInt8(ascii: "a")] + tail
            let bytes = Array(name == "unix" ? value[...] : value.dropFirst())
            let error = failure { try Multiaddr.Component(proto, value: bytes) }
            #expect(error?.code == .invalidValue && error?.component == name && error?.offset != nil)
            let binary = Varint.encode(proto.rawValue) + Varint.encode(UInt64(bytes.count)) + bytes
            #expect(failure { try Multiaddr(bytes: binary) }?.code == .invalidValue)
        }
    }

    @Test func slashesInsideAValueAreRefusedInBinary() {
        for code in [42, 53, 54, 55, 56, 449] as [UInt64] {
            #expect(
                failure { try Multiaddr(bytes: Varint.encode(code) + Varint.encode(3) + Array("a/b".utf8)) }?.code
                    == .invalidValue
            )
            #expect(failure { try Multiaddr(bytes: Varint.encode(code) + [0]) }?.code == .missingValue)
        }
    }

    @Test func megabytesOfBase58AreRefusedWithoutDecoding() {
        let text = String(repeating: "z", count: 4 << 20)
        #expect(failure { try Base58BTC.decode(text) }?.code == .tooLong)
        #expect(failure { try Multibase.decode(text) }?.code == .tooLong)
        #expect(failure { try Multibase.decode(String(repeating: "k", count: 1 << 20)) }?.code == .tooLong)
        #expect(failure { try CIDv1(parsing: text) }?.code == .tooLong)
        #expect(failure { try Multiaddr(parsing: "/p2p/" + text) }?.code == .tooLong)
        #expect(failure { try Multiaddr(parsing: "/p2p/1" + String(repeating: "2", count: 1000)) }?.code == .tooLong)
        #expect(
            failure { try Multiaddr(parsing: "/certhash/z" + String(repeating: "2", count: 20000)) }?.code == .tooLong
        )
    }

    @Test func multihashesOfTheWrongLengthAreRefused() throws {
        let digest = [UInt8](repeating: 7, count: 32)
        for bytes in [
            [0x12, 0x1f] + digest, [0x12, 0x21] + digest, [0x12, 0x21, 7] + digest, [0x11, 0x20] + digest,
        ] {
            #expect(failure { try Multihash(bytes: bytes) }?.code == .invalidMultihash)
        }
        #expect(
            failure { try Multihash(bytes: [0x00, 0x81, 0x01] + [UInt8](repeating: 1, count: 129)) }?.code
                == .invalidMultihash
        )
        #expect(failure { try Multihash(bytes: [0x12]) }?.code == .truncated)
        #expect(failure { try Multihash(bytes: []) }?.code == .truncated)
        #expect(try Multihash(bytes: [0x12, 0x20] + digest).code == Multihash.sha2x256)
    }

    @Test func peerIDsOfOtherHashesAndLongIdentitiesAreRefused() throws {
        let long = [0x00, 43] + [UInt8](repeating: 1, count: 43)
        let truncated = [0x12, 0x10] + [UInt8](repeating: 1, count: 16)
        let sha512 = [0x13, 0x40] + [UInt8](repeating: 1, count: 64)
        for hash in [long, truncated, sha512] {
            #expect(failure { try Multiaddr.Component.p2p(hash) }?.code == .invalidMultihash)
            let bytes = Varint.encode(421) + Varint.encode(UInt64(hash.count)) + hash
            #expect(failure { try Multiaddr(bytes: bytes) }?.code == .invalidMultihash)
            let cid = CIDv1(multihash: try Multihash(bytes: hash))
            #expect(failure { try Multiaddr(parsing: "/p2p/\(cid)") }?.code == .invalidMultihash)
        }
        let inline = [0x00, 42] + [UInt8](repeating: 1, count: 42)
        #expect(try Multiaddr(Multiaddr.Component.p2p(inline)).peerIDBytes == inline)
    }

    @Test func contentIdentifiersOfOtherKindsAreNoPeerIDs() throws {
        let hash = try Multihash(code: Multihash.sha2x256, digest: [UInt8](repeating: 3, count: 32))
        let error = failure { try Multiaddr(parsing: "/ip4/1.2.3.4/p2p/\(CIDv1(codec: 0x70, multihash: hash))") }
        #expect(error?.code == .invalidCID && error?.component == "p2p" && error?.offset == 17)
        #expect(failure { try CIDv1(bytes: [0x02, 0x72] + hash.bytes) }?.code == .invalidCID)
        #expect(failure { try CIDv1(bytes: [0x01, 0x72] + hash.bytes + [0]) }?.code == .invalidMultihash)
        #expect(failure { try CIDv1(parsing: "Qm" + String(repeating: "a", count: 44)) }?.code == .unknownMultibase)
        #expect(failure { try CIDv1(parsing: "") }?.code == .unknownMultibase)
    }

    @Test(arguments: [
        "f0", "fzz", "b0", "ba", "baa1", "baaa", "mA", "mAA=", "MAA", "MAA=", "MAA===", "M=", "uAA+", "cme",
        "cme=====",
        "z0", "zO", "zI", "zl", "k-", "z ", "fé",
    ])
    func damagedMultibaseIsRefused(text: String) {
        #expect(failure { try Multibase.decode(text) }?.code == .invalidEncoding)
    }

    @Test func bitsThatBelongToNoByteAreIgnored() throws {
        // As Go does; RFC 4648 §3.5 leaves it open.
        for (text, bytes) in [
            ("mAB", [0]), ("uAAB", [0, 0]), ("MAB==", [0]), ("bab", [0]), ("bah", [1]), ("baaa", nil),
        ]
            as [(String, [UInt8]?)]
        {
            #expect((try? Multibase.decode(text))?.bytes == bytes, "\(text)")
        }
    }

    @Test(arguments: ["", "-1", "+1", " 1", "1x", "18446744073709551616", "92233720368547758081", "٣"])
    func damagedMemoryAddressesAreRefused(text: String) {
        #expect(failure { try Multiaddr.Component(.memory, text: text) }?.code == .invalidValue)
    }

    @Test func memoryAddressesAreEightBytes() throws {
        // go-multiaddr, rust-multiaddr and py-multiaddr agree on this against the table.
        let address = try Multiaddr(parsing: "/memory/258/udp/1")
        #expect(address.bytes == [0x89, 0x06, 0, 0, 0, 0, 0, 0, 1, 2, 0x91, 0x02, 0, 1])
        #expect(address.components.first?.memoryAddress == 258)
        #expect(address.components.first == .memory(258) && address.components.last?.memoryAddress == nil)
        #expect(try Multiaddr(parsing: "/memory/18446744073709551615").description == "/memory/18446744073709551615")
        #expect(Multiaddr(.memory(0)).description == "/memory/0")
        #expect(failure { try Multiaddr(bytes: [0x89, 0x06, 1, 2, 3, 4, 5, 6, 7]) }?.code == .truncated)
    }

    @Test(arguments: [
        "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1..2.3", ".1.2.3", "1.2.3.", "+1.2.3.4", "1.2.3.4 ",
        "0x1.2.3.4", "::1", "1.2.3.4444444444444444444444444", "１.2.3.4", "",
    ])
    func damagedIPv4IsRefused(text: String) {
        #expect(failure { try Multiaddr.Component(.ip4, text: text) }?.code == .invalidValue)
    }

    @Test(arguments: [
        ":", ":::", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "12345::", "::g",
        "1:2:3:4:5:6:7:",
        ":1:2:3:4:5:6:7", "::1.2.3", "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4", "fe80::1%eth0", "1.2.3.4", "::1.2.3.4:1",
        " ::",
        "", "1", "[::1]",
    ])
    func damagedIPv6IsRefused(text: String) {
        #expect(failure { try Multiaddr.Component(.ip6, text: text) }?.code == .invalidValue)
    }

    @Test(arguments: ["", "-1", "+1", "65536", "000080", "1e3", " 1", "1 ", "99999999999999999999", "٣"])
    func damagedPortsAreRefused(text: String) {
        #expect(failure { try Multiaddr.Component(.udp, text: text) }?.code == .invalidValue)
    }

    @Test func zeroPortsAndShortHostsOfOnionsAreRefusedInBinary() {
        #expect(
            failure { try Multiaddr.Component(.onion, value: [UInt8](repeating: 0, count: 12)) }?.code == .invalidValue
        )
        #expect(
            failure { try Multiaddr.Component(.onion3, value: [UInt8](repeating: 0, count: 37)) }?.code == .invalidValue
        )
        #expect(
            failure { try Multiaddr.Component(.garlic64, value: [UInt8](repeating: 0, count: 385)) }?.code
                == .invalidValue
        )
        #expect(
            failure { try Multiaddr.Component(.garlic64, value: [UInt8](repeating: 0, count: 463)) }?.code
                == .invalidValue
        )
        #expect(
            failure { try Multiaddr.Component(.garlic32, value: [UInt8](repeating: 0, count: 33)) }?.code
                == .invalidValue
        )
        #expect(failure { try Multiaddr.Component(.onion, value: []) }?.code == .invalidValue)
    }

    @Test func unixPathsTakeTheRestAndStandLast() throws {
        #expect(try Multiaddr(parsing: "/unix/a/ip4/1.2.3.4").components.count == 1)
        #expect(try Multiaddr(parsing: "/unix/a/b/").description == "/unix/a/b")
        let path = Varint.encode(400) + [2] + Array("/a".utf8)
        #expect(failure { try Multiaddr(bytes: path + [0x04, 1, 2, 3, 4]) }?.code == .invalidValue)
        for value in ["", "/", "a", "/a/"] {
            let bytes = Varint.encode(400) + [UInt8(value.utf8.count)] + Array(value.utf8)
            #expect(throws: MultiaddrError.self) { try Multiaddr(bytes: bytes) }
        }
        let unix = try Multiaddr.Component(.unix, text: "/a")
        #expect(failure { try Multiaddr([unix, .quicV1]) }?.code == .invalidValue)
        #expect(Multiaddr(unix).encapsulating(.udp(1)).description == "/unix/a/udp/1")
    }

    @Test(arguments: ["%", "%1", "%zz", "a%2", "%%41"])
    func damagedPercentEncodingIsRefused(text: String) {
        let error = failure { try Multiaddr(parsing: "/http-path/" + text) }
        #expect(error?.code == .invalidEncoding && error?.component == "http-path")
    }

    @Test func httpPathsAreOneSegmentAndPrintReserved() throws {
        #expect(throws: MultiaddrError.self) { try Multiaddr(parsing: "/http-path/a/b") }
        #expect(failure { try Multiaddr(parsing: "/http-path") }?.code == .missingValue)
        #expect(failure { try Multiaddr(parsing: "/http-path/%00") }?.code == .invalidValue)
        #expect(try Multiaddr(parsing: "/http-path/a%2fb+c d").description == "/http-path/a%2Fb%2Bc%20d")
        #expect(try Multiaddr(parsing: "/http-path/a%2fb").components.first?.path == "a/b")
    }
}
