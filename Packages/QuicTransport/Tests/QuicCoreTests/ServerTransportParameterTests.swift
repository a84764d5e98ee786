import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

/// Transport parameters that a server sends to a client of ours, in its EncryptedExtensions (RFC 9000 §7.4, §18). The server's
/// handshake is good in every other respect.
@Suite(.timeLimit(.minutes(1))) struct ServerTransportParameterTests {
    private let server: CoreNode
    private let client: CoreNode
    private let network: CoreNetwork

    init() throws {
        server = try CoreNode(port: 1002, seed: 51)
        client = try CoreNode(port: 1001, seed: 52, accepts: false)
        network = CoreNetwork(client, server)
    }

    /// Dials a server whose parameters are changed, and says what becomes of it: the code the client closes with, and `nil`
    /// if it completes the handshake.
    private func code(_ change: @escaping @Sendable ([UInt8]) -> [UInt8]) throws -> UInt64? {
        let (end, dialed, accepted) = try attempt(change)
        #expect(client.endpoint.connectionCount == 0)
        #expect(client.endpoint.registry.isEmpty)
        #expect(dialed.core == nil && accepted.core == nil, "their memory is not given back")
        // Whatever it was: the next server is reached.
        let fresh = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        let node = client
        #expect(network.run(seconds: 5) { node.events(of: fresh).isConfirmed })
        fresh.close(code: 0, reason: "", now: network.now)
        network.service(fresh, of: client)
        network.run(seconds: 60)
        return end
    }

    private struct Witness {
        weak var core: ConnectionCore?
    }

    /// The same, and who must be gone when it returns.
    private func attempt(
        _ change: @escaping @Sendable ([UInt8]) -> [UInt8]
    ) throws -> (code: UInt64?, dialed: Witness, accepted: Witness) {
        let dialed = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: server.identity.peerID,
            now: network.now
        )
        var hello: [UInt8] = []
        let to = server.address
        network.filter = { packet in
            guard packet.to == to else { return packet }
            if hello.isEmpty { hello = packet.bytes }
            return nil
        }
        network.service(dialed, of: client)
        let header = try parse(hello, idLength: 8)
        let session = try server.endpoint.tls.makeServerSession()
        let source = server.endpoint.entropy.makeIdentifier()
        let opening = ConnectionOpening(
            handle: server.endpoint.makeHandle(),
            session: session,
            entropy: server.endpoint.entropy,
            parameters: server.endpoint.parameters,
            destination: try #require(header.sourceID),
            source: source,
            remote: client.address,
            local: server.address,
            accepted: .init(
                original: try #require(header.destinationID),
                resetToken: server.endpoint.entropy.resetToken(for: source)
            )
        )
        let accepted = try ConnectionCore(opening, now: network.now)
        try LocalParameters.changing(of: accepted, change) {
            hello.withUnsafeBytes {
                accepted.receive($0, from: client.address, to: server.address, ecn: 0, now: network.now)
            }
        }
        network.service(accepted, of: server)
        network.run(seconds: 0.02)
        accepted.abandon()
        let end = client.events(of: dialed).termination
        #expect((end == nil) == dialed.isEstablished, "\(end?.error.description ?? "")")
        if let end {
            #expect(!end.byPeer)
            // A handshake that fails is one, to those who dial.
            #expect([.handshake, .peerVerification].contains(end.error.code), "\(end.error)")
        }
        network.filter = { $0 }
        dialed.close(code: 0, reason: "", now: network.now)
        network.service(dialed, of: client)
        network.run(seconds: 60)
        return (end?.code, Witness(core: dialed), Witness(core: accepted))
    }

    /// Changes the list, and puts `tail` behind it.
    private func code(
        changing change: @escaping @Sendable (inout ParameterList) -> Void,
        tail: [UInt8] = []
    ) throws -> UInt64? {
        try code { old in
            var list = ParameterList(old)
            change(&list)
            return list.bytes + tail
        }
    }

    private let wrong = QuicErrorCode.transportParameterError.rawValue

    @Test func parametersAsTheyAreAreAccepted() throws {
        #expect(try code { $0 } == nil)
        // A reserved one says nothing (RFC 9000 §18.1).
        #expect(try code(changing: { $0[27] = [1, 2, 3] }) == nil)
    }

    /// Guard (c): the library aborts the process when it uses what never came.
    @Test func noParametersAreRefusedAsAMissingExtension() throws {
        #expect(try code { _ in [] } == QuicErrorCode.crypto(alert: 109).rawValue)
    }

    @Test func anEmptyListIsRefused() throws {
        // The IDs that are mandatory are not there (RFC 9000 §7.3).
        #expect(try code(changing: { $0.entries = [(27, [])] }) == wrong)
    }

    @Test func truncatedParametersAreRefused() throws {
        // The last one's length goes beyond the end, is missing, or is cut itself.
        for tail in [[0x0e, 0x3f, 0x01], [0x0e], [0x0e, 0x40], [0x40]] as [[UInt8]] {
            #expect(try code(changing: { _ in }, tail: tail) == wrong, "\(tail)")
        }
    }

    /// RFC 9000 §7.4 wants it refused with a "should"; ngtcp2 takes the last one.
    @Test func ofADoubledParameterTheLastCounts() throws {
        let largest = [UInt8](repeating: 0xff, count: 8)
        let other = [UInt8](repeating: 7, count: 16)
        let doubled: [(String, [(UInt64, [UInt8])], UInt64?)] = [
            ("max_idle_timeout", [(0x01, [0x40, 0x64]), (0x01, [0x40, 0x65])], nil),
            ("the largest numbers", [(0x01, largest), (0x04, largest), (0x04, largest), (0x20, largest)], nil),
            ("max_udp_payload_size, good then bad", [(0x03, largest), (0x03, [0x44, 0xaf])], wrong),
            ("another original_destination_connection_id last", [(0x00, other)], wrong),
            ("another initial_source_connection_id last", [(0x0f, other)], wrong),
        ]
        for (name, entries, expected) in doubled {
            #expect(try code(changing: { $0.entries += entries }) == expected, "\(name)")
        }
        // The other one before the good one.
        for id in [0x00, 0x0f] as [UInt64] {
            #expect(try code(changing: { $0.entries.insert((id, other), at: 0) }) == nil, "parameter \(id)")
        }
    }

    @Test func parametersOutOfRangeAreRefused() throws {
        let over: [UInt8] = [0xd0, 0, 0, 0, 0, 0, 0, 1]
        let values: [(String, UInt64, [UInt8])] = [
            ("max_udp_payload_size 1199", 0x03, [0x44, 0xaf]),
            ("ack_delay_exponent 21", 0x0a, [21]),
            ("max_ack_delay 2^14", 0x0b, [0x80, 0, 0x40, 0]),
            ("active_connection_id_limit 1", 0x0e, [1]),
            ("initial_max_streams_bidi over 2^60", 0x08, over),
            ("initial_max_streams_uni over 2^60", 0x09, over),
            ("a number longer than its parameter", 0x04, [0x80]),
            ("disable_active_migration with a value", 0x0c, [1]),
        ]
        for (name, id, value) in values { #expect(try code(changing: { $0[id] = value }) == wrong, "\(name)") }
    }

    @Test func connectionIDsThatAreNotThoseOfTheHandshakeAreRefused() throws {
        let values: [(String, UInt64, [UInt8]?)] = [
            ("no original_destination_connection_id", 0x00, nil),
            ("another original_destination_connection_id", 0x00, [UInt8](repeating: 7, count: 16)),
            ("original_destination_connection_id of 21 bytes", 0x00, [UInt8](repeating: 7, count: 21)),
            ("no initial_source_connection_id", 0x0f, nil),
            ("another initial_source_connection_id", 0x0f, [UInt8](repeating: 7, count: 8)),
            ("retry_source_connection_id without a Retry", 0x10, [UInt8](repeating: 7, count: 8)),
        ]
        for (name, id, value) in values { #expect(try code(changing: { $0[id] = value }) == wrong, "\(name)") }
    }

    @Test func parametersOfServersWithBadContentAreRefused() throws {
        // preferred_address: two addresses and ports, the ID, the token (RFC 9000 §18.2).
        let addresses = [UInt8](repeating: 1, count: 4 + 2 + 16 + 2)
        let token = [UInt8](repeating: 2, count: 16)
        let values: [(String, UInt64, [UInt8])] = [
            ("stateless_reset_token of 15 bytes", 0x02, Array(token.dropLast())),
            ("stateless_reset_token of no bytes", 0x02, []),
            ("preferred_address of no bytes", 0x0d, []),
            ("preferred_address with an ID of no bytes", 0x0d, addresses + [0] + token),
            (
                "preferred_address with an ID of 21 bytes", 0x0d,
                addresses + [21] + [UInt8](repeating: 3, count: 21) + token
            ),
            ("preferred_address cut short", 0x0d, addresses + [4, 1, 2, 3, 4] + token.dropLast()),
        ]
        for (name, id, value) in values {
            #expect(try code(changing: { $0[id] = value }) == wrong, "\(name)")
        }
    }
}
