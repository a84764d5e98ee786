import Foundation
import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// What a host tells about itself: snapshots and metrics.
@Suite(.timeLimit(.minutes(1))) struct WatchingTests {
    @Test(arguments: TestNetwork.allCases)
    func aSnapshotShowsWhatTheHostIsDoing(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        try await withTwoHosts(on: network, NegotiationTests.quiet, configuration) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            client.protect(peer, tag: "friend")
            client.setValue(7, of: peer, tag: "useful")
            let stream = try await client.newStream(to: peer, protocols: [EchoProtocol.name])
            try await stream.write([1, 2, 3])
            #expect(try await stream.readExactly(3) == [1, 2, 3])
            let stranger = PrivateKey.ed25519().peerID
            // Somebody else answers there.
            let there = try server.address.withoutPeerID
            #expect(await code { try await client.connect(to: stranger, addresses: [there]) } == .dialFailed)
            clock.advance(by: .seconds(2))
            let snapshot = client.snapshot()
            #expect(snapshot.peerID == client.peerID && snapshot.phase == "running" && snapshot.dials == 0)
            let seen = try #require(snapshot.peers.first)
            #expect(snapshot.peers.count == 1 && seen.id == peer && seen.isProtected && seen.value == 7)
            let connection = try #require(seen.connections.first)
            #expect(connection.direction == "outbound" && connection.age == 2)
            #expect(connection.remoteAddress == (try server.address.withoutPeerID))
            #expect(connection.streams == [.init(protocolID: EchoProtocol.name, inbound: 0, outbound: 1)])
            // The negotiation's bytes count as well.
            #expect(connection.bytesRead > 3 && connection.bytesWritten > 3)
            #expect(snapshot.usage.first?.scope == "the system")
            #expect(snapshot.usage.first?.usage == client.resourceUsage(of: .system))
            // One failure: 5 s + 1² s, of which 2 s are over.
            #expect(snapshot.backOffs.map(\.failures) == [1] && snapshot.backOffs.first?.rest == 4)
            #expect(snapshot.blackHoles == ["udp": .probing, "ipv6": .probing])
            let coded = try JSONEncoder().encode(snapshot)
            #expect(try JSONDecoder().decode(HostSnapshot.self, from: coded) == snapshot)
            let text = snapshot.description
            for part in [
                "\(peer), protected, value 7", "\(EchoProtocol.name): 0 inbound, 1 outbound", "rests for 4 s",
                "age 2 s", "dials over udp: probing",
            ] {
                #expect(text.contains(part), "\(part) in \(text)")
            }
            stream.reset()
            #expect(client.snapshot().peers.first?.connections.first?.streams == [])
        }
    }

    @Test(arguments: TestNetwork.allCases) func metricsMayAskTheHostWhenTheyAreTold(_ kind: TestNetwork) async throws {
        let metrics = CallingMetrics()
        var configuration = NegotiationTests.quiet
        configuration.metricsFactory = metrics
        configuration.connections.limit = 2
        configuration.connections.limitPerPeer = 1
        configuration.limits.connection.outboundStreams = 1
        configuration.gater = ConnectionGater(allowsDialingAddress: { $0.first(.ip6) == nil })
        try await kind.openHost(configuration) { network, host in
            metrics.onReport { [weak host] in
                guard let host else { return }
                _ = host.snapshot()
                _ = host.listenAddresses
                _ = host.peerStore.count
            }
            let key = PrivateKey.ed25519()
            let transport = try network.transport(key)
            let first = try await transport.dial(host.address)
            while host.connections().isEmpty { await Task.yield() }
            // A second one takes the place of the first.
            let second = try await transport.dial(host.address)
            #expect(await first.waitUntilClosed().code == ConnectionErrorCode.supplanted.rawValue)
            try await network.host(NegotiationTests.quiet) { other in
                let peer = try await host.connect(to: other.address)
                _ = try await host.ping(peer)
                _ = try await other.ping(host.peerID)
                let stream = try await host.newStream(to: peer, protocols: [PingProtocol.name])
                #expect(await code { _ = try await host.newStream(to: peer, protocols: ["/a"]) } == .resourceLimit)
                stream.reset()
                #expect(await code { _ = try await host.newStream(to: peer, protocols: ["/a"]) } != nil)
                // There is no room for a third peer, from either side.
                #expect(await closeCode(of: { try await network.peer(dialing: host) }) != nil)
                let listener = try await network.transport().listen(on: network.anywhere)
                #expect(await code { try await host.connect(to: #require(listener.addresses.first)) } == .resourceLimit)
                #expect(await code { try await host.connect(to: "/ip6/2001:db8::1/udp/1/quic-v1") } != nil)
                await host.disconnect(from: peer)
            }
            await second.close(code: .none, reason: "")
            while !host.connections().isEmpty || !metrics.labels.contains("libp2p_host_connections_closed") {
                await Task.yield()
            }
        }
        let told = [
            "connections", "connections_opened", "connections_closed", "connections_refused", "limits_exceeded",
            "streams",
            "streams_opened", "streams_handled", "handshakes", "handshake_seconds", "negotiation_seconds",
            "ping_seconds",
            "negotiations_failed", "dials_failed", "bytes_read", "bytes_written",
        ]
        #expect(Set(told.map { "libp2p_host_" + $0 }).isSubset(of: metrics.labels))
    }

    @Test(arguments: TestNetwork.allCases) func metricsCountWhatHappens(_ network: TestNetwork) async throws {
        let metrics = TestMetrics()
        var configuration = NegotiationTests.quiet
        configuration.metricsFactory = metrics
        configuration.limits.connection.outboundStreams = 1
        try await withTwoHosts(on: network, NegotiationTests.quiet, configuration) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [EchoProtocol.name])
            func total(_ name: String, _ dimensions: [(String, String)] = []) -> Int64 {
                metrics.counterTotal(label: "libp2p_host_\(name)", dimensions: dimensions)
            }
            let (read, written) = (total("bytes_read"), total("bytes_written"))
            try await stream.write([UInt8](repeating: 7, count: 1000))
            _ = try await stream.readExactly(1000)
            #expect(total("bytes_read") - read == 1000 && total("bytes_written") - written == 1000)
            #expect(await code { _ = try await client.newStream(to: peer, protocols: ["/a"]) } == .resourceLimit)
            #expect(total("limits_exceeded", [("scope", "connection"), ("resource", "outboundStreams")]) == 1)
            #expect(try metrics.expectMeter("libp2p_host_streams").lastValue == 1)
            #expect(try metrics.expectMeter("libp2p_host_connections").lastValue == 1)
            stream.reset()
            #expect(try metrics.expectMeter("libp2p_host_streams").lastValue == 0)
            #expect(
                await code { _ = try await client.newStream(to: peer, protocols: ["/a"]) } == .protocolsNotSupported
            )
            let failed = [("direction", "outbound"), ("cause", "protocolsNotSupported")]
            #expect(total("negotiations_failed", failed) == 1)
            #expect(total("handshakes", [("direction", "outbound")]) == 1)
            #expect(total("connections_opened") == 1)
            #expect(try metrics.expectTimer("libp2p_host_handshake_seconds").values.count == 1)
            #expect(try metrics.expectTimer("libp2p_host_negotiation_seconds").values.count == 1)
            let time = try await client.ping(peer)
            let pings = try metrics.expectTimer("libp2p_host_ping_seconds").values
            #expect(pings.count == 1 && pings.first.map { Duration.nanoseconds($0) } == time)
            let wrong = try server.address.withPeerID(PrivateKey.ed25519().peerID)
            #expect(await code { try await client.connect(to: wrong) } == .dialFailed)
            #expect(total("dials_failed", [("cause", "dialFailed")]) == 1)
            await client.disconnect(from: peer)
            while total("connections_closed", [("direction", "outbound")]) == 0 { await Task.yield() }
            #expect(try metrics.expectMeter("libp2p_host_connections").lastValue == 0)
        }
    }
}
