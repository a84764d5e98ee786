import Foundation
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(1))) struct QlogTests {
    @Test func eachSideWritesALogOfJSONRecords() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("qlog-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        var configuration = QuicConfiguration.defaults
        configuration.qlogDirectory = directory.path
        try await QuicPair.with(server: configuration, client: configuration) { pair in
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1, 2, 3])
            try await stream.closeWrite()
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1, 2, 3])
        }
        var files: [String] = []
        // The files are written beside the connections: they are there soon, not at once.
        while files.count < 2 {
            files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            await Task.yield()
        }
        #expect(files.count { $0.hasSuffix("_client.sqlog") } == 1)
        #expect(files.count { $0.hasSuffix("_server.sqlog") } == 1)
        for file in files {
            let data = try Data(contentsOf: directory.appendingPathComponent(file))
            // RFC 7464: a record separator, JSON, a line feed. The last record may still be on its way.
            let records = data.split(separator: 0x1e).dropLast()
            #expect(!records.isEmpty)
            for record in records {
                #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(record)) }
            }
        }
    }

    @Test func aDirectoryThatIsNotThereOnlyEndsTheLog() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.qlogDirectory = "/nonexistent/\(UUID().uuidString)"
        try await QuicPair.with(client: configuration) { pair in
            #expect(pair.dialed.remotePeer == pair.server.localPeer)
        }
    }
}
