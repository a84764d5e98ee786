import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// Dialling.
@Suite(.timeLimit(.minutes(1))) struct DialTests {
    let stranger = PrivateKey.ed25519().peerID

    @Test(arguments: TestNetwork.allCases)
    func oneselfIsNotDialled(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            let own = try server.address
            #expect(await code { try await server.connect(to: own) } == .dialSelf)
            #expect(await code { try await server.connect(to: own.withoutPeerID) } == .dialSelf)
            #expect(await code { try await server.connect(to: server.peerID) } == .dialSelf)
            // An own address under another name leads nowhere either.
            #expect(await code { try await server.connect(to: client.peerID, addresses: [own]) } == .dialSelf)
            #expect(server.connectedPeers.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func whatCannotBeDialledIsSaidSo(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { _, client in
            #expect(await code { try await client.connect(to: stranger) } == .noAddresses)
            #expect(await code { try await client.connect(to: network.foreign) } == .noTransport)
            #expect(await code { try await client.listen(on: network.foreign) } == .noTransport)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPlaceThatIsTakenIsSaidSo(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            let taken = try server.address.withoutPeerID
            let error = await #expect(throws: HostError.self) { try await client.listen(on: taken) }
            #expect(error?.code == .listenFailed && error?.cause != nil)
            #expect(client.listenAddresses.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases) func nobodyAtAnAddressIsSaidSo(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        // On UDP nobody says that nobody is there: only the deadline does.
        configuration.connections.dialTimeout = .milliseconds(200)
        try await kind.open { network in
            let empty = try await network.host { try $0.address.withoutPeerID }
            try await network.host(configuration, listens: false) { host in
                let failure = await code { try await host.connect(to: empty) }
                #expect(failure == (kind == .memory ? .dialFailed : .timeout))
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func anotherPeerThanExpectedIsRefused(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            let wrong = try server.address.withPeerID(stranger)
            #expect(await code { try await client.connect(to: wrong) } == .dialFailed)
            #expect(client.connectedPeers.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func manyCallersShareOneDial(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            let address = try server.address
            try await withThrowingTaskGroup(of: PeerID.self) { group in
                for _ in 0..<20 { group.addTask { try await client.connect(to: address) } }
                for try await peer in group { #expect(peer == server.peerID) }
            }
            #expect(client.connections().count == 1)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aDialEndsAtItsDeadlineAndWhenNobodyWaits(_ network: TestNetwork) async throws {
        try await withStuckHost(on: network) { host, transport, clock in
            let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
            // Two callers, one dial. One leaves, the dial goes on.
            let first = Task { await code { try await host.connect(to: stranger, addresses: [address]) } }
            await transport.waitFor(1)
            let second = Task { await code { try await host.connect(to: stranger, addresses: [address]) } }
            while host.state.withLock({ $0.dials[.peer(stranger)]?.result.waiting }) != 2 { await Task.yield() }
            first.cancel()
            #expect(await first.value == .cancelled)
            #expect(transport.cancelled == 0)
            // The last one's time is over: the dial is given up.
            clock.advance(by: .seconds(10))
            #expect(await second.value == .timeout)
            await transport.waitFor(2)
            #expect(transport.cancelled == 1)
            #expect(transport.dials == [address])
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func addressesAreTriedOneAfterTheOther(_ network: TestNetwork) async throws {
        let (dead, next, last): (Multiaddr, Multiaddr, Multiaddr) = (
            "/ip6/2001:db8::1/udp/1/quic-v1", "/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/192.0.2.1/udp/1/quic"
        )
        try await withStuckHost(on: network, failing: [dead]) { host, transport, clock in
            let dial = Task {
                await code { try await host.connect(to: stranger, addresses: [last, next, dead]) }
            }
            // The first fails, so the second starts at once; the third has to wait.
            await transport.waitFor(2)
            #expect(transport.dials == [dead, next])
            // The deadline, the head start of the first, which ended with its failure, and that of the second.
            await clock.waitForSleeps(begun: 3)
            clock.advance(by: .milliseconds(250))
            await transport.waitFor(3)
            #expect(transport.dials == [dead, next, last])
            dial.cancel()
            #expect(await dial.value == .cancelled)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aShortHeadStartIsNoLongerThanConfigured(_ network: TestNetwork) async throws {
        let addresses: [Multiaddr] = ["/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/10.0.0.2/udp/1/quic-v1"]
        let real: (inout HostConfiguration) -> Void = { configuration in
            configuration.clock = ContinuousClock()
            configuration.connections.privateDialStagger = .milliseconds(20)
        }
        // A busy machine may be late any time; but not always.
        var shortest = Duration.seconds(1)
        while shortest >= .milliseconds(30) {
            try Task.checkCancellation()
            try await withStuckHost(on: network, real) { host, transport, _ in
                let dial = Task { await code { try await host.connect(to: stranger, addresses: addresses) } }
                await transport.waitFor(2)
                dial.cancel()
                #expect(await dial.value == .cancelled)
                let times = transport.state.withLock { $0.times }
                try #require(times.count == 2)
                shortest = min(shortest, times[0].duration(to: times[1]))
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func closingTheHostEndsItsDials(_ network: TestNetwork) async throws {
        try await withStuckHost(on: network) { host, transport, _ in
            let dial = Task { await code { try await host.connect(to: "/ip4/192.0.2.1/udp/1/quic-v1") } }
            await transport.waitFor(1)
            await host.close()
            #expect(await dial.value == .closed)
        }
    }

    @Test func addressesAreRanked() {
        let addresses: [Multiaddr] = [
            "/ip4/192.0.2.1/udp/1/quic", "/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/10.0.0.1/udp/1/quic-v1",
            "/ip6/2001:db8::1/udp/1/quic-v1", "/ip4/192.0.2.1/tcp/1", "/ip4/192.168.1.1/udp/1/quic-v1",
            "/ip4/192.0.2.1/udp/1/quic-v1",
        ]
        let entries = AddressRanking.rank(
            addresses,
            publicStagger: .milliseconds(250),
            privateStagger: .milliseconds(30)
        )
        let defaults = HostConfiguration.Connections.defaults
        #expect(defaults.dialStagger == .milliseconds(250) && defaults.privateDialStagger == .milliseconds(30))
        #expect(
            entries == [
                .init(address: "/ip6/2001:db8::1/udp/1/quic-v1", delay: .zero),
                .init(address: "/ip4/10.0.0.1/udp/1/quic-v1", delay: .zero),
                .init(address: "/ip4/192.168.1.1/udp/1/quic-v1", delay: .milliseconds(30)),
                .init(address: "/ip4/192.0.2.1/udp/1/quic-v1", delay: .milliseconds(250)),
                .init(address: "/ip4/192.0.2.1/udp/1/quic", delay: .milliseconds(500)),
                .init(address: "/ip4/192.0.2.1/tcp/1", delay: .milliseconds(750)),
            ]
        )
        for near in [
            "/ip4/127.0.0.1/udp/1", "/ip4/172.16.0.1/udp/1", "/ip6/::1/udp/1", "/ip6/fd00::1/udp/1",
            "/ip6/fe80::1/udp/1",
        ] {
            #expect(Multiaddr(near).map(AddressRanking.isPrivate) == true)
        }
        for far in ["/ip4/172.32.0.1/udp/1", "/ip4/8.8.8.8/udp/1", "/ip6/2001:db8::1/udp/1", "/dns4/example.org/udp/1"]
        {
            #expect(Multiaddr(far).map(AddressRanking.isPrivate) == false)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func addressesThatFailedRestForAWhile(_ network: TestNetwork) async throws {
        let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
        try await withStuckHost(on: network, failing: [address]) { host, transport, clock in
            // A named address is dialled each time; from the peer store it rests.
            for count in 1...2 {
                #expect(await code { try await host.connect(to: stranger, addresses: [address]) } == .dialFailed)
                #expect(transport.dials.count == count)
            }
            #expect(await code { try await host.connect(to: stranger) } == .dialBackOff)
            #expect(await code { _ = try await host.newStream(to: stranger, protocols: ["/a"]) } == .dialBackOff)
            clock.advance(by: .seconds(8))
            #expect(await code { try await host.connect(to: stranger) } == .dialBackOff)
            // After the second failure in a row: 5 s + 2² s.
            clock.advance(by: .seconds(1))
            #expect(await code { try await host.connect(to: stranger) } == .dialFailed)
            #expect(transport.dials.count == 3)
        }
        #expect(DialBackOff.pause(after: 1, base: .seconds(5), longest: .seconds(300)) == .seconds(6))
        #expect(DialBackOff.pause(after: 100, base: .seconds(5), longest: .seconds(300)) == .seconds(300))
        #expect(DialBackOff.pause(after: .max, base: .seconds(5), longest: .seconds(300)) == .seconds(300))
    }

    @Test(arguments: TestNetwork.allCases)
    func aSuccessClearsTheFailuresOfAnAddress(_ kind: TestNetwork) async throws {
        let (clock, isFailing, dials) = (ManualClock(), Flag(), Count())
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        try await kind.open { network in
            let transport = GatedTransport(
                base: try network.transport(),
                beforeDial: { _ in
                    dials.add()
                    if isFailing.isSet { throw Contrived() }
                }
            )
            try await network.host(NegotiationTests.quiet) { server in
                let (peer, address) = (server.peerID, try server.address)
                try await withHost(identity: .ed25519(), transports: [transport], configuration: configuration) {
                    host in
                    isFailing.set()
                    #expect(await code { try await host.connect(to: peer, addresses: [address]) } == .dialFailed)
                    clock.advance(by: .seconds(6))
                    isFailing.clear()
                    try await host.connect(to: peer)
                    await host.disconnect(from: peer)
                    isFailing.set()
                    #expect(await code { try await host.connect(to: peer) } == .dialFailed)
                    #expect(dials.value == 3)
                    // The first failure again: 5 s + 1 s. It would be 5 s + 2² s if it were the second.
                    clock.advance(by: .milliseconds(5999))
                    #expect(await code { try await host.connect(to: peer) } == .dialBackOff)
                    clock.advance(by: .milliseconds(1))
                    #expect(await code { try await host.connect(to: peer) } == .dialFailed)
                    #expect(dials.value == 4)
                }
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func theGaterIsAsked(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let (key, peerKey) = (PrivateKey.ed25519(), PrivateKey.ed25519())
            let peer = try network.transport(peerKey)
            let listener = try await peer.listen(on: network.anywhere)
            let there = try #require(listener.addresses.first)
            let gates: [(ConnectionGater, isInboundRefused: Bool)] = [
                (ConnectionGater(allowsDialingPeer: { $0 != peerKey.peerID }), false),
                (ConnectionGater(allowsDialingAddress: { $0.withoutPeerID != there }), false),
                (ConnectionGater(allowsConnection: { $0.peer != peerKey.peerID }), true),
            ]
            for (gater, isInboundRefused) in gates {
                var configuration = HostConfiguration()
                configuration.gater = gater
                try await network.host(configuration, identity: key) { host in
                    #expect(await code { try await host.connect(to: there.withPeerID(peerKey.peerID)) } == .gated)
                    let own = try host.address
                    if isInboundRefused {
                        let refusal = await closeCode { try await peer.dial(own) }
                        #expect(refusal == ConnectionErrorCode.gated.rawValue)
                    } else {
                        let connection = try await peer.dial(own)
                        // The host asks who it is: the connection is in use.
                        _ = try await connection.acceptStream()
                    }
                }
            }
        }
    }

    @Test(arguments: TestNetwork.allCases, [1, 3])
    func twoThatDialEachOtherAreConnected(_ network: TestNetwork, _ limit: Int) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.limitPerPeer = limit
        for _ in 0..<10 {
            try await withTwoHosts(on: network, configuration, configuration) { server, client in
                try await client.listen(on: network.anywhere)
                let (there, here) = (try server.address, try client.address)
                async let first = client.connect(to: there)
                async let second = server.connect(to: here)
                #expect(try await (first, second) == (server.peerID, client.peerID))
                // What was one too many goes; the same connections stay on both sides.
                func places(_ host: BasicHost) -> Set<Set<Multiaddr>> {
                    Set(host.connections().map { [$0.localAddress, $0.remoteAddress] })
                }
                while places(server) != places(client) { await Task.yield() }
                #expect(1...limit ~= client.connections().count)
                #expect(try await client.ping(server.peerID) > .zero)
                #expect(try await server.ping(client.peerID) > .zero)
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aDialToAPeerThatIsConnectedAlreadyIsNoFailure(_ network: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.limitPerPeer = 1
        try await withTwoHosts(on: network, NegotiationTests.quiet, configuration) { server, client in
            // Nothing says that the same peer is at both.
            let second = try #require(try await server.listen(on: network.anywhere).first)
            #expect(try await client.connect(to: server.address.withoutPeerID) == server.peerID)
            #expect(try await client.connect(to: second.withoutPeerID) == server.peerID)
            #expect(client.connections().count == 1)
            #expect(try await client.ping(server.peerID) > .zero)
        }
    }
}
