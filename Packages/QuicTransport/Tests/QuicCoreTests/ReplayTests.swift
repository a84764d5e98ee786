import PeerID
import Testing

@testable import QuicCore

/// What somebody can do who sees packets and sends them again.
@Suite struct ReplayTests {
    @Test(arguments: [true, false]) func copiesOfPacketsDrawOnNoLimit(ofTheServer: Bool) throws {
        let client = try CoreNode(port: 1001, seed: 1, accepts: false)
        let server = try CoreNode(port: 1002, seed: 2)
        let network = CoreNetwork(client, server)
        let (sender, receiver) = ofTheServer ? (server, client) : (client, server)
        var packets: [[UInt8]] = []
        network.filter = { packet in
            if packet.from == sender.address, packet.bytes[0] & 0x80 == 0 { packets.append(packet.bytes) }
            return packet
        }
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        try #require(network.run(seconds: 5) { client.events(of: core).isConfirmed })
        network.run(seconds: 0.5)
        // Among them the connection IDs that a side issues after the handshake.
        try #require(!packets.isEmpty)
        let seen = packets
        for packet in seen {
            for _ in 0..<2000 { network.deliver(packet, to: receiver, from: sender.address) }
        }
        #expect(core.isOpen)
        #expect(server.opened.allSatisfy { $0.isOpen })
        let opened = try core.openStream()
        let stream = try #require(opened)
        core.send([try #require(SendSegment(copying: [1, 2, 3]))], isEnd: true, on: stream)
        network.service(core, of: client)
        #expect(network.run(seconds: 5) { server.ended.contains(stream) })
        #expect(server.received[stream] == [1, 2, 3])
    }

    @Test func aClientsFirstPacketNeedsAnIDOfEightBytesWhateverItsToken() throws {
        let server = try CoreNode(port: 1002, seed: 2)
        let network = CoreNetwork(server)
        let hello = try ClientHello.captured()
        for length in 0..<8 {
            let short = hello.initial(to: [UInt8](repeating: 1, count: length), token: [7])
            network.deliver(short, to: server, from: .ip4(127, 0, 0, 1, port: 1001))
        }
        #expect(server.endpoint.connectionCount == 0)
        network.deliver(
            hello.initial(to: [UInt8](repeating: 1, count: 8), token: [7]),
            to: server,
            from: .ip4(127, 0, 0, 1, port: 1001)
        )
        #expect(server.endpoint.connectionCount == 1)
    }
}
