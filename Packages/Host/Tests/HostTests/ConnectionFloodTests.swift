import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// Peers of ever new names.
private final class Crowd: Sendable {
    private let network: OpenNetwork
    private let state = Mutex((transports: [PeerID: any Transport](), isOver: false))

    init(_ network: OpenNetwork) {
        self.network = network
    }

    var isOver: Bool { state.withLock { $0.isOver } }

    /// Lets one more do something, and closes what it has.
    func withNewcomer(_ body: (any Transport) async -> Void) async throws {
        let key = PrivateKey.ed25519()
        let transport = try network.makeTransport(key)
        let mayCome = state.withLock { state in
            if !state.isOver { state.transports[key.peerID] = transport }
            return !state.isOver
        }
        if mayCome { await body(transport) }
        await transport.close()
        state.withLock { $0.transports[key.peerID] = nil }
        // In memory nothing of this need have waited, and there are others.
        await Task.yield()
    }

    /// Ends the connections of all.
    func disperse() async {
        let all = state.withLock { state in
            state.isOver = true
            return state.transports.values
        }
        for transport in all { await transport.close() }
    }
}

/// Peers that connect as fast as they can, while another one is served.
@Suite(.timeLimit(.minutes(3)), .serialized) struct ConnectionFloodTests {
    private let metrics = TestMetrics()

    private var configuration: HostConfiguration {
        var configuration = NegotiationTests.quiet
        configuration.metricsFactory = metrics
        return configuration
    }

    /// Connections taken in, and those that were not because of limits.
    private var opened: Int64 { metrics.counterTotal(label: "libp2p_host_connections_opened") }
    private var refused: Int64 {
        metrics.counterTotal(label: "libp2p_host_connections_refused", dimensions: [("cause", "resourceLimit")])
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatOpensAndClosesConnectionsAsFastAsItCan(_ kind: TestNetwork) async throws {
        let limit = configuration.connections.limitPerPeer
        try await whileAnotherPings(on: kind, configuration) { network, host in
            let key = PrivateKey.ed25519()
            let transport = try network.transport(key)
            let address = try host.address
            let (isOver, supplanted) = (Flag(), Count())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        // Half of them hang up at once. The others stay until the host sends them away, which it does when
                        // a newer one comes.
                        while !isOver.isSet {
                            if number % 2 == 0 {
                                try? await transport.dial(address).close(code: .none, reason: "")
                            } else {
                                let code = await closeCode { try await transport.dial(address) }
                                if code == ConnectionErrorCode.supplanted.rawValue { supplanted.add() }
                            }
                            await Task.yield()
                        }
                    }
                }
                // For a while, and for so long that much has happened on a machine however slow.
                let end = ContinuousClock.now + .seconds(2)
                var most = 0
                while ContinuousClock.now < end || opened < 100 || supplanted.value < 10 {
                    most = max(most, host.connections(to: key.peerID).count)
                    most = max(most, host.resourceUsage(of: .peer(key.peerID)).connections)
                    try Task.checkCancellation()
                    await Task.yield()
                }
                #expect(1...limit ~= most)
                isOver.set()
                await transport.close()
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func peersThatComeUnderEverNewNames(_ kind: TestNetwork) async throws {
        var configuration = configuration
        configuration.connections.limit = 6
        try await whileAnotherPings(on: kind, configuration) { network, host in
            let address = try host.address
            let (crowd, sentAway) = (Crowd(network), Count())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        while !crowd.isOver {
                            try await crowd.withNewcomer { transport in
                                // Most want to stay.
                                if number < 2 {
                                    try? await transport.dial(address).close(code: .none, reason: "")
                                } else {
                                    let code = await closeCode { try await transport.dial(address) }
                                    if code == ConnectionErrorCode.resourceLimitExceeded.rawValue { sentAway.add() }
                                }
                            }
                        }
                    }
                }
                let end = ContinuousClock.now + .seconds(2)
                var most = 0
                while ContinuousClock.now < end || opened < 6 || refused < 20 || sentAway.value < 10 {
                    most = max(most, host.connections().count, host.resourceUsage(of: .system).connections)
                    try Task.checkCancellation()
                    await Task.yield()
                }
                // The friend is among them.
                #expect(2...6 ~= most)
                await crowd.disperse()
                try await group.waitForAll()
            }
        }
    }
}
