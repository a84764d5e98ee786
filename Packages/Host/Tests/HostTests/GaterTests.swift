import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// Each question of the gater, answered with no: it is refused, and it is counted.
@Suite(.timeLimit(.minutes(1))) struct GaterTests {
    /// What a test has: a host with the gater, the transport of a peer without one, where that listens, what was counted.
    struct Scene {
        var host: BasicHost
        var peer: any Transport
        var address: Multiaddr
        var peerID: PeerID
        var metrics: TestMetrics

        func gated(_ stage: GaterStage) -> Int64 {
            metrics.counterTotal(label: "libp2p_host_gated", dimensions: [("stage", stage.rawValue)])
        }
    }

    private func withGater(
        on kind: TestNetwork,
        _ gater: ConnectionGater,
        resolver: any NameResolver = TableResolver([:]),
        _ body: (Scene) async throws -> Void
    ) async throws {
        let metrics = TestMetrics()
        var configuration = NegotiationTests.quiet
        configuration.gater = gater
        configuration.metricsFactory = metrics
        configuration.resolver = resolver
        try await kind.openHost(configuration) { network, host in
            let key = PrivateKey.ed25519()
            let peer = try network.transport(key)
            let listener = try await peer.listen(on: network.anywhere)
            let address = try #require(listener.addresses.first)
            try await body(
                Scene(host: host, peer: peer, address: address, peerID: key.peerID, metrics: metrics)
            )
            while !host.resources.usages.isEmpty { await Task.yield() }
            #expect(host.connections().isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases) func aPeerIsNotDialled(_ network: TestNetwork) async throws {
        try await withGater(on: network, ConnectionGater(allowsDialingPeer: { _ in false })) { scene in
            let dial = await code { try await scene.host.connect(to: scene.peerID, addresses: [scene.address]) }
            #expect(dial == .gated)
            #expect(scene.gated(.dialPeer) == 1)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatNobodyExpectedIsAskedAboutOnceItIsKnown(_ network: TestNetwork) async throws {
        let asked = Mutex<[PeerID]>([])
        let gater = ConnectionGater(allowsDialingPeer: { peer in
            asked.withLock { $0.append(peer) }
            return false
        })
        try await withGater(on: network, gater) { scene in
            let listener = try await scene.peer.listen(on: network.anywhere)
            async let accepted = listener.accept()
            // The address names nobody, so the peer is only known when the connection is made.
            let there = try #require(listener.addresses.first)
            #expect(await code { try await scene.host.connect(to: there) } == .gated)
            #expect(asked.withLock { $0 } == [scene.peerID])
            #expect(scene.gated(.dialPeer) == 1 && scene.gated(.secured) == 0)
            let reason = await (try accepted).waitUntilClosed()
            #expect(reason.code == ConnectionErrorCode.gated.rawValue && reason.byPeer)
        }
    }

    @Test(arguments: TestNetwork.allCases) func aPeerIsAskedAboutOnce(_ network: TestNetwork) async throws {
        let asked = Mutex(0)
        let gater = ConnectionGater(allowsDialingPeer: { _ in
            asked.withLock { $0 += 1 }
            return true
        })
        try await withGater(on: network, gater) { scene in
            try await scene.host.connect(to: scene.peerID, addresses: [scene.address])
            await scene.host.disconnect(from: scene.peerID)
            try await scene.host.connect(to: scene.address)
            await scene.host.disconnect(from: scene.peerID)
            #expect(asked.withLock { $0 } == 2)
            // Those that come in were not dialled.
            let connection = try await scene.peer.dial(scene.host.address)
            while scene.host.connections().isEmpty { await Task.yield() }
            await connection.close(code: .none, reason: "")
            #expect(asked.withLock { $0 } == 2)
        }
    }

    @Test(arguments: TestNetwork.allCases) func anAddressIsNotDialled(_ network: TestNetwork) async throws {
        try await withGater(on: network, ConnectionGater(allowsDialingAddress: { _ in false })) { scene in
            #expect(await code { try await scene.host.connect(to: scene.address) } == .gated)
            #expect(scene.gated(.dialAddress) == 1)
        }
    }

    @Test(arguments: TestNetwork.allCases) func aConnectionDoesNotComeIn(_ network: TestNetwork) async throws {
        let gater = ConnectionGater(allowsAccepting: { local, remote in local == remote })
        try await withGater(on: network, gater) { scene in
            let refusal = await closeCode { try await scene.peer.dial(scene.host.address) }
            #expect(refusal == ConnectionErrorCode.gated.rawValue)
            #expect(scene.gated(.accept) == 1)
            let cause = [("cause", "gated")]
            #expect(scene.metrics.counterTotal(label: "libp2p_host_connections_refused", dimensions: cause) == 1)
            // Only those that come in are asked about.
            let other = try await scene.host.connect(to: scene.address)
            await scene.host.disconnect(from: other)
            #expect(scene.gated(.accept) == 1)
        }
    }

    @Test(arguments: TestNetwork.allCases, Direction.allCases)
    func aPeerIsRefusedOnceItIsKnown(_ network: TestNetwork, _ refused: Direction) async throws {
        let gater = ConnectionGater(allowsSecured: { direction, _, _ in direction != refused })
        try await withGater(on: network, gater) { scene in
            if refused == .outbound {
                #expect(await code { try await scene.host.connect(to: scene.address) } == .gated)
            } else {
                let refusal = await closeCode { try await scene.peer.dial(scene.host.address) }
                #expect(refusal == ConnectionErrorCode.gated.rawValue)
            }
            #expect(scene.gated(.secured) == 1)
        }
    }

    @Test(arguments: TestNetwork.allCases) func aConnectionIsRefusedAtLast(_ network: TestNetwork) async throws {
        try await withGater(on: network, ConnectionGater(allowsConnection: { _ in false })) { scene in
            #expect(await code { try await scene.host.connect(to: scene.address) } == .gated)
            let refusal = await closeCode { try await scene.peer.dial(scene.host.address) }
            #expect(refusal == ConnectionErrorCode.gated.rawValue)
            #expect(scene.gated(.upgraded) == 2)
        }
    }
}
