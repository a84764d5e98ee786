import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// Knows the names of a test, and what was asked for.
final class TableResolver: NameResolver {
    private let table: [String: [String]]
    private let log = Mutex<[String]>([])

    /// - Parameter table: What names stand for: IPv4 addresses in text, or TXT records.
    init(_ table: [String: [String]]) {
        self.table = table
    }

    /// The names that were looked up, in order.
    var asked: [String] { log.withLock { $0 } }

    func ip4Addresses(of name: String) async throws -> [[UInt8]] {
        note(name)
        return table[name, default: []].map { $0.split(separator: ".").compactMap { UInt8($0) } }
    }

    func ip6Addresses(of name: String) async throws -> [[UInt8]] { [] }

    func textRecords(of name: String) async throws -> [[UInt8]] {
        note(name)
        return table[name, default: []].map { Array($0.utf8) }
    }

    private func note(_ name: String) { log.withLock { $0.append(name) } }
}

/// Names in addresses: what they stand for is dialled as if it had been named, and passes the same questions.
@Suite(.timeLimit(.minutes(1))) struct LookupTests {
    private let stranger = PrivateKey.ed25519().peerID
    private let name: Multiaddr = "/dns4/peer.test/udp/1/quic-v1"

    /// A host on a transport that answers nobody, and whose clock stands still.
    private func withHost(
        _ table: [String: [String]],
        on network: TestNetwork,
        failing: Set<Multiaddr> = [],
        _ change: (inout HostConfiguration) -> Void = { _ in },
        _ body: (BasicHost, StuckTransport, ManualClock, TableResolver) async throws -> Void
    ) async throws {
        let resolver = TableResolver(table)
        try await withStuckHost(
            on: network,
            failing: failing,
            { configuration in
                configuration.resolver = resolver
                change(&configuration)
            }
        ) { host, transport, clock in try await body(host, transport, clock, resolver) }
    }

    @Test(arguments: TestNetwork.allCases)
    func theGaterSeesWhatANameStandsForBeforeItIsDialled(_ network: TestNetwork) async throws {
        let (bad, good): (Multiaddr, Multiaddr) = ("/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/192.0.2.7/udp/1/quic-v1")
        let seen = Mutex<[Multiaddr]>([])
        let gate: (inout HostConfiguration) -> Void = { configuration in
            configuration.gater = ConnectionGater(allowsDialingAddress: { address in
                seen.withLock { $0.append(address.withoutPeerID) }
                return !AddressRanking.isPrivate(address)
            })
        }
        try await withHost(["peer.test": ["10.0.0.1"]], on: network, failing: [bad], gate) { host, transport, _, _ in
            // A name that leads into the private network is as good as that address itself.
            #expect(await code { try await host.connect(to: name) } == .gated)
            #expect(await code { try await host.connect(to: stranger, addresses: [name]) } == .gated)
            #expect(transport.dials.isEmpty)
            #expect(seen.withLock { $0 } == [name, bad, name, bad])
        }
        let two = ["peer.test": ["10.0.0.1", "192.0.2.7"]]
        try await withHost(two, on: network, failing: [bad, good], gate) { host, transport, _, _ in
            #expect(await code { try await host.connect(to: name) } == .dialFailed)
            #expect(transport.dials == [good])
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aNameThatIsRefusedIsNotEvenLookedUp(_ network: TestNetwork) async throws {
        let gate: (inout HostConfiguration) -> Void = { configuration in
            configuration.gater = ConnectionGater(allowsDialingAddress: { !$0.hasName })
        }
        try await withHost(["peer.test": ["192.0.2.7"]], on: network, gate) { host, _, _, resolver in
            #expect(await code { try await host.connect(to: name) } == .gated)
            #expect(resolver.asked.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func whatANameStandsForIsTriedOneAfterTheOther(_ network: TestNetwork) async throws {
        let table = ["peer.test": ["192.0.2.1", "192.0.2.2"]]
        let last: Multiaddr = "/ip4/192.0.2.9/udp/1/quic"
        try await withHost(table, on: network) { host, transport, clock, _ in
            let dial = Task { await code { try await host.connect(to: stranger, addresses: [last, name]) } }
            let order: [Multiaddr] = ["/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/192.0.2.2/udp/1/quic-v1", last]
            for count in 1...3 {
                await transport.waitFor(count)
                #expect(transport.dials == Array(order.prefix(count)))
                // The deadline, the head start of the name, which ended with the answer, and one for each that was dialled.
                guard count < 3 else { break }
                await clock.waitForSleeps(begun: 2 + count)
                clock.advance(by: .milliseconds(250))
            }
            dial.cancel()
            #expect(await dial.value == .cancelled)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aSlowNameServerHoldsNothingElseUp(_ network: TestNetwork) async throws {
        struct Stuck: NameResolver {
            func ip4Addresses(of name: String) async throws -> [[UInt8]] {
                let (never, _) = AsyncStream<Void>.makeStream()
                for await _ in never {}
                throw CancellationError()
            }
            func ip6Addresses(of name: String) async throws -> [[UInt8]] { [] }
            func textRecords(of name: String) async throws -> [[UInt8]] { [] }
        }
        let plain: Multiaddr = "/ip4/192.0.2.9/udp/1/quic"
        let slow: (inout HostConfiguration) -> Void = { $0.resolver = Stuck() }
        try await withHost([:], on: network, slow) { host, transport, clock, _ in
            let dial = Task { await code { try await host.connect(to: stranger, addresses: [name, plain]) } }
            await clock.waitForSleepers(2)
            clock.advance(by: .milliseconds(250))
            await transport.waitFor(1)
            #expect(transport.dials == [plain])
            clock.advance(by: .seconds(10))
            #expect(await dial.value == .timeout)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func namesThatLeadNowhereAreSaidSo(_ network: TestNetwork) async throws {
        let table = ["tcp.test": ["192.0.2.1"], "_dnsaddr.tcp.test": ["dnsaddr=/ip4/192.0.2.1/tcp/1"]]
        try await withHost(table, on: network) { host, transport, _, resolver in
            #expect(await code { try await host.connect(to: name) } == .dialFailed)
            #expect(await code { try await host.connect(to: "/dnsaddr/tcp.test") } == .noTransport)
            // No transport dials it, whatever the name stands for.
            let before = resolver.asked
            #expect(await code { try await host.connect(to: "/dns4/tcp.test/tcp/1") } == .noTransport)
            #expect(resolver.asked == before && transport.dials.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aRecordThatNamesAnotherPeerIsLeftOut(_ network: TestNetwork) async throws {
        let other = PrivateKey.ed25519().peerID
        let there: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
        let records = [other, stranger].enumerated().map { "dnsaddr=/ip4/192.0.2.\($0 + 2)/udp/1/quic-v1/p2p/\($1)" }
        let mine: Multiaddr = "/ip4/192.0.2.3/udp/1/quic-v1"
        let table = ["_dnsaddr.peer.test": records + ["dnsaddr=\(there)"]]
        try await withHost(table, on: network, failing: [there, mine]) { host, transport, _, _ in
            let dial = await code { try await host.connect(to: stranger, addresses: ["/dnsaddr/peer.test"]) }
            #expect(dial == .dialFailed)
            #expect(Set(transport.dials).isSubset(of: [there, mine]) && transport.dials.contains(mine))
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aNameThatOnlyThePeerToldLeadsToTheInternetOnly(_ network: TestNetwork) async throws {
        let key = PrivateKey.ed25519()
        let names: [Multiaddr] = ["/dns4/near.test/udp/1/quic-v1", "/dnsaddr/near.test"]
        let (near, machine): (Multiaddr, Multiaddr) = ("/ip4/10.0.0.5/udp/1/quic-v1", "/ip4/169.254.1.1/udp/1/quic-v1")
        let far: Multiaddr = "/ip4/192.0.2.7/udp/1/quic-v1"
        let table = [
            "near.test": ["10.0.0.5", "224.0.0.1", "192.0.2.7"],
            "_dnsaddr.near.test": [near, machine, far].map { "dnsaddr=\($0)/p2p/\(key.peerID)" },
        ]
        let dials: Set<Multiaddr> = [near, machine, far, "/ip4/224.0.0.1/udp/1/quic-v1"]
        for name in names {
            for isNamedBefore in [false, true] {
                try await withHost(table, on: network, failing: dials) { host, transport, clock, _ in
                    let told = IdentifyUpdate(
                        peer: key.peerID,
                        publicKey: key.publicKey,
                        protocolVersion: "",
                        agentVersion: "",
                        protocols: [],
                        listenAddresses: [name]
                    )
                    if isNamedBefore {
                        // Whom a caller named may be where the caller likes, also when the peer says so too.
                        #expect(await code { try await host.connect(to: key.peerID, addresses: [name]) } == .dialFailed)
                        #expect(transport.dials.contains(near))
                        clock.advance(by: .seconds(3600))
                    }
                    let before = transport.dials.count
                    host.peerStore.record(told, seenAt: "/ip4/203.0.113.7/udp/1/quic-v1")
                    #expect(await code { try await host.connect(to: key.peerID) } == .dialFailed)
                    let after = transport.dials.dropFirst(before)
                    #expect(isNamedBefore ? after.contains(near) : after == [far])
                }
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func whatFailedRestsAlsoUnderItsName(_ network: TestNetwork) async throws {
        let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
        let table = ["peer.test": ["192.0.2.1"]]
        try await withHost(table, on: network, failing: [address]) { host, transport, clock, _ in
            host.peerStore.add([name], for: stranger)
            #expect(await code { try await host.connect(to: stranger) } == .dialFailed)
            #expect(await code { try await host.connect(to: stranger) } == .dialBackOff)
            #expect(transport.dials.count == 1)
            // A caller who names it wants it now.
            #expect(await code { try await host.connect(to: stranger, addresses: [name]) } == .dialFailed)
            #expect(transport.dials.count == 2)
            clock.advance(by: .seconds(9))
            #expect(await code { try await host.connect(to: stranger) } == .dialFailed)
            #expect(transport.dials.count == 3)
        }
    }

    #if HOSTS_ON_QUIC
    @Test func aPeerIsReachedByItsName() async throws {
        try await TestNetwork.quic.openHost(NegotiationTests.quiet) { network, server in
            let port = try #require(server.address.first(.udp)?.port)
            var configuration = NegotiationTests.quiet
            let records = ["dnsaddr=\(try server.address)"]
            configuration.resolver = TableResolver(["peer.test": ["127.0.0.1"], "_dnsaddr.peer.test": records])
            for text in ["/dns4/peer.test/udp/\(port)/quic-v1", "/dnsaddr/peer.test"] {
                try await network.host(configuration) { client in
                    #expect(try await client.connect(to: Multiaddr(parsing: text)) == server.peerID)
                    #expect(try await client.ping(server.peerID) > .zero)
                    // The own address under another name.
                    let own = try #require(client.address.first(.udp)?.port)
                    let mirror = try Multiaddr(parsing: "/dns4/peer.test/udp/\(own)/quic-v1")
                    #expect(await code { try await client.connect(to: mirror) } == .dialSelf)
                }
            }
        }
    }
    #endif
}
