import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// The addresses that a host says it is reached at. In memory no address is unspecified, so what one stands for is shown on
/// QUIC alone.
@Suite(.timeLimit(.minutes(1))) struct AddressTests {
    @Test(arguments: TestNetwork.allCases)
    func loopbackAddressesAreToldThoseAloneWhoAreNear(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        let (near, far): (Multiaddr, Multiaddr) = ("/ip4/127.0.0.1/udp/9/quic-v1", "/ip4/192.0.2.1/udp/9/quic-v1")
        configuration.identify.announcedAddresses = [near, far, "/ip6/::1/udp/9/quic-v1"]
        try await kind.open { network in
            for isNear in [true, false] {
                let key = PrivateKey.ed25519()
                var transport = DisguisedTransport(base: try network.transport(key))
                if !isNear {
                    transport.local = "/ip4/192.168.1.5/udp/1/quic-v1"
                    transport.remote = "/ip4/192.168.1.7/udp/1/quic-v1"
                }
                try await withHost(
                    identity: key,
                    transports: [transport],
                    listen: [network.anywhere],
                    configuration: configuration
                ) { host in
                    #expect(host.addresses.contains(near.withPeerID(host.peerID)))
                    try await network.host(NegotiationTests.quiet, listens: false) { client in
                        let info = try await client.identify(try await client.connect(to: host.address))
                        #expect(info.record?.addresses == info.listenAddresses)
                        let told = isNear ? host.advertisedAddresses : info.listenAddresses
                        #expect(info.listenAddresses == told && told.contains(far))
                        #expect(told.contains(near) == isNear && told.contains("/ip6/::1/udp/9/quic-v1") == isNear)
                        let listened = try host.address.withoutPeerID
                        #expect(told.contains(listened) == (isNear || kind == .memory))
                    }
                }
            }
        }
    }

    #if HOSTS_ON_QUIC
    @Test(arguments: ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/udp/0/quic-v1"])
    func theUnspecifiedAddressStandsForThoseOfTheMachine(_ unspecified: String) async throws {
        try await TestNetwork.quic.open { network in
            let key = PrivateKey.ed25519()
            let listen = try Multiaddr(parsing: unspecified)
            let transport = try network.transport(key)
            try await withHost(identity: key, transports: [transport], listen: [listen]) { host in
                let port = try #require(host.address.first(.udp)?.port)
                let loopback = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/\(port)/quic-v1")
                #expect(host.addresses.contains(loopback.withPeerID(host.peerID)))
                #expect(!host.addresses.contains(where: AddressRanking.isUnspecified))
                #expect(host.snapshot().addresses == host.addresses)
                // It is not dialled there by itself.
                #expect(await code { try await host.connect(to: loopback) } == .dialSelf)
                try await network.host(listens: false) { client in
                    for address in host.addresses {
                        try await client.connect(to: address)
                        let info = try await client.identify(host.peerID)
                        // Another address may have answered first: the client knows all of them by now.
                        let there = try #require(client.connections(to: host.peerID).first?.remoteAddress)
                        let isNear = AddressRanking.isLoopback(there)
                        let own = host.advertisedAddresses
                        #expect(info.listenAddresses == (isNear ? own : own.filter { !AddressRanking.isLoopback($0) }))
                        await client.disconnect(from: host.peerID)
                    }
                }
            }
        }
    }
    #endif
}
