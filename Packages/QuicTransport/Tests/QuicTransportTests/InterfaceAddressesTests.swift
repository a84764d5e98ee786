import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

/// What the unspecified address stands for.
@Suite(.timeLimit(.minutes(1))) struct InterfaceAddressesTests {
    private let clock = ManualClock()

    private func expand(_ address: NetworkAddress, _ interfaces: [NetworkAddress]) -> [String] {
        InterfaceAddresses(of: address, enumerate: { interfaces }, clock: clock).current.map(\.description)
    }

    private let interfaces: [NetworkAddress] = [
        .ip4(127, 0, 0, 1, port: 0), .ip4(192, 0, 2, 5, port: 0), .ip6(high: 0, low: 1, port: 0),
        .ip6(high: 0x2001_0db8_0000_0000, low: 5, port: 0), .ip6(high: 0xfe80_0000_0000_0000, low: 5, port: 0),
        .ip4(192, 0, 2, 5, port: 0),
    ]

    @Test func theUnspecifiedAddressStandsForThoseOfItsFamily() {
        #expect(
            expand(.ip4(0, 0, 0, 0, port: 4001), interfaces) == [
                "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/192.0.2.5/udp/4001/quic-v1",
            ]
        )
        // A socket for IPv6 serves IPv4 as well. Link-local addresses are of no use to others.
        #expect(
            expand(.ip6(high: 0, low: 0, port: 4001), interfaces) == [
                "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/192.0.2.5/udp/4001/quic-v1", "/ip6/::1/udp/4001/quic-v1",
                "/ip6/2001:db8::5/udp/4001/quic-v1",
            ]
        )
    }

    @Test func everyOtherAddressStandsForItself() {
        #expect(expand(.ip4(192, 0, 2, 9, port: 7), interfaces) == ["/ip4/192.0.2.9/udp/7/quic-v1"])
        // Better than nothing.
        #expect(expand(.ip4(0, 0, 0, 0, port: 7), []) == ["/ip4/0.0.0.0/udp/7/quic-v1"])
    }

    @Test func theyAreFewHoweverManyTheMachineHas() {
        let many = (0..<200).map { NetworkAddress.ip4(10, 0, 0, UInt8($0), port: 0) }
        #expect(expand(.ip4(0, 0, 0, 0, port: 7), many).count == InterfaceAddresses.limit)
    }

    @Test func theSystemIsAskedAnewAfterAWhile() {
        let asked = Mutex(0)
        let addresses = InterfaceAddresses(
            of: .ip4(0, 0, 0, 0, port: 7),
            enumerate: {
                let count = asked.withLock { count in
                    count += 1
                    return count
                }
                return [.ip4(192, 0, 2, UInt8(count), port: 0)]
            },
            clock: clock
        )
        for _ in 0..<3 { #expect(addresses.current == ["/ip4/192.0.2.1/udp/7/quic-v1"]) }
        clock.advance(by: InterfaceAddresses.lifetime)
        for _ in 0..<3 { #expect(addresses.current == ["/ip4/192.0.2.2/udp/7/quic-v1"]) }
        #expect(asked.withLock { $0 } == 2)
    }

    @Test func aListenerIsReachedThere() async throws {
        let key = PrivateKey.ed25519()
        let transport = try QuicTransport(identity: key)
        let listener = try await transport.listen(on: "/ip4/0.0.0.0/udp/0/quic-v1")
        let port = try #require(listener.addresses.first?.first(.udp)?.port)
        #expect(listener.addresses == [try Multiaddr(parsing: "/ip4/0.0.0.0/udp/\(port)/quic-v1")])
        let loopback = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/\(port)/quic-v1")
        #expect(listener.interfaceAddresses.contains(loopback))
        #expect(listener.interfaceAddresses.allSatisfy { $0.first(.udp)?.port == port })
        // Of the others any may be of an interface that is down.
        let other = try QuicTransport(identity: .ed25519())
        _ = try await other.dial(loopback.withPeerID(key.peerID))
        _ = try await listener.accept()
        await other.close()
        await transport.close()
    }
}
