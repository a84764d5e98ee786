import PeerID
import Testing

@testable import QuicCore

/// Transport parameters come inside the client's first flight, whose keys anybody has (RFC 9000 §7.4, §18).
@Suite struct TransportParameterTests {
    /// What the server makes of a ClientHello with these parameters: the code it closes with, and `nil` if it goes on.
    private func code(for parameters: [UInt8]?) throws -> UInt64? {
        let server = try CoreNode(port: 1002, seed: 80)
        let network = CoreNetwork(server)
        let hello = try ClientHello.captured().with(transportParameters: parameters)
        let initial = hello.initial(to: [4, 2, 3, 4, 5, 6, 7, 8])
        network.deliver(initial, to: server, from: .ip4(10, 0, 0, 1, port: 9))
        network.inFlight.removeAll()
        let end = server.opened.first.flatMap { server.events(of: $0).termination }
        weak let attacked = server.opened.first
        server.opened = []
        // Whatever it was: the next client gets in, and nothing is left of this one.
        let client = try CoreNode(port: 1001, seed: 81, accepts: false)
        network.nodes[client.address] = client
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { core.isEstablished })
        core.close(code: 0, reason: "", now: network.now)
        network.service(core, of: client)
        network.run(seconds: 60)
        #expect(server.endpoint.connectionCount == 0)
        #expect(server.endpoint.registry.isEmpty)
        #expect(attacked == nil, "its memory is not given back")
        return end?.code
    }

    /// A parameter in its form on the wire.
    private func parameter(_ id: Int, _ value: [UInt8]) -> [UInt8] {
        InitialForge.varint(id) + InitialForge.varint(value.count) + value
    }

    private let wrong = QuicErrorCode.transportParameterError.rawValue

    @Test func parametersAsTheyAreAreAccepted() throws {
        let whole = try ClientHello.captured().transportParameters
        #expect(try code(for: whole) == nil)
    }

    @Test func noParametersAreRefusedAsAMissingExtension() throws {
        #expect(try code(for: nil) == QuicErrorCode.crypto(alert: 109).rawValue)
    }

    @Test func truncatedParametersAreRefused() throws {
        let whole = try ClientHello.captured().transportParameters
        for count in [1, whole.count - 1] {
            #expect(try code(for: Array(whole[..<count])) == wrong, "\(count) bytes")
        }
        // A length that goes beyond the end.
        #expect(try code(for: whole + [0x0e, 0x3f, 0x01]) == wrong)
    }

    @Test func parametersOutOfRangeAreRefused() throws {
        let whole = try ClientHello.captured().transportParameters
        let values: [(String, [UInt8])] = [
            ("max_udp_payload_size 1199", parameter(0x03, [0x44, 0xaf])),
            ("ack_delay_exponent 21", parameter(0x0a, [21])),
            ("max_ack_delay 2^14", parameter(0x0b, [0x80, 0, 0x40, 0])),
            ("active_connection_id_limit 1", parameter(0x0e, [1])),
            ("initial_max_streams_bidi over 2^60", parameter(0x08, [0xd0, 0, 0, 0, 0, 0, 0, 1])),
            ("initial_max_streams_uni over 2^60", parameter(0x09, [0xd0, 0, 0, 0, 0, 0, 0, 1])),
            ("a number longer than its parameter", parameter(0x04, [0x80])),
        ]
        for (name, bytes) in values { #expect(try code(for: whole + bytes) == wrong, "\(name)") }
    }

    @Test func parametersThatOnlyServersSendAreRefused() throws {
        let whole = try ClientHello.captured().transportParameters
        for id in [0x00, 0x02, 0x0d, 0x10] {
            let bytes = parameter(id, [UInt8](repeating: 1, count: id == 0x0d ? 50 : 16))
            #expect(try code(for: whole + bytes) == wrong, "parameter \(id)")
            #expect(try code(for: whole + parameter(id, [])) == wrong, "parameter \(id) without a value")
        }
    }

    /// No sender may double a parameter; a receiver should refuse one that does, which is less than it must (RFC 9000 §7.4).
    /// ngtcp2 takes the last one. So it has to be as harmless as if it were the only one.
    @Test func ofADoubledParameterTheLastCounts() throws {
        let whole = try ClientHello.captured().transportParameters
        let largest: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
        let own = try #require(ParameterList(whole)[0x0f])
        let other = own.map { ~$0 }
        let doubled: [(String, [UInt8], UInt64?)] = [
            ("max_idle_timeout", parameter(0x01, [0x40, 0x64]) + parameter(0x01, [0x40, 0x65]), nil),
            ("initial_max_data, the largest twice", parameter(0x04, largest) + parameter(0x04, largest), nil),
            ("max_idle_timeout, the largest twice", parameter(0x01, largest) + parameter(0x01, largest), nil),
            ("max_udp_payload_size, good then bad", parameter(0x03, largest) + parameter(0x03, [0x44, 0xaf]), wrong),
            ("initial_max_streams_bidi, bad then good", parameter(0x08, largest) + parameter(0x08, [1]), wrong),
            ("initial_source_connection_id", parameter(0x0f, own), nil),
            ("initial_source_connection_id, another one last", parameter(0x0f, other), wrong),
            ("initial_source_connection_id, another one before", parameter(0x0f, other) + parameter(0x0f, own), nil),
        ]
        for (name, bytes, expected) in doubled { #expect(try code(for: whole + bytes) == expected, "\(name)") }
    }
}
