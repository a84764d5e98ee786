import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

@Suite(.timeLimit(.minutes(1))) struct ObservedAddressTests {
    private let listening: [Multiaddr] = ["/ip4/0.0.0.0/udp/4001/quic-v1"]
    private let seen: Multiaddr = "/ip4/203.0.113.7/udp/9999/quic-v1"

    private func connection(
        _ id: UInt64,
        from remote: Multiaddr,
        to local: Multiaddr = "/ip4/192.168.1.2/udp/4001/quic-v1",
        peer: PeerID = PrivateKey.ed25519().peerID
    ) -> ConnectionInfo {
        ConnectionInfo(
            id: id,
            peer: peer,
            direction: .outbound,
            localAddress: local,
            remoteAddress: remote
        )
    }

    @Test func anAddressNeedsObserversInDifferentNetworks() throws {
        var two = ObservedAddresses(observersNeeded: 2)
        var three = ObservedAddresses(observersNeeded: 3)
        for id in 1...10 {
            // Ten peers at one address are one observer; so are those in one /56.
            let four = connection(UInt64(id), from: "/ip4/198.51.100.1/udp/1/quic-v1")
            let address = try Multiaddr(parsing: "/ip6/2001:db8:1:1\(id % 10)::\(id)/udp/1/quic-v1")
            let six = connection(UInt64(100 + id), from: address)
            for each in [four, six] {
                two.note(seen, by: each, listening: listening)
                three.note(seen, by: each, listening: listening)
            }
        }
        #expect(three.confirmed.isEmpty)
        #expect(two.confirmed == [seen])
        three.note(seen, by: connection(20, from: "/ip4/198.51.100.2/udp/1/quic-v1"), listening: listening)
        #expect(three.confirmed == [seen])
        // It is over with the connections that told it.
        three.forget(20)
        #expect(three.confirmed.isEmpty)
    }

    @Test func onePeerIsOneObserverWhereverItIs() throws {
        var one = ObservedAddresses(observersNeeded: 1)
        var two = ObservedAddresses(observersNeeded: 2)
        let liar = PrivateKey.ed25519().peerID
        for id in 1...10 {
            let from = try Multiaddr(parsing: "/ip4/198.51.100.\(id)/udp/1/quic-v1")
            one.note(seen, by: connection(UInt64(id), from: from, peer: liar), listening: listening)
            two.note(seen, by: connection(UInt64(id), from: from, peer: liar), listening: listening)
        }
        #expect(two.confirmed.isEmpty)
        #expect(one.confirmed == [seen])
        two.note(seen, by: connection(11, from: "/ip4/198.51.100.1/udp/1/quic-v1"), listening: listening)
        #expect(two.confirmed == [seen])
    }

    @Test func whatAConnectionToldLastCountsAndNothingIsLeftBehind() throws {
        let other: Multiaddr = "/ip4/203.0.113.8/udp/4001/quic-v1"
        let here = connection(1, from: "/ip4/198.51.100.1/udp/1/quic-v1")
        var observed = ObservedAddresses(observersNeeded: 1)
        observed.note(seen, by: here, listening: listening)
        observed.note(other, by: here, listening: listening)
        #expect(observed.confirmed == [other])
        observed.note(nil, by: here, listening: listening)
        #expect(observed.confirmed.isEmpty)
        #expect(observed.isEmpty)
    }

    @Test func onlyWhatARouterCouldHaveMadeIsBelieved() {
        var observed = ObservedAddresses(observersNeeded: 1)
        let here = connection(1, from: "/ip4/198.51.100.1/udp/1/quic-v1")
        let name = String(repeating: "a", count: 120)
        let false_: [Multiaddr?] = [
            // Another protocol than that of the connection, less of it, or more.
            "/ip4/203.0.113.7/tcp/9999", "/ip4/203.0.113.7/udp/9999/quic", "/ip4/203.0.113.7/udp/9999",
            "/ip4/203.0.113.7/udp/9999/quic-v1/webtransport", "/ip6/2001:db8::1/udp/9999/quic-v1",
            "/dns4/example.org/udp/9999/quic-v1", Multiaddr("/dns4/\(name)/udp/9999/quic-v1"), "/memory/1",
            // Not of the public internet: private, a provider's own, of a group, of nobody.
            "/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/192.168.1.2/udp/4001/quic-v1", "/ip4/169.254.0.1/udp/1/quic-v1",
            "/ip4/100.64.0.1/udp/1/quic-v1", "/ip4/224.0.0.1/udp/1/quic-v1", "/ip4/255.255.255.255/udp/1/quic-v1",
        ]
        for address in false_ {
            observed.note(address, by: here, listening: listening)
            #expect(observed.confirmed.isEmpty, "\(String(describing: address))")
        }
        let six = connection(2, from: "/ip6/2001:db8::2/udp/1/quic-v1", to: "/ip6/fd00::2/udp/4001/quic-v1")
        for address in ["/ip6/fe80::1/udp/1/quic-v1", "/ip6/::ffff:10.0.0.1/udp/1/quic-v1"] as [Multiaddr] {
            observed.note(address, by: six, listening: ["/ip6/::/udp/4001/quic-v1"])
            #expect(observed.confirmed.isEmpty)
        }
        // One listener for both families.
        observed.note("/ip6/2001:db8::1/udp/9/quic-v1", by: six, listening: ["/ip6/::/udp/4001/quic-v1"])
        observed.note(seen, by: here, listening: ["/ip6/::/udp/4001/quic-v1"])
        #expect(Set(observed.confirmed) == [seen, "/ip6/2001:db8::1/udp/9/quic-v1"])
    }

    @Test func aListenerOfThisMachineAloneIsSeenByThisMachineAlone() {
        var observed = ObservedAddresses(observersNeeded: 1)
        let local: Multiaddr = "/ip4/127.0.0.1/udp/4001/quic-v1"
        let here = connection(1, from: "/ip4/127.0.0.1/udp/1/quic-v1", to: local)
        observed.note(seen, by: here, listening: [local])
        #expect(observed.confirmed.isEmpty)
        observed.note(local, by: here, listening: [local])
        #expect(observed.confirmed == [local])
    }

    @Test func whatTellsNothingAboutTheListenerDoesNotCount() {
        var observed = ObservedAddresses(observersNeeded: 1)
        let other = connection(1, from: "/ip4/198.51.100.1/udp/1/quic-v1", to: "/ip4/192.168.1.2/udp/5000/quic-v1")
        observed.note(seen, by: other, listening: listening)
        let good = connection(2, from: "/ip4/198.51.100.1/udp/1/quic-v1")
        let useless: [Multiaddr] = [
            "/ip4/0.0.0.0/udp/1/quic-v1", "/ip4/127.0.0.1/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1",
        ]
        for address in useless { observed.note(address, by: good, listening: listening) }
        observed.note(seen, by: good, listening: [])
        #expect(observed.confirmed.isEmpty)
        observed.note(seen, by: good, listening: listening)
        #expect(observed.confirmed == [seen])
        // A connection has one vote, the last.
        observed.note("/ip4/203.0.113.8/udp/1/quic-v1", by: good, listening: listening)
        #expect(observed.confirmed == ["/ip4/203.0.113.8/udp/1/quic-v1"])
    }

    @Test func thoseToldAreFew() throws {
        var observed = ObservedAddresses(observersNeeded: 1)
        for id in 1...100 {
            let from = try Multiaddr(parsing: "/ip4/198.51.100.\(id)/udp/1/quic-v1")
            let told = try Multiaddr(parsing: "/ip4/203.0.113.\(id)/udp/1/quic-v1")
            observed.note(told, by: connection(UInt64(id), from: from), listening: listening)
        }
        #expect(observed.confirmed.count == ObservedAddresses.limit)
    }

    @Test(arguments: TestNetwork.allCases)
    func aHostTellsOthersWhereEnoughPeersSeeIt(_ kind: TestNetwork) async throws {
        // On loopback everybody is in one network.
        let needed = kind == .memory ? 3 : 1
        var configuration = HostConfiguration()
        configuration.identify.observersNeeded = needed
        try await kind.openHost(configuration) { network, host in
            let address = try host.address
            try await withObservers(needed, in: network) { observers in
                #expect(host.observedAddresses == [])
                let events = host.events()
                var identified = 0
                for observer in observers { try await observer.connect(to: address) }
                for await event in events {
                    if case .identified = event { identified += 1 }
                    if identified == needed { break }
                }
                // All see the listener's own address here.
                #expect(host.observedAddresses == [address.withoutPeerID])
                #expect(host.advertisedAddresses == [address.withoutPeerID])
                await observers[0].close()
                for await event in events {
                    if case .disconnected = event { break }
                }
                #expect(host.observedAddresses == [])
            }
        }
    }

    private func withObservers(
        _ count: Int,
        in network: OpenNetwork,
        _ body: ([BasicHost]) async throws -> Void
    ) async throws {
        guard count > 0 else { return try await body([]) }
        try await network.host(listens: false) { host in
            try await withObservers(count - 1, in: network) { try await body($0 + [host]) }
        }
    }
}
