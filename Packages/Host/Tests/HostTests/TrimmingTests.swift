import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// How the number of connections is kept down.
@Suite(.timeLimit(.minutes(1))) struct TrimmingTests {
    private func withPeers(
        _ count: Int,
        on kind: TestNetwork,
        trimming: HostConfiguration.Trimming,
        metrics: TestMetrics = TestMetrics(),
        _ body: (BasicHost, [any MuxedConnection], ManualClock, (PrivateKey) async throws -> any MuxedConnection)
            async throws -> Void
    ) async throws {
        let clock = ManualClock()
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        configuration.connections.trimming = trimming
        configuration.metricsFactory = metrics
        try await kind.openHost(configuration) { network, host in
            func dial(_ key: PrivateKey) async throws -> any MuxedConnection {
                let before = host.connectedPeers.count
                let end = try await network.peer(key, dialing: host)
                while host.connectedPeers.count == before { await Task.yield() }
                return end
            }
            var ends: [any MuxedConnection] = []
            for _ in 0..<count { ends.append(try await dial(.ed25519())) }
            try await body(host, ends, clock, dial)
        }
    }

    private func trimmed(_ events: inout AsyncStream<HostEvent>.AsyncIterator) async -> [PeerID]? {
        while let event = await events.next() {
            if case .trimmed(let connections) = event { return connections.map(\.peer) }
        }
        return nil
    }

    @Test(arguments: TestNetwork.allCases) func peersOfLittleValueGoFirst(_ network: TestNetwork) async throws {
        let trimming = HostConfiguration.Trimming(lowWater: 2, highWater: 4, gracePeriod: .zero)
        let metrics = TestMetrics()
        try await withPeers(4, on: network, trimming: trimming, metrics: metrics) { host, ends, _, dial in
            let peers = ends.map(\.localPeer)
            host.setValue(10, of: peers[0], tag: "useful")
            host.setValue(-1, of: peers[3], tag: "slow")
            host.setValue(5, of: peers[1], tag: "useful")
            host.setValue(-5, of: peers[1], tag: "slow")
            #expect(host.value(of: peers[1]) == 0)
            host.setValue(0, of: peers[3], tag: "unused")
            #expect(host.value(of: peers[3]) == -1)
            host.setValue(.max, of: peers[0], tag: "more")
            #expect(host.value(of: peers[0]) == .max)
            let friend = PrivateKey.ed25519()
            host.protect(friend.peerID, tag: "friend")
            var events = host.events().makeAsyncIterator()
            let last = try await dial(friend)
            // The least valued one, then the oldest of those worth nothing.
            #expect(await trimmed(&events) == [peers[3], peers[1], peers[2]])
            for index in [1, 2, 3] {
                #expect(await ends[index].waitUntilClosed().code == ConnectionErrorCode.garbageCollected.rawValue)
            }
            #expect(!last.isClosed && !ends[0].isClosed)
            #expect(metrics.counterTotal(label: "libp2p_host_connections_trimmed") == 3)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func theYoungAreLookedAtAgainWhenTheyHaveGrownUp(_ network: TestNetwork) async throws {
        let trimming = HostConfiguration.Trimming(lowWater: 1, highWater: 2, gracePeriod: .seconds(20))
        try await withPeers(3, on: network, trimming: trimming) { host, ends, clock, _ in
            var events = host.events().makeAsyncIterator()
            #expect(host.connections().count == 3)
            await clock.waitForSleepers()
            clock.advance(by: .seconds(20))
            #expect(await trimmed(&events) == ends.prefix(2).map(\.localPeer))
            #expect(!ends[2].isClosed)
        }
    }
}
