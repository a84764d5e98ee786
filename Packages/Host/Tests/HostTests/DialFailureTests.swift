import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// A clock that is moved by hand, and knows how many tasks sleep.
private final class SleepWatch: Clock {
    let clock = ManualClock()
    private let count = Mutex((begun: 0, sleeping: 0))

    /// How often somebody began to sleep.
    var begun: Int { count.withLock { $0.begun } }
    var sleeping: Int { count.withLock { $0.sleeping } }
    var now: ManualClock.Instant { clock.now }
    var minimumResolution: Duration { .zero }

    func sleep(until deadline: ManualClock.Instant, tolerance: Duration?) async throws {
        count.withLock { ($0.begun, $0.sleeping) = ($0.begun + 1, $0.sleeping + 1) }
        defer { count.withLock { $0.sleeping -= 1 } }
        try await clock.sleep(until: deadline, tolerance: tolerance)
    }
}

/// Dials to many addresses, of which some or all do not answer.
@Suite(.timeLimit(.minutes(1))) struct DialFailureTests {
    let stranger = PrivateKey.ed25519().peerID

    @Test(arguments: TestNetwork.allCases)
    func namedAddressesComeFirstAndAreNeverLeftOut(_ network: TestNetwork) async throws {
        let named: Multiaddr = "/ip4/192.0.2.99/udp/1/quic"
        let stored = try (1...20).map { try Multiaddr(parsing: "/ip6/2001:db8::\($0)/udp/1/quic-v1") }
        // Everything fails at once: every address is dialled, the named one first although it is the least liked.
        try await withStuckHost(on: network, failing: Set(stored + [named])) { host, transport, _ in
            host.peerStore.add(stored, for: stranger)
            let failure = await code { try await host.connect(to: stranger, addresses: [named]) }
            #expect(failure == .dialFailed)
            #expect(transport.dials.first == named)
            #expect(Set(transport.dials) == Set(stored + [named]) && transport.dials.count == 21)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func onlySoManyAddressesAreDialledAtOnce(_ network: TestNetwork) async throws {
        let stored = try (1...20).map { try Multiaddr(parsing: "/ip6/2001:db8::\($0)/udp/1/quic-v1") }
        let watch = SleepWatch()
        try await withStuckHost(on: network, { $0.clock = watch }) { host, transport, _ in
            host.peerStore.add(stored, for: stranger)
            let dial = Task { await code { try await host.connect(to: stranger) } }
            for count in 1...8 {
                await transport.waitFor(count)
                // The deadline, and the head start of the one that was dialled last.
                while watch.begun != count + 1 || watch.sleeping != 2 { await Task.yield() }
                watch.clock.advance(by: .milliseconds(250))
            }
            while watch.sleeping != 1 { await Task.yield() }
            for _ in 0..<100 { await Task.yield() }
            #expect(transport.dials.count == 8)
            watch.clock.advance(by: .seconds(8))
            #expect(await dial.value == .timeout)
            #expect(transport.dials.count == 8)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aFailureStartsTheNextOneAndNothingElse(_ network: TestNetwork) async throws {
        let addresses = try (1...6).map { try Multiaddr(parsing: "/ip4/192.0.2.\($0)/udp/1/quic-v1") }
        let watch = SleepWatch()
        // The first three fail at once; of the others nobody hears.
        try await withStuckHost(
            on: network,
            failing: Set(addresses.prefix(3)),
            { $0.clock = watch }
        ) { host, transport, _ in
            let dial = Task { await code { try await host.connect(to: stranger, addresses: addresses) } }
            for count in 4...6 {
                await transport.waitFor(count)
                #expect(transport.dials == Array(addresses.prefix(count)))
                // The deadline, and one head start while there is another address: none of those that failed.
                let expected = count < 6 ? 2 : 1
                let begun = min(count, 5) + 1
                while watch.begun < begun || watch.sleeping != expected { await Task.yield() }
                watch.clock.advance(by: .milliseconds(249))
                for _ in 0..<100 { await Task.yield() }
                #expect(transport.dials.count == count && watch.sleeping == expected)
                watch.clock.advance(by: .milliseconds(1))
            }
            dial.cancel()
            #expect(await dial.value == .cancelled)
            while watch.sleeping > 0 { await Task.yield() }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func silentAddressesAreRememberedAsFailures(_ network: TestNetwork) async throws {
        let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
        try await withStuckHost(on: network) { host, transport, clock in
            var events = host.events().makeAsyncIterator()
            let failure = await clock.ticking(by: .seconds(10)) {
                await code { try await host.connect(to: stranger, addresses: [address]) }
            }
            #expect(failure == .timeout)
            guard case .dialFailed(let peer, let error) = await events.next() else {
                Issue.record("no event of a failed dial")
                return
            }
            #expect(peer == stranger && error.code == .timeout)
            await transport.waitFor(2)
            #expect(transport.dials == [address])
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func silentAddressesRestForAWhile(_ network: TestNetwork) async throws {
        let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
        try await withStuckHost(on: network) { host, transport, clock in
            host.peerStore.add([address], for: stranger)
            let dial = Task { await code { try await host.connect(to: stranger) } }
            await transport.waitFor(1)
            await clock.waitForSleepers()
            clock.advance(by: .seconds(10))
            #expect(await dial.value == .timeout)
            let again = Task { await code { try await host.connect(to: stranger) } }
            // A second dial would be as silent as the first.
            let result = try await withDeadline(.seconds(5)) {
                await withTaskCancellationHandler {
                    await again.value
                } onCancel: {
                    again.cancel()
                }
            }
            #expect(result == .dialBackOff)
            #expect(transport.dials == [address])
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aSharedDialThatFailsIsFollowedByOneToTheOtherAddresses(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let key = PrivateKey.ed25519()
            let dead: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
            let clock = ManualClock()
            var configuration = HostConfiguration()
            configuration.clock = clock
            configuration.identify.runsOnConnect = false
            let stuck = try await StuckTransport(in: network)
            let peer = try network.transport(key)
            let listener = try await peer.listen(on: network.anywhere)
            let good = try #require(listener.addresses.first)
            let own = PrivateKey.ed25519()
            try await withHost(
                identity: own,
                transports: [stuck, network.transport(own)],
                configuration: configuration
            ) { host in
                let first = Task { await code { try await host.connect(to: key.peerID, addresses: [dead]) } }
                await stuck.waitFor(1)
                let second = Task { await code { try await host.connect(to: key.peerID, addresses: [good]) } }
                for _ in 0..<100 { await Task.yield() }
                await clock.waitForSleepers()
                clock.advance(by: .seconds(10))
                #expect(await first.value == .timeout)
                #expect(await second.value == nil)
                #expect(host.connectedPeers == [key.peerID])
            }
        }
    }

    @Test func othersBeginWhenTheNamedOnesHadTheirHeadStarts() {
        let entries = AddressRanking.rank(
            ["/ip4/192.0.2.1/udp/1/quic", "/ip4/10.0.0.1/udp/1/quic-v1", "/ip4/192.0.2.2/udp/1/quic-v1"],
            first: ["/ip4/192.0.2.1/udp/1/quic"],
            publicStagger: .milliseconds(250),
            privateStagger: .milliseconds(30)
        )
        #expect(
            entries == [
                .init(address: "/ip4/192.0.2.1/udp/1/quic", delay: .zero),
                .init(address: "/ip4/10.0.0.1/udp/1/quic-v1", delay: .milliseconds(250)),
                .init(address: "/ip4/192.0.2.2/udp/1/quic-v1", delay: .milliseconds(250)),
            ]
        )
    }

    @Test(arguments: TestNetwork.allCases)
    func aHostThatNobodyRunsGivesUpToo(_ kind: TestNetwork) async throws {
        var configuration = HostConfiguration()
        configuration.connections.dialTimeout = .milliseconds(50)
        try await kind.open { network in
            let transport = try await StuckTransport(in: network)
            let host = try BasicHost(identity: .ed25519(), transports: [transport], configuration: configuration)
            let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
            #expect(await code { try await host.connect(to: stranger, addresses: [address]) } == .timeout)
            #expect(transport.dials.isEmpty)
            await host.close()
        }
    }
}
