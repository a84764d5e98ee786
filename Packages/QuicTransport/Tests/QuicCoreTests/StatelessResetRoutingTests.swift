import PeerID
import Testing

@testable import QuicCore

@Suite struct StatelessResetRoutingTests {
    /// A client connected to a server.
    private func connected(_ count: Int = 1) throws -> (CoreNode, CoreNode, CoreNetwork, [ConnectionCore]) {
        let client = try CoreNode(port: 1001, seed: 90, accepts: false)
        let server = try CoreNode(port: 1002, seed: 91)
        let network = CoreNetwork(client, server)
        let cores = try (0..<count).map { _ in try network.dial(from: client, to: server, expecting: nil) }
        try #require(network.run(seconds: 10) { cores.allSatisfy { client.events(of: $0).isConfirmed } })
        network.run(seconds: 1)
        return (client, server, network, cores)
    }

    private func restart(_ server: CoreNode, _ network: CoreNetwork) throws -> CoreNode {
        let again = try CoreNode(identity: server.identity, port: 1002, seed: 92, keySeed: 91)
        network.nodes[again.address] = again
        return again
    }

    @Test func aRestartedServerEndsTheConnectionsOfItsPredecessor() throws {
        let (client, server, network, cores) = try connected(30)
        let again = try restart(server, network)
        for core in cores {
            _ = try core.openStream()
            let stream = try #require(try core.openStream())
            core.send([try #require(SendSegment(copying: [UInt8](repeating: 1, count: 200)))], isEnd: true, on: stream)
            network.service(core, of: client)
        }
        #expect(network.run(seconds: 5) { cores.allSatisfy { !$0.isOpen } })
        #expect(cores.allSatisfy { client.events(of: $0).termination?.cause == .statelessReset })
        #expect(again.endpoint.statistics.statelessResets == 30)
        #expect(client.endpoint.statistics.statelessResetsReceived == 30)
        network.run(seconds: 30)
        #expect(client.endpoint.resetTokens.isEmpty)
        #expect(client.endpoint.resetTokensOf.isEmpty)
        #expect(client.endpoint.registry.isEmpty)
    }

    @Test func aResetFromAnotherAddressOrWithAnotherTokenIsIgnored() throws {
        let (client, _, network, cores) = try connected()
        let token = try #require(client.endpoint.resetTokens.keys.first)
        var generator = SeededGenerator(seed: 4)
        let reset = StatelessReset.packet(token: token, length: 40, using: &generator)
        let server = NetworkAddress.ip4(127, 0, 0, 1, port: 1002)
        network.deliver(reset, to: client, from: .ip4(127, 0, 0, 1, port: 1003))
        network.deliver(reset, to: client, from: .ip4(127, 0, 0, 2, port: 1002))
        var altered = reset
        altered[reset.count - 1] ^= 1
        network.deliver(altered, to: client, from: server)
        network.deliver(Array(reset.suffix(20)), to: client, from: server)
        #expect(cores[0].isOpen)
        #expect(client.endpoint.statistics.statelessResetsReceived == 0)
        network.deliver(reset, to: client, from: server)
        #expect(!cores[0].isOpen)
        #expect(client.endpoint.statistics.statelessResetsReceived == 1)
        #expect(client.endpoint.registry.statistics.fallbackRoutings == 1)
    }

    @Test func tokensComeAndGoWithTheirConnections() throws {
        let (client, server, network, cores) = try connected(5)
        // One token for each connection ID of the server that the client may use.
        #expect(client.endpoint.resetTokens.count >= 5)
        #expect(client.endpoint.resetTokens.count <= 5 * 8)
        for core in cores {
            core.close(code: 0, reason: "", now: network.now)
            network.service(core, of: client)
        }
        network.run(seconds: 30)
        #expect(client.endpoint.resetTokens.isEmpty)
        #expect(server.endpoint.resetTokens.isEmpty)
    }

    @Test func anUnknownPacketIsAnsweredInConstantTimeHoweverManyConnectionsThereAre() throws {
        let (client, _, network, cores) = try connected(40)
        // Before, every such packet was fed to the connections at its address.
        let before = cores.map(\.traffic.datagramsReceived)
        var junk = [UInt8](repeating: 0x55, count: 100)
        for index in 0..<100 {
            junk[90] = UInt8(index)
            network.deliver(junk, to: client, from: .ip4(127, 0, 0, 1, port: 1002))
        }
        let after = cores.map(\.traffic.datagramsReceived)
        #expect(after == before)
        let areOpen = cores.allSatisfy(\.isOpen)
        #expect(areOpen)
    }

    @Test(.enabled(if: !QuicVersion.libraryVersion.hasPrefix("0."), "ngtcp2 0.x stays on its first path"))
    func aClientThatMovedIsFoundAtItsNewAddress() throws {
        let (client, server, network, cores) = try connected()
        let accepted = try #require(server.opened.first)
        let moved = NetworkAddress.ip4(127, 0, 0, 1, port: 1055)
        network.nodes[moved] = client
        try cores[0].migrate(to: moved, now: network.now)
        network.service(cores[0], of: client)
        #expect(network.run(seconds: 5) { server.endpoint.registry.address(of: accepted.handle) == moved })
        #expect(accepted.remoteAddress == moved)
        #expect(server.endpoint.registry.connections(at: client.address).isEmpty)
        // The client's new connection ID came with a token, which counts from the new address only.
        let token = try #require(server.endpoint.resetTokens.keys.first)
        var generator = SeededGenerator(seed: 4)
        let reset = StatelessReset.packet(token: token, length: 40, using: &generator)
        network.deliver(reset, to: server, from: client.address)
        #expect(accepted.isOpen)
        network.deliver(reset, to: server, from: moved)
        #expect(server.events(of: accepted).termination?.cause == .statelessReset)
    }
}
