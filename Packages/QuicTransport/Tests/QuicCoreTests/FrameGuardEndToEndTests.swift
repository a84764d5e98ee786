import PeerID
import Testing

@testable import QuicCore

/// What the frame guard finds ends the connection, and nothing but the connection: with real packets, sealed with the
/// connection's own keys, in every packet number space.
@Suite(.timeLimit(.minutes(1))) struct FrameGuardEndToEndTests {
    private struct Witness {
        weak var core: ConnectionCore?
    }

    /// The frames that no Initial and no Handshake packet may bear.
    static let late = SampleFrame.all.filter { !$0.spaces.contains(.handshake) }

    @Test(arguments: Victim.allCases) func aFrameIsRefusedInAHandshakePacket(victim: Victim) throws {
        for frame in Self.late {
            let attack = try FrameAttack(on: victim, at: .handshake)
            attack.inject(frame.bytes)
            #expect(attack.end != nil, "\(frame.name)")
            try attack.expectClosed(.protocolViolation, frame: frame.bytes[0])
        }
    }

    @Test func aFrameIsRefusedInTheFirstPacketOfAClient() throws {
        let server = try CoreNode(port: 1002, seed: 61)
        let network = CoreNetwork(server)
        let stranger = NetworkAddress.ip4(10, 0, 0, 1, port: 9)
        var answers: [[UInt8]] = []
        network.filter = { packet in
            guard packet.to == stranger else { return packet }
            answers.append(packet.bytes)
            return nil
        }
        for (index, frame) in Self.late.enumerated() {
            let id = [UInt8](repeating: UInt8(index), count: 8)
            answers = []
            network.deliver(InitialForge(destination: id).seal(frame.bytes), to: server, from: stranger)
            let core = try #require(server.opened.last)
            let end = try #require(server.events(of: core).termination, "\(frame.name)")
            #expect(end.code == QuicErrorCode.protocolViolation.rawValue, "\(frame.name)")
            #expect(end.frameType == UInt64(frame.bytes[0]))
            let told = try answers.compactMap { try InitialForge(destination: id, isServer: true).open($0) }
            #expect(told.contains { $0.starts(with: [0x1c, 0x0a]) }, "\(frame.name)")
            #expect(!core.isEstablished)
        }
        let witnesses = server.opened.map { Witness(core: $0) }
        server.opened = []
        network.run(seconds: 30)
        #expect(witnesses.count == Self.late.count)
        #expect(witnesses.allSatisfy { $0.core == nil }, "their memory is not given back")
        #expect(server.endpoint.connectionCount == 0)
        #expect(server.endpoint.registry.isEmpty)
        #expect(server.endpoint.halfOpenCount == 0)
        #expect(server.endpoint.originalIDs.isEmpty)
        let fresh = try CoreNode(port: 1009, seed: 69, accepts: false)
        network.nodes[fresh.address] = fresh
        let dialed = try network.dial(from: fresh, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { fresh.events(of: dialed).isConfirmed })
    }

    @Test func aFrameIsRefusedInTheFirstPacketOfAServer() throws {
        let client = try CoreNode(port: 1001, seed: 62, accepts: false)
        let server = NetworkAddress.ip4(127, 0, 0, 1, port: 1002)
        var witnesses: [Witness] = []
        for frame in Self.late {
            let network = CoreNetwork(client)
            var sent: [[UInt8]] = []
            network.filter = { packet in
                sent.append(packet.bytes)
                return nil
            }
            let core = try client.endpoint.connect(to: server, from: client.address, expecting: nil, now: network.now)
            network.service(core, of: client)
            let hello = try parse(sent[0], idLength: 8)
            let (first, own) = (hello.destinationID?.bytes ?? [], hello.sourceID?.bytes ?? [])
            let answer = InitialForge(destination: first, isServer: true).seal(frame.bytes, to: own)
            sent = []
            network.deliver(answer, to: client, from: server)
            let end = try #require(client.events(of: core).termination, "\(frame.name)")
            #expect(end.code == QuicErrorCode.protocolViolation.rawValue, "\(frame.name)")
            #expect(end.frameType == UInt64(frame.bytes[0]))
            // The server's ID is the source of its first packet from then on, and the keys stay those of the client's.
            let told = try sent.compactMap { try InitialForge(destination: first).open($0) }
            #expect(told.contains { $0.starts(with: [0x1c, 0x0a]) }, "\(frame.name)")
            network.run(seconds: 30)
            witnesses.append(Witness(core: core))
        }
        #expect(witnesses.allSatisfy { $0.core == nil }, "their memory is not given back")
        #expect(client.endpoint.connectionCount == 0)
        #expect(client.endpoint.registry.isEmpty)
        // The client is none the worse for it: it connects to one that is what it says.
        let honest = try CoreNode(port: 1009, seed: 69)
        let network = CoreNetwork(client, honest)
        let dialed = try network.dial(from: client, to: honest, expecting: honest.identity.peerID)
        #expect(network.run(seconds: 5) { client.events(of: dialed).isConfirmed })
    }

    @Test(arguments: Victim.allCases) func aMalformedFrameIsAnEncodingError(victim: Victim) throws {
        let maximum: UInt64 = (1 << 62) - 1
        let frames: [(String, [UInt8], UInt8?)] = [
            ("unknown type", [0x20, 0, 0], 0x20),
            ("type of eight bytes", varint(maximum), nil),
            ("RESET_STREAM cut short", [4, 0, 0], 4),
            ("ACK below 0", [2] + varint(5) + [0, 0] + varint(6), 2),
            ("STREAM that ends behind 2^62", [0x0e, 0] + varint(maximum) + [1, 0], 0x0e),
            ("MAX_STREAMS over 2^60", [0x12] + varint(1 << 60 + 1), 0x12),
            ("STREAMS_BLOCKED over 2^60", [0x17] + varint(1 << 60 + 1), 0x17),
            ("NEW_CONNECTION_ID without bytes", newConnectionID(9, length: 0), 0x18),
            ("NEW_CONNECTION_ID that retires itself", newConnectionID(9, retire: 10), 0x18),
            ("NEW_TOKEN without a token", [7, 0], 7),
        ]
        for (name, frame, type) in frames {
            let attack = try FrameAttack(on: victim, at: .oneRTT)
            attack.inject(frame)
            #expect(attack.end != nil, "\(name)")
            try attack.expectClosed(.frameEncodingError, frame: type)
        }
        // In a Handshake packet likewise.
        let attack = try FrameAttack(on: victim, at: .handshake)
        attack.inject([0x20, 0, 0])
        try attack.expectClosed(.frameEncodingError, frame: 0x20)
    }

    @Test(arguments: Victim.allCases) func aPacketWithoutFramesIsAViolation(victim: Victim) throws {
        for stage in [FrameAttack.Stage.handshake, .oneRTT] {
            let attack = try FrameAttack(on: victim, at: stage)
            attack.inject([])
            try attack.expectClosed(.protocolViolation, frame: 0)
        }
    }

    /// Frames that are well formed, and stand where they may stand for somebody else or at another time. Some the guard
    /// passes on, and the library refuses them.
    @Test func aFrameThatThePeerMayNotSendIsAViolation() throws {
        let frames: [(String, Victim, [UInt8], QuicErrorCode)] = [
            ("HANDSHAKE_DONE", .server, [0x1e], .protocolViolation),
            ("NEW_TOKEN", .server, [7, 1, 1], .protocolViolation),
            ("type that is not in its shortest form", .server, varint(1, length: 2), .protocolViolation),
            ("ACK of a packet that was not sent", .client, [2] + varint(1 << 40) + [0, 0, 0], .protocolViolation),
            ("RETIRE_CONNECTION_ID never issued", .client, [0x19] + varint(1 << 40), .protocolViolation),
            ("NEW_CONNECTION_ID above the limit", .client, newConnectionID(200), .connectionIDLimitError),
            ("STREAM of the other side", .server, [0x0a, 1, 1, 1], .streamStateError),
            ("STREAM of one direction, for which there is no credit", .server, [0x0a, 2, 1, 1], .streamLimitError),
            ("STREAM above the number allowed", .server, [0x0a] + varint(4 * 5000) + [1, 1], .streamLimitError),
            ("STREAM beyond the window", .server, [0x0e, 0] + varint(1 << 40) + [1, 1], .flowControlError),
            ("MAX_STREAM_DATA of a stream that only receives", .client, [0x11, 3, 1], .streamStateError),
        ]
        for (name, victim, frame, code) in frames {
            let attack = try FrameAttack(on: victim, at: .oneRTT)
            attack.inject(frame)
            #expect(attack.end?.code == code.rawValue, "\(name)")
            try attack.expectHealth()
        }
    }

    @Test func datagramsThatNobodyAskedForAreAViolation() throws {
        for frame in [[0x30, 1, 2], [0x31, 2, 1, 2]] as [[UInt8]] {
            let attack = try FrameAttack(on: .server, at: .oneRTT)
            attack.inject(frame)
            #expect(attack.end?.code == QuicErrorCode.protocolViolation.rawValue)
            try attack.expectHealth()
        }
    }
}
