import Foundation
import PeerID
import Testing

@testable import QuicCore

/// Guard (g): before 1.22.1 the library's qlog of a server's transport parameters has room for 1,024 bytes, and does not look
/// (CVE-2026-40170). Without the guard the process aborts in here.
@Suite(.timeLimit(.minutes(1))) struct QlogGuardTests {
    private static let room = 1024
    private static let needsGuard = QuicVersion.libraryVersion.compare("1.22.1", options: .numeric) == .orderedAscending
    /// The preferred address of ``preferredAddress(idLength:)`` as a record has it, but for the ID.
    private static let text =
        ",\"preferred_address\":{\"ip_v4\":\"01010101\",\"port_v4\":65535,\"ip_v6\":\"\",\"port_v6\":65535,"
        + "\"connection_id\":\"\",\"stateless_reset_token\":{\"data\":\"\"}}"
        + String(repeating: "0", count: 2 * (16 + 16))

    /// Two addresses with their ports, an ID, a token (RFC 9000 §18.2).
    private static func preferredAddress(idLength: Int) -> [UInt8] {
        [1, 1, 1, 1, 0xff, 0xff] + [UInt8](repeating: 1, count: 16) + [0xff, 0xff]
            + [UInt8(idLength)] + [UInt8](repeating: 3, count: idLength) + [UInt8](repeating: 2, count: 16)
    }

    /// What a client logs of a server with these parameters. Afterwards, where `lives` is set, the connection is used.
    private func record(
        of retry: QuicConfiguration.Endpoint.Retry,
        lives: Bool = false,
        _ change: @escaping @Sendable (inout ParameterList) -> Void
    ) throws -> String {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.retry = retry
        let client = try CoreNode(port: 1001, seed: 31, accepts: false)
        let server = try CoreNode(port: 1002, seed: 32, configuration: configuration)
        let network = CoreNetwork(client, server)
        var (records, found) = ([String](), String?.none)
        client.endpoint.makeQlogSink = { _, _ in
            { bytes, _ in
                let text = String(decoding: bytes, as: UTF8.self)
                records.append(text)
                if text.contains("parameters_set"), text.contains(#""owner":"remote""#) { found = text }
            }
        }
        let dialed = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        LocalParameters.changing { old in
            var list = ParameterList(old)
            change(&list)
            return list.bytes
        } during: {
            // No further: a server that knows nothing of the address that it has sent gives its number to another ID.
            network.run(seconds: 5) { found != nil }
        }
        #expect(server.endpoint.statistics.retries == (retry == .always ? 1 : 0))
        #expect(client.events(of: dialed).termination == nil)
        if lives {
            let before = records.count
            #expect(network.run(seconds: 5) { client.events(of: dialed).isConfirmed })
            let stream = try #require(try dialed.openStream())
            let segment = try #require(SendSegment(copying: [UInt8](repeating: 1, count: 10_000)))
            dialed.send([segment], isEnd: true, on: stream)
            network.service(dialed, of: client)
            #expect(network.run(seconds: 5) { server.ended.contains(stream) })
            #expect(records.count > before + 5)
        }
        for record in records.dropFirst() where !record.isEmpty {
            #expect(throws: Never.self, "\(record)") {
                try JSONSerialization.jsonObject(with: Data(record.utf8.dropFirst()))
            }
        }
        return try #require(found)
    }

    /// Numbers of so many digits, wherever there may be one.
    private static func fill(_ list: inout ParameterList, digits: Int) {
        let number = (0..<digits).reduce(UInt64(0)) { number, _ in number * 10 + 1 } * 4
        list[0x20] = varint(number, length: 8)
        guard digits > 5 else { return }
        // The idle timeout, the payload size, and what may be sent: below this they would be too small for a connection.
        for id in [0x01, 0x03, 0x04, 0x05, 0x06, 0x07] as [UInt64] { list[id] = varint(number, length: 8) }
        // RFC 9000 §4.6: stream counts end at 2^60.
        for id in [0x08, 0x09] as [UInt64] { list[id] = varint(min(number, 1 << 60), length: 8) }
    }

    @Test(arguments: [.never, .always] as [QuicConfiguration.Endpoint.Retry])
    func theLargestParametersOfAServerDoNotOverrunTheLog(retry: QuicConfiguration.Endpoint.Retry) throws {
        let record = try record(of: retry, lives: Self.needsGuard) { list in
            Self.fill(&list, digits: 19)
            list[0x0d] = Self.preferredAddress(idLength: 20)
        }
        #expect(record.contains("4444444444444444444"))
        if Self.needsGuard {
            #expect(record.utf8.count <= Self.room)
            #expect(!record.contains("preferred_address"))
        }
    }

    @Test func anOrdinaryPreferredAddressIsLogged() throws {
        let record = try record(of: .never) { $0[0x0d] = Self.preferredAddress(idLength: 8) }
        #expect(record.contains("\"ip_v4\":\"01010101\""))
        #expect(record.contains("\"connection_id\":\"0303030303030303\""))
    }

    /// At every size on the way, no more is left out than has to be.
    @Test(arguments: [0, 20]) func aPreferredAddressIsLeftOutWhereItDoesNotFit(spared: Int) throws {
        guard Self.needsGuard else { return }
        var (logged, left) = (0, 0)
        for digits in 1...19 {
            for idLength in [1, 20] {
                let record = try record(of: spared == 0 ? .always : .never) { list in
                    Self.fill(&list, digits: digits)
                    list[0x0d] = Self.preferredAddress(idLength: idLength)
                }
                let length = record.utf8.count
                #expect(length <= Self.room)
                if record.contains("preferred_address") {
                    logged += 1
                } else {
                    left += 1
                    // But for the digits of the time, of which there may be 14.
                    #expect(length + Self.text.utf8.count + 2 * idLength + 13 > Self.room, "\(digits) digits")
                }
            }
        }
        #expect(logged > 0 && left > 0)
    }
}
