import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// Which of several connections to a peer carries a new stream. A round trip takes what it is told to in memory; on QUIC it
/// takes the way over a relay, and is measured.
@Suite(.timeLimit(.minutes(1))) struct ConnectionChoiceTests {
    /// A host with three connections of one peer in memory, whose round trips take so many milliseconds.
    private func withThree(
        _ choice: HostConfiguration.ConnectionChoice,
        milliseconds: [Int?],
        _ body: (BasicHost, PeerID, [any MuxedConnection]) async throws -> Void
    ) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.choice = choice
        let network = MemoryNetwork()
        let (key, peerKey) = (PrivateKey.ed25519(), PrivateKey.ed25519())
        try await withHost(
            identity: key,
            transports: [MemoryTransport(identity: key, network: network)],
            listen: ["/memory/0"],
            configuration: configuration
        ) { host in
            var ends: [any MuxedConnection] = []
            for time in milliseconds {
                var memory = MemoryConfiguration()
                memory.roundTripTime = time.map { .milliseconds($0) }
                let peer = MemoryTransport(identity: peerKey, network: network, configuration: memory)
                ends.append(try await peer.dial(host.address))
                while host.connections(to: peerKey.peerID).count < ends.count { await Task.yield() }
            }
            try await body(host, peerKey.peerID, ends)
        }
    }

    /// The same on a network of any kind.
    private func withThree(
        _ choice: HostConfiguration.ConnectionChoice,
        on kind: TestNetwork,
        _ body: (BasicHost, PeerID) async throws -> Void
    ) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.choice = choice
        try await kind.openHost(configuration) { network, host in
            let peer = PrivateKey.ed25519()
            let transport = try network.transport(peer)
            for count in 1...3 {
                _ = try await transport.dial(host.address)
                while host.connections().count < count { await Task.yield() }
            }
            try await body(host, peer.peerID)
        }
    }

    private func choose(_ host: BasicHost, _ peer: PeerID) -> UInt64? {
        host.openConnection(to: peer)?.info.id
    }

    @Test(arguments: TestNetwork.allCases) func oneAfterTheOther(_ network: TestNetwork) async throws {
        try await withThree(.roundRobin, on: network) { host, peer in
            let turns = (0..<6).map { _ in choose(host, peer) }
            #expect(Set(turns[0..<3]) == [1, 2, 3] as Set<UInt64?>)
            #expect(turns[0..<3] == turns[3..<6])
        }
    }

    @Test(arguments: TestNetwork.allCases) func theOneWithTheFewestStreams(_ network: TestNetwork) async throws {
        try await withThree(.leastLoaded, on: network) { host, peer in
            var streams: [NetStream] = []
            var chosen: [UInt64] = []
            for _ in 0..<6 {
                let connection = try #require(host.openConnection(to: peer))
                chosen.append(connection.info.id)
                streams.append(try await connection.wrap(connection.muxed.openStream()))
            }
            #expect(chosen.sorted() == [1, 1, 2, 2, 3, 3])
            // The one that loses its streams is next.
            for (stream, id) in zip(streams, chosen) where id == 2 { stream.reset() }
            #expect(choose(host, peer) == 2)
        }
    }

    @Test(arguments: TestNetwork.allCases) func theOneWithTheShortestRoundTrip(_ network: TestNetwork) async throws {
        switch network {
        case .memory:
            try await withThree(.lowestLatency, milliseconds: [nil, 80, 20]) { host, peer, ends in
                for _ in 0..<3 { #expect(choose(host, peer) == 3) }
                await ends[2].close(code: .none, reason: "")
                #expect(choose(host, peer) == 2)
                await ends[1].close(code: .none, reason: "")
                // Better one that was not measured than none.
                #expect(choose(host, peer) == 1)
            }
        #if HOSTS_ON_QUIC
        case .quic:
            try await withThreeRelayed(delays: [400, 100, 0]) { host, peer, connections, ends in
                // On a busy machine a round trip may take longer than its way, never less.
                #expect(connections[0].muxed.roundTripTime ?? .zero >= .milliseconds(800))
                #expect(connections[1].muxed.roundTripTime ?? .zero >= .milliseconds(200))
                for left in [3, 2, 1] {
                    while host.connections(to: peer).count > left { await Task.yield() }
                    let id = try fastest(of: connections) { choose(host, peer) }
                    await ends[Int(id) - 1].close(code: .none, reason: "")
                }
            }
        #endif
        }
    }

    @Test func withoutMeasurementsTheOldestIsTaken() async throws {
        try await withThree(.lowestLatency, milliseconds: [nil, nil, nil]) { host, peer, ends in
            #expect(ends.allSatisfy { $0.roundTripTime == nil })
            for _ in 0..<3 { #expect(choose(host, peer) == 1) }
        }
    }

    #if HOSTS_ON_QUIC
    /// A host with three connections of one peer on QUIC, with so many milliseconds each way between the two.
    private func withThreeRelayed(
        delays: [Int],
        _ body: (BasicHost, PeerID, [HostConnection], [any MuxedConnection]) async throws -> Void
    ) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.choice = .lowestLatency
        try await TestNetwork.quic.openHost(configuration) { network, host in
            let key = PrivateKey.ed25519()
            let port = try #require(host.address.first(.udp)?.port)
            var ends: [any MuxedConnection] = []
            var relays: [DelayingRelay] = []
            for delay in delays {
                let relay = try DelayingRelay(to: port, delay: .milliseconds(delay))
                relays.append(relay)
                // A transport for each, so that each has a socket of its own.
                ends.append(try await network.transport(key).dial(relay.address.withPeerID(host.peerID)))
                while host.connections(to: key.peerID).count < ends.count { await Task.yield() }
            }
            let connections = try #require(host.state.withLock { $0.connections[key.peerID] })
            while connections.contains(where: { $0.muxed.roundTripTime == nil }) { await Task.yield() }
            try await body(host, key.peerID, connections, ends)
            withExtendedLifetime(relays) {}
        }
    }

    /// The open connection that was measured to be the fastest, which the host has to choose.
    private func fastest(of connections: [HostConnection], choose: () -> UInt64?) throws -> UInt64 {
        func measured() -> UInt64? {
            let open = connections.filter { !$0.muxed.isClosed }
            return open.min { ($0.muxed.roundTripTime ?? .zero) < ($1.muxed.roundTripTime ?? .zero) }?.info.id
        }
        while true {
            let (before, chosen, after) = (measured(), choose(), measured())
            // Measured anew in between: no telling.
            guard before == after else { continue }
            #expect(chosen == before)
            return try #require(before)
        }
    }

    @Test func theRoundTripsOfQuicAreMeasured() async throws {
        try await withThree(.lowestLatency, on: .quic) { host, peer in
            let connections = try #require(host.state.withLock { $0.connections[peer] })
            while connections.contains(where: { $0.muxed.roundTripTime == nil }) { await Task.yield() }
            _ = try fastest(of: connections) { choose(host, peer) }
        }
    }
    #endif
}
