import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

/// Frames in 0-RTT packets, sealed with the early keys of a resumed session.
@Suite(.timeLimit(.minutes(1))) struct FrameGuardEarlyTests {
    /// A client whose second connection to a server has begun, with early keys, and of which only the ClientHello arrives.
    private struct EarlyAttack {
        let network: CoreNetwork
        let client: CoreNode
        let server: CoreNode
        /// Released once it has to be gone.
        private(set) var victim: ConnectionCore?
        private let forge: PacketForge
        private let header: PacketHeader

        init() throws {
            var tls = TLSConfiguration(sessionTickets: true, earlyData: true)
            tls.cipherSuites = [.aes128]
            var configuration = QuicConfiguration.defaults
            configuration.resumption = .earlyData
            let client = try CoreNode(port: 1, seed: 81, configuration: configuration, accepts: false, tls: tls)
            let server = try CoreNode(port: 2, seed: 82, configuration: configuration, tls: tls)
            let network = CoreNetwork(client, server)
            (self.client, self.server, self.network) = (client, server, network)
            let first = try network.dial(from: client, to: server, expecting: server.identity.peerID)
            network.run(seconds: 2)
            first.close(code: 0, reason: "", now: network.now)
            network.service(first, of: client)
            network.run(seconds: 20) {
                client.endpoint.connectionCount == 0 && server.endpoint.connectionCount == 0
            }
            var hello: [UInt8]?
            network.filter = { packet in
                guard packet.from == client.address, hello == nil else { return nil }
                hello = packet.bytes
                return packet
            }
            server.opened = []
            let dialed = try client.endpoint.connect(
                to: server.address,
                from: client.address,
                expecting: server.identity.peerID,
                early: true,
                now: network.now
            )
            let session = try #require(dialed.session)
            ToldSecrets.listen(to: session.handle)
            network.service(dialed, of: client)
            network.run(seconds: 0.01) { !server.opened.isEmpty }
            let accepted = try #require(server.opened.first)
            victim = accepted
            server.opened = []
            forge = PacketForge(
                secret: try #require(ToldSecrets.take(of: session.handle)["CLIENT_EARLY_TRAFFIC_SECRET"])
            )
            header = try parse(try #require(hello), idLength: 8)
        }

        mutating func letGo() { victim = nil }

        /// Sends a frame in a 0-RTT packet and says how the server took it.
        func inject(_ frame: [UInt8]) throws -> ConnectionTermination? {
            let (destination, source) = (header.destinationID?.bytes ?? [], header.sourceID?.bytes ?? [])
            let packet = forge.zeroRTT(frame, to: destination, from: source, number: 1000)
            network.deliver(packet, to: server, from: client.address)
            return victim.flatMap { server.events(of: $0).termination }
        }
    }

    @Test(arguments: SampleFrame.all.filter { !$0.spaces.contains(.zeroRTT) })
    func aFrameIsRefusedInAnEarlyPacket(frame: SampleFrame) throws {
        var attack = try EarlyAttack()
        let end = try #require(try attack.inject(frame.bytes), "still open")
        #expect(!end.byPeer && end.cause == .transport)
        #expect(end.code == QuicErrorCode.protocolViolation.rawValue)
        #expect(end.frameType == UInt64(frame.bytes[0]))
        // Nothing is left of it, and others connect.
        let (client, own) = (attack.client, attack.client.address)
        attack.network.filter = { $0.from == own ? nil : $0 }
        weak let gone = attack.victim
        attack.letGo()
        attack.network.run(seconds: 90) { client.endpoint.connectionCount == 0 }
        #expect(gone == nil, "its memory is not given back")
        #expect(attack.server.endpoint.connectionCount == 0 && attack.server.endpoint.halfOpenCount == 0)
        #expect(attack.server.endpoint.registry.isEmpty)
        attack.network.filter = { $0 }
        let fresh = try CoreNode(port: 3, seed: 89, accepts: false)
        attack.network.nodes[fresh.address] = fresh
        let dialed = try attack.network.dial(
            from: fresh,
            to: attack.server,
            expecting: attack.server.identity.peerID
        )
        #expect(attack.network.run(seconds: 5) { fresh.events(of: dialed).isConfirmed })
    }

    /// The packets above can be read: what may stand in them is taken.
    @Test func aStreamIsTakenInAnEarlyPacket() throws {
        let attack = try EarlyAttack()
        #expect(try attack.inject([0x0b, 0, 3, 7, 8, 9]) == nil)
        #expect(attack.server.received == [StreamID(rawValue: 0): [7, 8, 9]])
    }
}
