import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Each question of the gater, answered with no: it is refused, and it is counted.
@Suite(.timeLimit(.minutes(1))) struct GaterTests {
    private func withGater(
        _ gater: ConnectionGater,
        _ body: (BasicHost, any Transport, Multiaddr, TestMetrics) async throws -> Void
    ) async throws {
        let metrics = TestMetrics()
        var configuration = NegotiationTests.quiet
        configuration.gater = gater
        configuration.metricsFactory = metrics
        let network = MemoryNetwork()
        let key = PrivateKey.ed25519()
        let peer = MemoryTransport(identity: .ed25519(), network: network)
        let listener = try await peer.listen(on: "/memory/0")
        try await withHost(
            identity: key,
            transports: [MemoryTransport(identity: key, network: network)],
            listen: ["/memory/0"],
            configuration: configuration
        ) { host in
            try await body(host, peer, #require(listener.addresses.first), metrics)
            #expect(host.resources.usages.isEmpty && host.connections().isEmpty)
        }
    }

    private func gated(_ stage: GaterStage, _ metrics: TestMetrics) -> Int64 {
        metrics.counterTotal(label: "libp2p_host_gated", dimensions: [("stage", stage.rawValue)])
    }

    @Test func aPeerIsNotDialled() async throws {
        try await withGater(ConnectionGater(allowsDialingPeer: { _ in false })) { host, _, address, metrics in
            #expect(
                await code { try await host.connect(to: PrivateKey.ed25519().peerID, addresses: [address]) } == .gated
            )
            #expect(gated(.dialPeer, metrics) == 1)
        }
    }

    @Test func anAddressIsNotDialled() async throws {
        try await withGater(ConnectionGater(allowsDialingAddress: { _ in false })) { host, _, address, metrics in
            #expect(await code { try await host.connect(to: address.withoutPeerID) } == .gated)
            #expect(gated(.dialAddress, metrics) == 1)
        }
    }

    @Test func aConnectionDoesNotComeIn() async throws {
        let gater = ConnectionGater(allowsAccepting: { local, remote in local == remote })
        try await withGater(gater) { host, peer, address, metrics in
            let connection = try await peer.dial(host.address)
            #expect(await connection.waitUntilClosed().code == ConnectionErrorCode.gated.rawValue)
            #expect(gated(.accept, metrics) == 1)
            let refused = [("cause", "gated")]
            #expect(metrics.counterTotal(label: "libp2p_host_connections_refused", dimensions: refused) == 1)
            // Only those that come in are asked about.
            let other = try await host.connect(to: address)
            await host.disconnect(from: other)
            while host.resources.usages.isEmpty == false { await Task.yield() }
            #expect(gated(.accept, metrics) == 1)
        }
    }

    @Test func aPeerIsRefusedOnceItIsKnown() async throws {
        for refused in Direction.allCases {
            let gater = ConnectionGater(allowsSecured: { direction, _, _ in direction != refused })
            try await withGater(gater) { host, peer, address, metrics in
                if refused == .outbound {
                    #expect(await code { try await host.connect(to: address) } == .gated)
                } else {
                    let connection = try await peer.dial(host.address)
                    #expect(await connection.waitUntilClosed().code == ConnectionErrorCode.gated.rawValue)
                }
                #expect(gated(.secured, metrics) == 1)
            }
        }
    }

    @Test func aConnectionIsRefusedAtLast() async throws {
        try await withGater(ConnectionGater(allowsConnection: { _ in false })) { host, peer, address, metrics in
            #expect(await code { try await host.connect(to: address) } == .gated)
            let connection = try await peer.dial(host.address)
            #expect(await connection.waitUntilClosed().code == ConnectionErrorCode.gated.rawValue)
            #expect(gated(.upgraded, metrics) == 2)
        }
    }
}
