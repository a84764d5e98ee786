import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

/// Two endpoints on one port, as two event loops have them.
@Suite struct EndpointGroupTests {
    private let address = NetworkAddress.ip4(127, 0, 0, 1, port: 1002)

    /// The node is driven by the network and has number 0; the other one gets what the test gives it.
    private func group(_ configuration: QuicConfiguration = .defaults) throws -> (CoreNode, EndpointCore) {
        let group = EndpointGroup(count: 2, configuration: configuration)
        let node = try CoreNode(port: 1002, seed: 5, configuration: configuration, group: group)
        let other = EndpointCore(
            configuration: configuration,
            tls: try TLSContext(identity: node.identity),
            identifiers: try ServerConnectionIDs(staticKey: [UInt8](repeating: 5, count: 32), owner: 1),
            group: group,
            random: SeededGenerator(seed: 6)
        )
        other.acceptsConnections = true
        return (node, other)
    }

    private func outcome(_ core: EndpointCore, _ bytes: [UInt8], port: UInt16 = 1001, now: UInt64) -> String {
        let from = NetworkAddress.ip4(127, 0, 0, 1, port: port)
        let outcome = bytes.withUnsafeBytes { core.receive($0, from: from, to: address, ecn: 0, now: now) }
        return switch outcome {
        case .connection: "connection"
        case .opened: "opened"
        case .elsewhere(let owner): "elsewhere \(owner)"
        case .reply: "reply"
        case .dropped(let reason): "dropped \(reason)"
        }
    }

    @Test func whatBelongsToTheOtherLoopIsSaidToBelongThere() throws {
        let (server, other) = try group()
        let client = try CoreNode(port: 1001, seed: 7, accepts: false)
        let network = CoreNetwork(client, server)
        var packets: [[UInt8]] = []
        network.filter = { packet in
            if packet.to == server.address { packets.append(packet.bytes) }
            return packet
        }
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        try #require(network.run(seconds: 5) { client.events(of: core).isConfirmed })
        // Something for a packet with a short header.
        let stream = try #require(try core.openStream())
        core.send([try #require(SendSegment(copying: [1]))], isEnd: true, on: stream)
        network.service(core, of: client)
        network.run(seconds: 1)
        // All but the first flight, which goes to an ID of the client's own choice.
        // ngtcp2 0.12.1 clears the fixed bit now and then.
        let headers = try packets.map { try #require(parseWithoutFixedBit($0, idLength: 8)) }
        let routed = zip(packets, headers).filter { $1.destinationID?.count == 8 }.map(\.0)
        let kinds = Set(headers.filter { $0.destinationID?.count == 8 }.map(\.kind))
        try #require((kinds.contains(.initial) || kinds.contains(.handshake)) && kinds.contains(.short))
        for packet in routed {
            #expect(outcome(other, packet, port: 4444, now: network.now) == "elsewhere 0")
            // Nothing goes back and forth.
            #expect(outcome(server.endpoint, packet, now: network.now) == "connection")
        }
        #expect(other.statistics.datagramsReceived == 0)
        // Strangers are served by whoever they come to: the client's own choice of an ID names nobody.
        let hello = try ClientHello.captured()
        #expect(outcome(other, hello.initial(to: [1, 2, 3, 4, 5, 6, 7, 8, 9]), port: 3, now: network.now) == "opened")
    }

    @Test func whatNobodyKnowsIsAnsweredByTheLoopThatItNames() throws {
        let (server, other) = try group()
        var generator = SeededGenerator(seed: 8)
        let identifiers = try ServerConnectionIDs(staticKey: [UInt8](repeating: 5, count: 32), owner: 1)
        let packet = [0x41] + identifiers.make(using: &generator).bytes + [UInt8](repeating: 0, count: 60)
        #expect(outcome(server.endpoint, packet, now: 1) == "elsewhere 1")
        let answer = packet.withUnsafeBytes {
            other.receive($0, from: .ip4(127, 0, 0, 1, port: 1), to: address, ecn: 0, isPassedOn: true, now: 1)
        }
        #expect({ if case .reply = answer { true } else { false } }())
        #expect(other.statistics.statelessResets == 1)
    }

    @Test func aStatelessResetFindsTheLoopOfItsConnection() throws {
        let (dialer, other) = try group()
        let server = try CoreNode(port: 1001, seed: 9)
        let network = CoreNetwork(dialer, server)
        let core = try network.dial(from: dialer, to: server, expecting: nil)
        try #require(network.run(seconds: 5) { dialer.events(of: core).isConfirmed })
        let token = try #require(dialer.endpoint.resetTokens.keys.first)
        var generator = SeededGenerator(seed: 4)
        // The ID in it is random, and may name either loop.
        for _ in 0..<20 {
            let reset = StatelessReset.packet(token: token, length: 40, using: &generator)
            #expect(outcome(other, reset, now: network.now) == "elsewhere 0")
        }
        let reset = StatelessReset.packet(token: token, length: 40, using: &generator)
        network.deliver(reset, to: dialer, from: server.address)
        #expect(!core.isOpen)
        network.run(seconds: 30)
        #expect(dialer.endpoint.resetTokens.isEmpty)
        #expect(dialer.endpoint.group.owner(of: token) == nil)
    }

    @Test func theLimitsOnHandshakesAreThoseOfBothTogether() throws {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.maxHalfOpen = 6
        configuration.endpoint.maxHalfOpenPerSource = 4
        configuration.endpoint.retry = .never
        var (server, other): (CoreNode, EndpointCore?) = try group(configuration)
        let hello = try ClientHello.captured()
        var results: [String] = []
        for index in 0..<6 {
            let core = try #require(index % 2 == 0 ? server.endpoint : other)
            results.append(outcome(core, hello.initial(to: [9, 9, 9, 9, 9, 9, 9, 9, UInt8(index)]), now: 1))
        }
        #expect(results == [String](repeating: "opened", count: 4) + [String](repeating: "dropped limited", count: 2))
        #expect(server.endpoint.halfOpenCount == 2)
        #expect(other?.halfOpenCount == 2)
        // An endpoint that is gone leaves its places to the other.
        other = nil
        #expect(server.endpoint.group.halfOpenBySource.values.reduce(0, +) == 2)
        #expect(outcome(server.endpoint, hello.initial(to: [8, 9, 9, 9, 9, 9, 9, 9, 9]), now: 1) == "opened")
    }
}
