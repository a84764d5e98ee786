import Foundation
import Testing

@testable import Multiaddr

private let peer = "12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"
private let relay = "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"

@Suite struct Addresses {
    @Test func componentsHaveTypedAccessors() throws {
        let address: Multiaddr = "/ip6zone/eth0/ip6/fe80::1/ipcidr/64/tcp/443/tls/sni/example.com/unix/run/s.sock"
        let parts = Array(address.components)
        #expect(parts[0].zone == "eth0" && parts[0].port == nil)
        #expect(parts[1].ip6Address == [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1])
        #expect(parts[2].prefixLength == 64)
        #expect(parts[3].port == 443)
        #expect(parts[4].text == nil && parts[4].description == "/tls")
        #expect(parts[5].hostName == "example.com")
        #expect(parts[6].path == "/run/s.sock")
        #expect(address.protocols == [.ip6zone, .ip6, .ipcidr, .tcp, .tls, .sni, .unix])
        let onion: Multiaddr = "/onion/timaq4ygg2iegci7:1234"
        #expect(onion.components.first?.port == 1234 && onion.components.first?.onionHost?.count == 10)
        #expect(Multiaddr("/p2p/\(relay)")?.components.first?.multihash?.code == Multihash.sha2x256)
    }

    @Test func peerIDsReadInEveryFormAndPrintInBase58() throws {
        let address = try Multiaddr(parsing: "/p2p/\(peer)")
        let hash = try #require(address.peerIDBytes)
        let cid = CIDv1(multihash: try Multihash(bytes: hash))
        // A slash of base64 would end the component.
        for base in Multibase.allCases where !cid.text(in: base).contains("/") {
            #expect(try Multiaddr(parsing: "/p2p/\(cid.text(in: base))").description == "/p2p/\(peer)")
            #expect(try Multiaddr(parsing: "/ipfs/\(cid.text(in: base))") == address)
        }
    }

    @Test func thePeerIsTheOneBehindEveryRelay() throws {
        let relayed = try Multiaddr(parsing: "/ip4/1.2.3.4/udp/1/quic-v1/p2p/\(relay)/p2p-circuit/p2p/\(peer)")
        #expect(relayed.peerIDBytes == Multiaddr("/p2p/\(peer)")?.peerIDBytes)
        #expect(try Multiaddr(parsing: "/ip4/1.2.3.4/udp/1/quic-v1/p2p/\(relay)/p2p-circuit").peerIDBytes == nil)
        #expect(relayed.isRelayed)
        #expect(relayed.normalizedQuic == "/ip4/1.2.3.4/udp/1/quic-v1")
    }

    @Test func prefixesAndSuffixesEndAtComponents() throws {
        let address: Multiaddr = "/dns/wss.com/tcp/4001/ws"
        #expect(address.hasPrefix("/dns/wss.com") && address.hasPrefix(address) && address.hasPrefix(.empty))
        #expect(!address.hasPrefix("/dns/wss.co") && !address.hasPrefix("/tcp/4001"))
        #expect(address.hasSuffix("/tcp/4001/ws") && !address.hasSuffix("/wss") && address.hasSuffix(.empty))
        #expect(address.value(of: .tcp) == "4001" && address.value(of: .ws) == "" && address.value(of: .udp) == nil)
        let (first, rest) = try #require(address.splitFirst())
        #expect(first.hostName == "wss.com" && rest == "/tcp/4001/ws")
        #expect(try #require(address.splitLast()).rest == "/dns/wss.com/tcp/4001")
        #expect(address.split(before: .tcp).tail == "/tcp/4001/ws")
        #expect(address.decapsulating(.tcp) == "/dns/wss.com")
        #expect(address.decapsulating(.empty) == address && address.decapsulating(.udp) == address)
        // The bytes of /tcp/24930 stand at the end of the name, but no component begins there.
        let bytes = Varint.encode(481) + [4, 0x61, 0x06, 0x61, 0x62]
        let hiding = try Multiaddr(bytes: bytes)
        #expect(hiding.decapsulating("/tcp/24930") == hiding && !hiding.hasSuffix("/tcp/24930"))
    }

    @Test func theEmptyAddressIsWhatIsLeft() {
        #expect(
            Multiaddr.empty.description == "/" && Multiaddr.empty.isEmpty && Multiaddr.empty.components.first == nil
        )
        #expect(Multiaddr(String("/")) == nil && failure { try Multiaddr([]) }?.code == .empty)
        #expect(failure { try Multiaddr(bytes: []) }?.code == .empty)
        #expect(Multiaddr.empty.splitFirst() == nil && Multiaddr.empty.splitLast() == nil)
        #expect(Multiaddr.empty.encapsulating("/udp/1") == "/udp/1")
        #expect(!Multiaddr.empty.isQuic && Multiaddr.empty.peerIDBytes == nil && Multiaddr.empty.dialTarget == nil)
    }

    @Test func addressesTravelAsTextInJSON() throws {
        let addresses: [Multiaddr] = ["/ip4/127.0.0.1/udp/4001/quic-v1", "/unix/tmp/a"]
        let data = try JSONEncoder().encode(addresses)
        #expect(try JSONDecoder().decode([Multiaddr].self, from: data) == addresses)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([Multiaddr].self, from: Data(#"["/ip4/x"]"#.utf8))
        }
    }

    @Test func errorsSayWhereAndWhat() {
        let error = failure { try Multiaddr(parsing: "/ip4/127.0.0.1/udp/70000/quic-v1") }
        #expect(error?.description == "invalidValue in /udp at offset 19: a port is a number from 0 to 65535")
        #expect(error == MultiaddrError(.invalidValue, "other words"))
    }
}

@Suite struct QuicAddresses {
    @Test(arguments: [
        "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip6/::1/udp/4001/quic", "/dns/a.b/udp/1/quic-v1",
        "/dns4/a.b/udp/1/quic-v1",
        "/dns6/a.b/udp/1/quic-v1", "/dnsaddr/a.b/udp/1/quic-v1", "/ip6zone/eth0/ip6/fe80::1/udp/4001/quic-v1",
        "/ip4/127.0.0.1/udp/4001/quic-v1/p2p/12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV",
    ])
    func plainQuicIsRecognised(text: String) throws {
        let address = try Multiaddr(parsing: text)
        #expect(address.isQuic)
        #expect(try address.quicEndpoint?.multiaddr() == address.normalizedQuic)
    }

    @Test(arguments: [
        "/ip4/127.0.0.1/udp/4001", "/ip4/127.0.0.1/tcp/4001/quic-v1", "/ip4/127.0.0.1/udp/1/quic-v1/webtransport",
        "/ip4/127.0.0.1/udp/1/quic-v1/p2p-circuit", "/udp/1/quic-v1", "/ip6zone/a/ip4/1.2.3.4/udp/1/quic-v1",
        "/ip4/1.2.3.4/udp/1/quic-v1/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC/p2p-circuit", "/ip6zone/a",
        "/ip4/1.2.3.4/udp/1/quic-v1/quic-v1", "/ip4/1.2.3.4/quic-v1", "/memory/1/udp/1/quic-v1",
    ])
    func othersAreNot(text: String) throws {
        let address = try Multiaddr(parsing: text)
        #expect(!address.isQuic && address.quicEndpoint == nil)
    }

    @Test func endpointsAreReadAndMade() throws {
        let zoned = try Multiaddr.quic(host: "fe80::1%eth0", port: 4001)
        #expect(zoned == "/ip6zone/eth0/ip6/fe80::1/udp/4001/quic-v1")
        let endpoint = try #require(zoned.quicEndpoint)
        #expect(endpoint.host.description == "fe80::1%eth0" && endpoint.port == 4001 && endpoint.version == .v1)
        #expect(
            try Multiaddr.quic(host: "12.34.56.78", port: UInt16(4321), version: .draft29)
                == "/ip4/12.34.56.78/udp/4321/quic"
        )
        #expect(try Multiaddr.quic(name: "a.b", kind: .dns4, port: 1) == "/dns4/a.b/udp/1/quic-v1")
        #expect(("/ip4/1.2.3.4/udp/5/quic-v1" as Multiaddr).quicEndpoint?.host == .ip4([1, 2, 3, 4]))
    }

    @Test func badHostsPortsAndVersionsAreInvalid() {
        for host in [
            "", "invalid", "256.1.1.1", "1.2.3", "::g", "%eth0", "::1%", "1.2.3.4%eth0", "::1%a/b", "::1%a\u{0}",
        ] {
            #expect(failure { try Multiaddr.quic(host: host, port: 1) }?.code == .invalidQuicAddress, "\(host)")
        }
        for port in [-1, 65536, Int.max, Int.min] {
            #expect(failure { try Multiaddr.quic(host: "1.2.3.4", port: port) }?.code == .invalidQuicAddress)
        }
        #expect(failure { try Multiaddr.quic(name: "", port: 1) }?.code == .invalidQuicAddress)
        #expect(failure { try Multiaddr.quic(name: "a/b", port: 1) }?.code == .invalidQuicAddress)
        #expect(failure { try QuicAddressVersion(parsing: "quic-v2") }?.code == .invalidQuicAddress)
    }

    @Test func versionsHaveTheirNumbers() throws {
        #expect(QuicAddressVersion.v1.wireVersion == 0x0000_0001)
        #expect(QuicAddressVersion.draft29.wireVersion == 0xff00_001d)
        #expect(QuicAddressVersion(wireVersion: 0xff00_001d) == .draft29 && QuicAddressVersion(wireVersion: 2) == nil)
        #expect(QuicAddressVersion.alpnProtocols == ["libp2p"])
        #expect(try QuicAddressVersion(parsing: "quic-v1") == .v1)
        #expect(("/ip4/1.2.3.4/udp/1/quic/p2p-circuit/quic-v1" as Multiaddr).quicVersion == .v1)
        #expect(("/ip4/1.2.3.4/udp/1/quic" as Multiaddr).quicVersion == .draft29)
        #expect(("/ip4/1.2.3.4/udp/1" as Multiaddr).quicVersion == nil)
    }

    @Test func normalizingDropsThePeerAndWhatFollows() {
        #expect(Multiaddr("/ip4/1.2.3.4/udp/1/quic-v1/p2p/\(peer)")?.normalizedQuic == "/ip4/1.2.3.4/udp/1/quic-v1")
        #expect(("/ip4/1.2.3.4/udp/1/quic-v1" as Multiaddr).normalizedQuic == "/ip4/1.2.3.4/udp/1/quic-v1")
        #expect(Multiaddr("/p2p/\(peer)")?.normalizedQuic == Multiaddr("/p2p/\(peer)"))
    }
}
