import Multiaddr
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// What is remembered of other peers, and for how long.
@Suite(.timeLimit(.minutes(1))) struct PeerStoreTests {
    let keys = (0..<6).map { _ in PrivateKey.ed25519() }
    var peers: [PeerID] { keys.map(\.peerID) }

    /// Where the peers are seen, as far as it does not matter.
    let here: Multiaddr = "/memory/1"

    func told(by key: PrivateKey, addresses: [Multiaddr]) -> IdentifyUpdate {
        var update = told(by: key, protocols: 0)
        update.listenAddresses = addresses
        return update
    }

    func told(by key: PrivateKey, protocols: Int) -> IdentifyUpdate {
        IdentifyUpdate(
            peer: key.peerID,
            publicKey: key.publicKey,
            protocolVersion: "",
            agentVersion: "test",
            protocols: (0..<protocols).map { "/some/protocol/\($0)" },
            listenAddresses: ["/memory/3"]
        )
    }

    @Test func itIsBounded() throws {
        let store = PeerStore(capacity: 3)
        for peer in peers.prefix(3) { store.learn(["/memory/1"], of: peer) }
        store.learn(["/memory/2"], of: peers[0])
        store.learn(["/memory/1"], of: peers[3])
        #expect(store.count == 3)
        // The one that was not touched for longest is gone.
        #expect(store.info(for: peers[1]) == nil)
        #expect(store.addresses(of: peers[0]) == ["/memory/1", "/memory/2"])
        for number in 0..<100 { store.learn([try Multiaddr(parsing: "/memory/\(number)")], of: peers[0]) }
        #expect(store.addresses(of: peers[0]).count == PeerStore.addressLimit)
        store.learn([Multiaddr("/memory/7").withPeerID(peers[2])], of: peers[3])
        #expect(store.addresses(of: peers[3]) == ["/memory/1"])
        store.remove(peers[3])
        #expect(store.info(for: peers[3]) == nil)
    }

    // MARK: What a peer tells of itself

    @Test func whatAPeerTellsTakesNoPlaceOfWhatTheProgramKnows() throws {
        let store = PeerStore(capacity: 3)
        let (peer, key) = (peers[0], keys[0])
        let (added, met): (Multiaddr, Multiaddr) = ("/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/192.0.2.2/udp/1/quic-v1")
        store.add([added], for: peer)
        store.learn([met], of: peer)
        func flood(_ round: Int) throws -> [Multiaddr] {
            try (1...200).map { try Multiaddr(parsing: "/ip4/198.51.100.\($0)/udp/\(round)/quic-v1") }
        }
        for round in 1...3 {
            let addresses = try flood(round)
            store.record(told(by: key, addresses: addresses), seenAt: "/ip4/198.51.100.1/udp/1/quic-v1")
            let known = store.addresses(of: peer)
            #expect(known.count == PeerStore.addressLimit)
            // Dialled from the end: first what the program added, then what it met, then what the peer put first.
            #expect(known.suffix(2) == [met, added])
            #expect(known.dropLast(2) == addresses.prefix(62).reversed())
        }
        // Nor does it become the peer's word by being told as well.
        store.record(told(by: key, addresses: [added, met]), seenAt: here)
        #expect(store.addresses(of: peer).suffix(2) == [met, added] && store.addedAddresses(of: peer) == [added])
        // What the program adds is bounded too, the newest stay.
        let many = try (1...100).map { try Multiaddr(parsing: "/memory/\($0)") }
        store.add(many, for: peer)
        #expect(store.addresses(of: peer) == many.suffix(64))
        store.learn([met], of: peer)
        store.record(told(by: key, addresses: [met]), seenAt: here)
        #expect(store.addresses(of: peer) == many.suffix(64))
    }

    /// Where a peer is seen, and what of its addresses is kept then. The rest is of no use, or leads to somebody else.
    @Test(arguments: [
        (
            "/ip4/203.0.113.7/udp/1/quic-v1",
            ["/ip4/198.51.100.1/udp/1/quic-v1", "/ip6/2001:db8::1/udp/1/quic-v1", "/dns4/example.org/udp/1/quic-v1"]
        ),
        (
            "/ip6/2001:db8::9/udp/1/quic-v1",
            ["/ip4/198.51.100.1/udp/1/quic-v1", "/ip6/2001:db8::1/udp/1/quic-v1", "/dns4/example.org/udp/1/quic-v1"]
        ),
        (
            "/ip4/192.168.1.7/udp/1/quic-v1",
            [
                "/ip4/198.51.100.1/udp/1/quic-v1", "/ip6/2001:db8::1/udp/1/quic-v1", "/dns4/example.org/udp/1/quic-v1",
                "/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/192.168.1.7/udp/1/quic-v1", "/ip4/169.254.1.1/udp/1/quic-v1",
                "/ip4/100.64.0.1/udp/1/quic-v1", "/ip6/fd00::1/udp/1/quic-v1", "/ip6/fe80::1/udp/1/quic-v1",
                "/dns/printer.local/udp/1/quic-v1", "/dns/box.home.arpa/udp/1/quic-v1",
            ]
        ),
    ])
    func onlyWhatCanBeReachedFromHereIsKept(_ seenAt: String, _ kept: [String]) throws {
        let never = [
            "/ip4/0.0.0.0/udp/1/quic-v1", "/ip6/::/udp/1/quic-v1", "/ip4/224.0.0.1/udp/1/quic-v1",
            "/ip6/ff02::1/udp/1/quic-v1", "/ip6/::ffff:127.0.0.1/udp/1/quic-v1",
        ]
        let near = [
            "/ip4/127.0.0.1/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1", "/dns4/localhost/udp/1/quic-v1",
            "/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/192.168.1.7/udp/1/quic-v1", "/ip4/169.254.1.1/udp/1/quic-v1",
            "/ip4/100.64.0.1/udp/1/quic-v1", "/ip6/fd00::1/udp/1/quic-v1", "/ip6/fe80::1/udp/1/quic-v1",
            "/dns/printer.local/udp/1/quic-v1", "/dns/box.home.arpa/udp/1/quic-v1",
        ]
        let far = [
            "/ip4/198.51.100.1/udp/1/quic-v1", "/ip6/2001:db8::1/udp/1/quic-v1", "/dns4/example.org/udp/1/quic-v1",
        ]
        let all = try (never + near + far).map { try Multiaddr(parsing: $0) }
        let store = PeerStore(capacity: 3)
        let info = store.record(told(by: keys[0], addresses: all), seenAt: try Multiaddr(parsing: seenAt))
        #expect(Set(store.addresses(of: peers[0]).map(\.description)) == Set(kept))
        // What it said is told as it was said.
        #expect(info.listenAddresses == all)
        // A peer of this machine may be anywhere that is somewhere.
        for near in [here, "/ip4/127.0.0.1/udp/9/quic-v1"] as [Multiaddr] {
            let own = PeerStore(capacity: 3)
            own.record(told(by: keys[0], addresses: all), seenAt: near)
            #expect(own.addresses(of: peers[0]) == all.dropFirst(never.count).reversed())
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerOnTheInternetTellsNoPrivateAddresses(_ kind: TestNetwork) async throws {
        var talkative = HostConfiguration()
        talkative.identify.announcedAddresses = [
            "/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/127.0.0.1/udp/9/quic-v1", "/ip4/198.51.100.1/udp/1/quic-v1",
        ]
        try await kind.openHost(talkative) { network, server in
            let key = PrivateKey.ed25519()
            let far = DisguisedTransport(base: try network.transport(key), remote: "/ip4/203.0.113.7/udp/1/quic-v1")
            try await withHost(
                identity: key,
                transports: [far],
                configuration: NegotiationTests.quiet
            ) { client in
                try await client.connect(to: server.address)
                let info = try await client.identify(server.peerID)
                #expect(Set(talkative.identify.announcedAddresses).isSubset(of: info.listenAddresses))
                let known = client.peerStore.addresses(of: server.peerID)
                #expect(known.contains("/ip4/198.51.100.1/udp/1/quic-v1"))
                #expect(!known.contains("/ip4/10.0.0.1/udp/1/quic-v1"))
                #expect(!known.contains("/ip4/127.0.0.1/udp/9/quic-v1"))
            }
        }
    }

    // MARK: Bounds

    @Test func itIsBoundedInBytesToo() {
        let store = PeerStore(capacity: 1000, byteLimit: 100_000)
        for peer in peers { store.connected(peer) }
        for key in keys { store.record(told(by: key, protocols: 1000), seenAt: here) }
        // While they are connected, everything they said is there.
        store.learn(["/memory/1"], of: PrivateKey.ed25519().peerID)
        #expect(store.count == 7)
        for peer in peers { #expect(store.protocols(of: peer)?.count == 1000) }
        for peer in peers { store.disconnected(peer) }
        // What is left of them is small.
        #expect(store.size < 10_000)
        for peer in peers { #expect(store.protocols(of: peer) == nil && store.addresses(of: peer) == ["/memory/3"]) }
        for _ in 0..<1000 { store.learn(["/memory/1"], of: PrivateKey.ed25519().peerID) }
        #expect(store.size <= 100_000 && store.count < 400)
    }

    @Test func aSmallAnswerIsKeptWhenItsPeerGoes() {
        let store = PeerStore(capacity: 10)
        store.connected(peers[0])
        store.record(told(by: keys[0], protocols: 5), seenAt: here)
        store.disconnected(peers[0])
        #expect(store.protocols(of: peers[0])?.count == 5)
    }

    @Test func visitorsThatTellNothingPushNobodyOut() {
        let store = PeerStore(capacity: 4)
        let known = PrivateKey.ed25519().peerID
        store.learn(["/memory/1"], of: known)
        for _ in 0..<100 {
            let visitor = PrivateKey.ed25519().peerID
            store.connected(visitor)
            store.disconnected(visitor)
        }
        #expect(store.count == 1)
        #expect(store.addresses(of: known) == ["/memory/1"])
    }

    @Test func connectedAndAddedPeersStay() {
        let store = PeerStore(capacity: 2)
        store.add(["/memory/1"], for: peers[0])
        store.connected(peers[1])
        for peer in peers.dropFirst(2) { store.learn(["/memory/1"], of: peer) }
        #expect(store.addresses(of: peers[0]) == ["/memory/1"] && store.info(for: peers[1]) != nil)
        #expect(store.count == 2)
        // A second connection keeps it when the first one ends.
        store.connected(peers[1])
        store.disconnected(peers[1])
        store.learn(["/memory/1"], of: peers[2])
        #expect(store.info(for: peers[1]) != nil)
        store.disconnected(peers[1])
        store.remove(peers[0])
        for peer in peers.dropFirst(2) { store.learn(["/memory/1"], of: peer) }
        #expect(store.info(for: peers[0]) == nil && store.info(for: peers[1]) == nil)
    }

    @Test func whoIsNotMetAgainIsForgottenInTime() {
        let clock = ManualClock()
        let store = PeerStore(capacity: 10, lifetime: .seconds(100), clock: clock)
        store.learn(["/memory/1"], of: peers[0])
        store.learn(["/memory/1"], of: peers[1])
        store.add(["/memory/1"], for: peers[2])
        store.connected(peers[3])
        store.learn(["/memory/1"], of: peers[3])
        clock.advance(by: .seconds(99))
        store.learn(["/memory/2"], of: peers[1])
        clock.advance(by: .seconds(2))
        #expect(store.info(for: peers[0]) == nil && store.addresses(of: peers[0]).isEmpty)
        #expect(Set(store.storedPeers().map(\.peer)) == [peers[1], peers[2], peers[3]])
        // Its time begins with the end of its connection.
        store.disconnected(peers[3])
        clock.advance(by: .seconds(99))
        #expect(store.info(for: peers[1]) == nil && store.info(for: peers[3]) != nil)
        clock.advance(by: .seconds(2))
        #expect(store.info(for: peers[3]) == nil)
        store.learn(["/memory/9"], of: peers[0])
        #expect(store.addresses(of: peers[0]) == ["/memory/9"])
        #expect(store.count == 2)
    }

    @Test func anEarlierRunIsTakenInButNotPreferred() {
        let store = PeerStore(capacity: 3, lifetime: .seconds(100), clock: ManualClock())
        store.learn(["/memory/2"], of: peers[0])
        store.restore([
            StoredPeer(peer: peers[0], addresses: ["/memory/1", "/memory/2"], isAdded: false, age: .seconds(90)),
            StoredPeer(peer: peers[1], addresses: ["/memory/1"], isAdded: false, age: .seconds(10)),
            StoredPeer(peer: peers[2], addresses: ["/memory/1"], isAdded: false, age: .seconds(20)),
            StoredPeer(peer: peers[3], addresses: ["/memory/1"], isAdded: false, age: .seconds(101)),
            StoredPeer(peer: peers[4], addresses: ["/memory/1"], isAdded: true, age: .seconds(1000)),
        ])
        // Addresses of this run are tried first, being the last.
        #expect(store.addresses(of: peers[0]) == ["/memory/1", "/memory/2"])
        #expect(store.count == 3)
        #expect(store.info(for: peers[4]) != nil && store.info(for: peers[3]) == nil)
    }

    @Test func whoKeepsNotWhatTheProgramAddedLosesNoProtection() {
        let store = PeerStore(capacity: 3)
        let known: [Multiaddr] = ["/memory/1", "/memory/2"]
        store.restore([
            StoredPeer(peer: peers[0], addresses: known, isAdded: true, age: .zero),
            StoredPeer(peer: peers[1], addresses: known, isAdded: false, age: .zero),
            StoredPeer(peer: peers[2], addresses: known, addedAddresses: [], isAdded: true, age: .zero),
        ])
        #expect(store.addedAddresses(of: peers[0]) == known)
        #expect(store.addedAddresses(of: peers[1]) == [] && store.addedAddresses(of: peers[2]) == [])
        #expect(store.addresses(of: peers[1]) == known && store.addresses(of: peers[2]) == known)
    }

    @Test(arguments: TestNetwork.allCases)
    func aHostTellsWhoIsConnected(_ network: TestNetwork) async throws {
        var configuration = HostConfiguration()
        configuration.rememberedPeers = 2
        try await withTwoHosts(on: network, .defaults, configuration) { server, client in
            let peer = try await client.connect(to: server.address)
            for _ in 0..<10 { client.peerStore.learn(["/memory/9"], of: PrivateKey.ed25519().peerID) }
            #expect(client.peerStore.info(for: peer) != nil)
            await client.disconnect(from: peer)
            while !client.connectedPeers.isEmpty { await Task.yield() }
            while client.peerStore.info(for: peer) != nil {
                client.peerStore.learn(["/memory/9"], of: PrivateKey.ed25519().peerID)
                await Task.yield()
            }
        }
    }
}
