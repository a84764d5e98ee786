import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

@Suite struct ConnectionCoreTests {
    private func pair(seed: UInt64 = 7) throws -> (CoreNode, CoreNode, CoreNetwork) {
        let client = try CoreNode(port: 1001, seed: seed, accepts: false)
        let server = try CoreNode(port: 1002, seed: seed + 1)
        return (client, server, CoreNetwork(client, server))
    }

    @Test func twoEndpointsShakeHandsAndKnowEachOther() throws {
        let (client, server, network) = try pair()
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(
            network.run(seconds: 5) {
                client.events(of: core).isConfirmed && server.opened.first?.isEstablished == true
            }
        )
        #expect(client.events(of: core).handshake?.peer.peerID == server.identity.peerID)
        let accepted = try #require(server.opened.first)
        #expect(server.events(of: accepted).handshake?.peer.peerID == client.identity.peerID)
        #expect(server.events(of: accepted).handshake?.alpn == "libp2p")
        #expect(server.endpoint.halfOpenCount == 0)
        #expect(server.endpoint.statistics.accepted == 1)
    }

    @Test func bytesArriveOnceAndInOrderWithTheEndOfTheStream() throws {
        let (client, server, network) = try pair()
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { core.isEstablished }
        let stream = try #require(try core.openStream())
        var generator = SeededGenerator(seed: 3)
        let bytes = (0..<3_000_000).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let segments = stride(from: 0, to: bytes.count, by: 50_000).compactMap {
            SendSegment(copying: Array(bytes[$0..<min($0 + 50_000, bytes.count)]))
        }
        core.send(segments, isEnd: true, on: stream)
        network.service(core, of: client)
        #expect(network.run(seconds: 60) { server.ended.contains(stream) })
        #expect(server.received[stream] == bytes)
        // Everything is acknowledged and let go.
        network.run(seconds: 1)
        let acknowledged = client.events(of: core).reduce(0) { sum, event in
            if case .streamAcknowledged(_, let count) = event { sum + count } else { sum }
        }
        #expect(acknowledged == bytes.count)
    }

    @Test func aReaderThatDoesNotReadStopsTheSender() throws {
        let (client, server, network) = try pair()
        server.consumes = false
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { core.isEstablished }
        let stream = try #require(try core.openStream())
        core.send([try #require(SendSegment(copying: [UInt8](repeating: 1, count: 1 << 20)))], isEnd: false, on: stream)
        network.service(core, of: client)
        network.run(seconds: 20)
        #expect(server.received[stream]?.count == QuicConfiguration.defaults.flowControl.streamWindow)
    }

    @Test func aCloseArrivesWithItsCodeAndReason() throws {
        let (client, server, network) = try pair()
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { core.isEstablished && server.opened.first?.isEstablished == true }
        core.close(code: 0x1006, reason: "good bye", now: network.now)
        network.service(core, of: client)
        let accepted = try #require(server.opened.first)
        #expect(network.run(seconds: 5) { !accepted.isOpen })
        let end = try #require(server.events(of: accepted).termination)
        #expect(end.cause == .application)
        #expect(end.code == 0x1006)
        #expect(end.reason == "good bye")
        #expect(end.byPeer)
        network.run(seconds: 30)
        #expect(client.endpoint.connectionCount == 0)
        #expect(server.endpoint.connectionCount == 0)
        #expect(server.endpoint.registry.isEmpty)
        #expect(client.endpoint.registry.isEmpty)
    }

    @Test func anotherPeerThanExpectedFailsWithBothNamesAndAnAlert() throws {
        let (client, server, network) = try pair()
        let other = PrivateKey.ed25519().peerID
        let core = try network.dial(from: client, to: server, expecting: other)
        #expect(network.run(seconds: 5) { client.events(of: core).termination != nil })
        let error = try #require(client.events(of: core).termination?.error)
        #expect(error.code == .peerVerification)
        #expect(error.expectedPeer == other)
        #expect(error.actualPeer == server.identity.peerID)
        #expect(error.message.contains(other.description))
        #expect(error.message.contains(server.identity.peerID.description))
        let accepted = try #require(server.opened.first)
        network.run(seconds: 5) { !accepted.isOpen }
        #expect(server.events(of: accepted).handshake == nil)
        let code = try #require(server.events(of: accepted).termination?.code)
        #expect(QuicErrorCode(rawValue: code).tlsAlert != nil)
    }

    @Test func silenceEndsInTheIdleTimeout() throws {
        let (client, server, network) = try pair()
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { core.isEstablished }
        network.run(seconds: 1)
        network.filter = { _ in nil }
        let start = network.now
        #expect(network.run(seconds: 120) { client.events(of: core).termination != nil })
        #expect(client.events(of: core).termination?.cause == .idleTimeout)
        #expect(network.now - start <= 61_000_000_000)
    }

    @Test func aRestartedServerAnswersWithAStatelessReset() throws {
        let (client, server, network) = try pair()
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { core.isEstablished }
        network.run(seconds: 1)
        // The same keys at the same address, without any state.
        let restarted = try CoreNode(identity: server.identity, port: 1002, seed: 8)
        network.nodes[server.address] = restarted
        let stream = try #require(try core.openStream())
        core.send([try #require(SendSegment(copying: [UInt8](repeating: 1, count: 500)))], isEnd: false, on: stream)
        network.service(core, of: client)
        #expect(network.run(seconds: 5) { client.events(of: core).termination != nil })
        #expect(client.events(of: core).termination?.cause == .statelessReset)
    }

    @Test func manyStreamsCarryTheirOwnBytesUnderLoss() throws {
        let (client, server, network) = try pair()
        var generator = SeededGenerator(seed: 11)
        network.filter = { generator.next() % 50 == 0 ? nil : $0 }
        let core = try network.dial(from: client, to: server, expecting: nil)
        #expect(network.run(seconds: 30) { core.isEstablished })
        var sent: [StreamID: [UInt8]] = [:]
        for index in 0..<100 {
            let stream = try #require(try core.openStream())
            let bytes = [UInt8](repeating: UInt8(index), count: index * 311)
            sent[stream] = bytes
            core.send([SendSegment(copying: bytes)].compactMap { $0 }, isEnd: true, on: stream)
        }
        network.service(core, of: client)
        #expect(network.run(seconds: 60) { server.ended.count == 100 })
        for (stream, bytes) in sent { #expect(server.received[stream, default: []] == bytes) }
    }

    @Test func randomDatagramsNeitherCrashNorOpenConnections() throws {
        let (client, server, network) = try pair()
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<10_000 {
            let count = Int(generator.next() % 1500)
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            if count > 5, generator.next() % 2 == 0 { bytes.replaceSubrange(0..<5, with: [0xc3, 0, 0, 0, 1]) }
            network.deliver(bytes, to: server, from: client.address)
        }
        network.inFlight.removeAll()
        #expect(server.endpoint.connectionCount == 0)
        #expect(server.endpoint.halfOpenCount == 0)
        #expect(server.endpoint.registry.isEmpty)
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { core.isEstablished })
    }

    @Test func aStreamThatWaitsForConnectionCreditHoldsUpNoOther() throws {
        var configuration = QuicConfiguration.defaults
        configuration.flowControl.connectionWindow = 64 << 10
        configuration.flowControl.streamWindow = 64 << 10
        configuration.flowControl.autoTuning = false
        // No keep-alive that would give the other stream its turn by accident.
        configuration.keepAliveInterval = nil
        let client = try CoreNode(port: 1001, seed: 31, configuration: configuration, accepts: false)
        let server = try CoreNode(port: 1002, seed: 32, configuration: configuration)
        server.consumes = false
        let network = CoreNetwork(client, server)
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { core.isEstablished }
        let blocked = try #require(try core.openStream())
        let bytes = [UInt8](repeating: 1, count: 256 << 10)
        core.send([try #require(SendSegment(copying: bytes))], isEnd: false, on: blocked)
        network.service(core, of: client)
        network.run(seconds: 5)
        #expect(server.received[blocked]?.count == 64 << 10)
        let other = try #require(try core.openStream())
        core.send([], isEnd: true, on: other)
        network.service(core, of: client)
        #expect(network.run(seconds: 5) { server.ended.contains(other) })
        // And the first one goes on when there is credit.
        let accepted = try #require(server.opened.first)
        accepted.consumed(64 << 10, on: blocked)
        server.consumes = true
        network.service(accepted, of: server)
        #expect(network.run(seconds: 10) { server.received[blocked]?.count == bytes.count })
    }

    @Test func aPeerThatAsksForMoreHalfOpenConnectionsThanAllowedIsDropped() throws {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.maxHalfOpen = 4
        configuration.endpoint.maxHalfOpenPerSource = 4
        configuration.endpoint.retry = .never
        let server = try CoreNode(port: 1002, seed: 42, configuration: configuration)
        let client = try CoreNode(port: 1001, seed: 41, accepts: false)
        let network = CoreNetwork(client, server)
        // The server's answers are lost: no handshake gets any further.
        network.filter = { $0.from == server.address ? nil : $0 }
        for _ in 0..<20 { _ = try network.dial(from: client, to: server, expecting: nil) }
        network.run(seconds: 1)
        #expect(server.endpoint.halfOpenCount == 4)
        #expect(server.endpoint.statistics.rejected > 0)
        // The places are free again when the deadline of inbound handshakes is over.
        network.nodes[client.address] = nil
        network.run(seconds: 30)
        #expect(server.endpoint.halfOpenCount == 0)
        #expect(server.endpoint.connectionCount == 0)
    }

    @Test func anUnknownVersionIsAnsweredWithTheVersionsSpoken() throws {
        let server = try CoreNode(port: 1002, seed: 52)
        let client = NetworkAddress.ip4(127, 0, 0, 1, port: 1001)
        let network = CoreNetwork(server)
        func answer(to length: Int) throws -> [UInt8]? {
            var datagram: [UInt8] = [0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9]
            datagram += [UInt8](repeating: 0, count: length - datagram.count)
            network.deliver(datagram, to: server, from: client)
            return network.inFlight.popLast()?.bytes
        }
        let reply = try #require(try answer(to: 1200))
        #expect(reply[1..<5] == [0, 0, 0, 0])
        // The IDs are echoed, swapped (RFC 9000 §17.2.1).
        #expect(reply[5] == 4 && reply[6..<10] == [9, 9, 9, 9])
        #expect(Array(reply.suffix(4)) == [0, 0, 0, 1])
        // Never in answer to less than 1200 bytes.
        #expect(try answer(to: 1199) == nil)
    }
}
