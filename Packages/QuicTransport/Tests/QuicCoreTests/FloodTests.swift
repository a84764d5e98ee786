import Foundation
import PeerID
import Testing

@testable import QuicCore

@Suite struct FloodTests {
    /// LIBP2P_FLOOD_INITIALS=100000 runs it in full.
    static let initials =
        ProcessInfo.processInfo.environment["LIBP2P_FLOOD_INITIALS"].flatMap { Int($0) } ?? 5000

    @Test func aLegitimateClientConnectsThroughAFloodOfInitials() throws {
        let server = try CoreNode(port: 1002, seed: 101)
        let client = try CoreNode(port: 1001, seed: 102, accepts: false)
        let network = CoreNetwork(client, server)
        let limits = server.endpoint.configuration.endpoint
        let hello = try ClientHello.captured()
        let frames = InitialForge.crypto(hello.message)
        var sentTo: [NetworkAddress: Int] = [:]
        var receivedFrom: [NetworkAddress: Int] = [:]
        network.filter = { packet in
            guard packet.from == server.address, packet.to != client.address else { return packet }
            sentTo[packet.to, default: 0] += packet.bytes.count
            return nil
        }
        var core: ConnectionCore?
        for index in 0..<Self.initials {
            // A thousand sources, a hundred thousand packets a second, each a whole ClientHello with an ID of its own.
            let source = NetworkAddress.ip4(10, 1, UInt8(index % 1000 / 250), UInt8(index % 250), port: 4000)
            let id = withUnsafeBytes(of: UInt64(index)) { Array($0) }
            let datagram = InitialForge(destination: id).seal(frames, source: hello.source)
            receivedFrom[source, default: 0] += datagram.count
            network.deliver(datagram, to: server, from: source)
            if index == Self.initials / 2 {
                core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
            }
            network.now += 10_000
            if index % 100 == 0 { network.run(seconds: 0) }
            try #require(server.endpoint.halfOpenCount <= limits.maxHalfOpen)
            try #require(server.endpoint.connectionCount <= limits.maxHalfOpen + 1)
        }
        let dialed = try #require(core)
        #expect(network.run(seconds: 5) { dialed.isEstablished })
        // Those who made their address up never had more than their half, and nobody was sent more than thrice his bytes.
        #expect(server.opened.count <= (limits.maxHalfOpen + 1) / 2 + 1)
        #expect(Int(server.endpoint.statistics.retries) >= Self.initials - limits.maxHalfOpen)
        for (address, count) in sentTo { #expect(count <= 3 * receivedFrom[address, default: 0]) }
        // Each has its client's ID and at most eight of its own.
        #expect(server.endpoint.registry.statistics.totalIDs <= 9 * (limits.maxHalfOpen / 2 + 2))
        // And all of it is forgotten.
        network.run(seconds: 60)
        #expect(server.endpoint.halfOpenCount == 0)
        #expect(server.endpoint.group.halfOpenBySource.isEmpty)
        #expect(server.endpoint.originalIDs.count <= 1)
        #expect(server.endpoint.connectionCount == 1)
    }
}
