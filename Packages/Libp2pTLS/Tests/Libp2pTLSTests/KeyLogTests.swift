import Foundation
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct KeyLogTests {
    /// A folder of its own, removed at the end.
    final class Folder {
        let path = NSTemporaryDirectory() + "/keylog-" + UUID().uuidString
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    func mode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    func runHandshake(_ context: TLSContext) throws {
        let client = try context.makeClientSession(expecting: nil)
        let server = try TLSContext(identity: .ed25519()).makeServerSession()
        let ends = handshake(client, server)
        #expect(ends.client.result == 0 && ends.server.result == 0)
    }

    @Test func secretsOfAHandshakeAreWrittenInNSSFormat() throws {
        let folder = try Folder()
        let path = folder.path + "/keys"
        try runHandshake(TLSContext(identity: .ed25519(), configuration: .init(keyLogFile: path)))
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        let labels = Set(lines.map { $0.prefix { $0 != " " } })
        for label in [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
        ] {
            #expect(labels.contains(Substring(label)))
        }
        for line in lines {
            let fields = line.split(separator: " ")
            #expect(fields.count == 3 && fields[1].count == 64 && [64, 96].contains(fields[2].count))
            #expect(fields.dropFirst().joined().allSatisfy { $0.isHexDigit && !$0.isUppercase })
        }
        #expect(Set(lines.map { $0.split(separator: " ")[1] }).count == 1)
    }

    @Test func fileIsPrivateAndAppendedTo() throws {
        let folder = try Folder()
        let path = folder.path + "/keys"
        try Data("# mine\n".utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        try runHandshake(TLSContext(identity: .ed25519(), configuration: .init(keyLogFile: path)))
        #expect(try mode(path) == 0o600)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.hasPrefix("# mine\n") && text.contains("CLIENT_TRAFFIC_SECRET_0 "))
        let new = folder.path + "/new"
        _ = try KeyLog(path: new)
        #expect(try mode(new) == 0o600)
    }

    @Test func linesOfManyConnectionsDoNotMix() async throws {
        let folder = try Folder()
        let path = folder.path + "/keys"
        let logs = [try KeyLog(path: path), try KeyLog(path: path)]
        await withTaskGroup(of: Void.self) { group in
            for writer in UInt8(0)..<16 {
                let log = logs[Int(writer) % 2]
                group.addTask {
                    for _ in 0..<50 {
                        log.append(
                            label: "LABEL",
                            clientRandom: .init(repeating: writer, count: 32),
                            secret: .init(repeating: writer, count: 48)
                        )
                    }
                }
            }
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 800)
        #expect(lines.allSatisfy { $0.utf8.count == 6 + 64 + 1 + 96 && $0.hasPrefix("LABEL ") })
        #expect(lines.allSatisfy { Set($0.dropFirst(6).filter { $0 != " " }).count <= 2 })
    }

    @Test func nothingIsWrittenUnlessConfigured() throws {
        #expect(TLSConfiguration.defaults.keyLogFile == nil)
    }

    @Test func fileThatCannotBeOpenedIsAnErrorThatNamesIt() throws {
        let path = "/nonexistent/folder/keys"
        do throws(TLSError) {
            _ = try TLSContext(identity: .ed25519(), configuration: .init(keyLogFile: path))
            Issue.record("opened")
        } catch {
            #expect(error.code == .keyLog && error.message.contains(path))
        }
    }
}
