import Foundation
import PeerID
import Testing

@testable import QuicCore

/// What qvis wants of a log (draft-ietf-quic-qlog-main-schema), from connections in memory.
@Suite struct QlogTests {
    private final class Log {
        var bytes: [UInt8] = []
        var isOver = false

        /// The records of a JSON text sequence (RFC 7464).
        func records() throws -> [[String: Any]] {
            try #require(bytes.first == 0x1e)
            return try Data(bytes).split(separator: 0x1e).map { record in
                #expect(record.last == 0x0a)
                let value = try JSONSerialization.jsonObject(with: Data(record))
                return try #require(value as? [String: Any], "\(String(decoding: record, as: UTF8.self))")
            }
        }
    }

    /// The events that the libraries write.
    private static let names: Set<String> = [
        "connectivity:connection_started", "connectivity:connection_closed", "connectivity:path_assigned",
        "transport:parameters_set", "transport:packet_sent", "transport:packet_received", "recovery:metrics_updated",
        "recovery:packet_lost", "security:key_updated", "security:key_discarded",
    ]

    @Test(arguments: [0, 12]) func everyRecordIsAnEventThatViewersKnow(losing oneIn: Int) throws {
        let client = try CoreNode(port: 1001, seed: 11, accepts: false)
        let server = try CoreNode(port: 1002, seed: 12)
        let network = CoreNetwork(latency: 10_000_000, client, server)
        var logs: [Bool: Log] = [:]
        for node in [client, server] {
            node.endpoint.makeQlogSink = { _, isServer in
                let log = Log()
                logs[isServer] = log
                return { bytes, isLast in
                    log.bytes += bytes
                    if isLast { log.isOver = true }
                }
            }
        }
        var count = 0
        network.filter = { packet in
            count += 1
            return oneIn > 0 && count % oneIn == 0 ? nil : packet
        }
        let dialed = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 20) { client.events(of: dialed).isConfirmed })
        let stream = try #require(try dialed.openStream())
        let segment = try #require(SendSegment(copying: [UInt8](repeating: 1, count: 200_000)))
        dialed.send([segment], isEnd: true, on: stream)
        network.service(dialed, of: client)
        #expect(network.run(seconds: 60) { server.ended.contains(stream) })
        dialed.close(code: 0, reason: "", now: network.now)
        network.service(dialed, of: client)
        network.run(seconds: 120)
        #expect(server.endpoint.connectionCount == 0)
        server.opened = []
        for (isServer, log) in logs {
            let records = try log.records()
            let head = try #require(records.first)
            #expect((head["qlog_version"] as? String)?.hasPrefix("0.") == true)
            #expect(head["qlog_format"] as? String == "JSON-SEQ")
            let trace = try #require(head["trace"] as? [String: Any])
            let point = try #require(trace["vantage_point"] as? [String: Any])
            #expect(point["type"] as? String == (isServer ? "server" : "client"))
            #expect(trace["common_fields"] is [String: Any])
            var names: [String: Int] = [:]
            var time = -1.0
            for record in records.dropFirst() {
                let name = try #require(record["name"] as? String)
                names[name, default: 0] += 1
                #expect(Self.names.contains(name), "\(name)")
                let at = try #require(record["time"] as? Double)
                #expect(at >= time)
                time = at
                #expect(record["data"] is [String: Any])
            }
            #expect(names["transport:packet_sent", default: 0] > 10)
            #expect(names["transport:packet_received", default: 0] > 10)
            #expect(names["transport:parameters_set", default: 0] >= 1)
            if !isServer { #expect((names["recovery:packet_lost", default: 0] > 0) == (oneIn > 0), "\(names)") }
        }
        #expect(logs.count == 2)
    }
}
