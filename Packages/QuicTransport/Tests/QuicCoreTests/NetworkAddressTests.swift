import CNgtcp2Shims
import Glibc
import QuicCore
import Testing

@Suite struct NetworkAddressTests {
    @Test func printsIPv4() {
        #expect(NetworkAddress.ip4(192, 0, 2, 1, port: 4001).description == "192.0.2.1:4001")
    }

    @Test(
        arguments: [
            ("::", [0, 0]), ("::1", [0, 1]), ("2001:db8::1", [0x2001_0db8_0000_0000, 1]),
            ("1:0:0:2::", [0x0001_0000_0000_0002, 0]),
            ("2001:db8:0:1:1:1:1:1", [0x2001_0db8_0000_0001, 0x0001_0001_0001_0001]),
            ("0:1::", [0x0000_0001_0000_0000, 0]), ("1:2:3:4:5:6:7:8", [0x0001_0002_0003_0004, 0x0005_0006_0007_0008]),
        ] as [(String, [UInt64])]
    ) func printsIPv6AsRFC5952Says(text: String, words: [UInt64]) {
        let address = NetworkAddress.ip6(high: words[0], low: words[1], port: 1)
        #expect(address.ipDescription == text)
        #expect(address.description == "[\(text)]:1")
    }

    @Test func printsTheScope() {
        #expect(NetworkAddress.ip6(high: 0xfe80 << 48, low: 1, scope: 2, port: 9).description == "[fe80::1%2]:9")
    }

    @Test func survivesTheWayThroughSocketAddresses() throws {
        for seed in propertySeeds(2) {
            var generator = SeededGenerator(seed: seed)
            for _ in 0..<500 {
                let port = UInt16.random(in: 0 ... .max, using: &generator)
                let isIP4 = Bool.random(using: &generator)
                let raw = (0..<(isIP4 ? 4 : 16)).map { _ in UInt8.random(in: 0...255, using: &generator) }
                let scope = isIP4 ? 0 : UInt32.random(in: 0...9, using: &generator)
                let address = try #require(NetworkAddress(ipBytes: raw, port: port, scope: scope))
                #expect(address.ipBytes == raw)
                #expect(NetworkAddress(address.socketAddress.storage) == address, "seed \(seed)")
                let copy = address.withSockaddr { pointer, length in
                    NetworkAddress(sockaddr: UnsafeRawBufferPointer(start: pointer, count: Int(length)))
                }
                #expect(copy == address, "seed \(seed)")
            }
        }
    }

    @Test func agreesWithTheSystemsOwnText() throws {
        let (storage, _) = NetworkAddress.ip4(10, 20, 30, 40, port: 4001).socketAddress
        let (text, port) = withUnsafeBytes(of: storage) { bytes in
            let address = bytes.loadUnaligned(as: sockaddr_in.self)
            return (String(cString: inet_ntoa(address.sin_addr)), UInt16(bigEndian: address.sin_port))
        }
        #expect(text == "10.20.30.40")
        #expect(port == 4001)
    }

    @Test func refusesOtherFamiliesAndShortMemory() {
        #expect(NetworkAddress(sockaddr_storage()) == nil)
        #expect(NetworkAddress(sockaddr: UnsafeRawBufferPointer(start: nil, count: 0)) == nil)
        #expect(NetworkAddress(ipBytes: [1, 2, 3], port: 1) == nil)
    }

    @Test func unmapsIPv4InIPv6() {
        let mapped = NetworkAddress.ip6(high: 0, low: 0xffff_c000_0201, port: 5)
        #expect(mapped != NetworkAddress.ip4(192, 0, 2, 1, port: 5))
        #expect(mapped.unmapped == NetworkAddress.ip4(192, 0, 2, 1, port: 5))
        #expect(mapped.source == NetworkAddress.ip4(192, 0, 2, 1, port: 6).source)
    }

    @Test func countsAnIPv6CustomerAsOneSource() {
        let first = NetworkAddress.ip6(high: 0x2001_0db8_0001_0200, low: 1, port: 5)
        let second = NetworkAddress.ip6(high: 0x2001_0db8_0001_02ff, low: 9, port: 6)
        let third = NetworkAddress.ip6(high: 0x2001_0db8_0001_0300, low: 1, port: 5)
        #expect(first.source == second.source)
        #expect(first.source != third.source)
    }

    @Test func knowsLoopbackAndUnspecified() {
        #expect(NetworkAddress.ip4(127, 3, 2, 1, port: 1).isLoopback)
        #expect(NetworkAddress.ip6(high: 0, low: 1, port: 1).isLoopback)
        #expect(NetworkAddress.ip4(0, 0, 0, 0, port: 1).isUnspecified)
        #expect(!NetworkAddress.ip4(10, 0, 0, 1, port: 1).isLoopback)
    }
}
