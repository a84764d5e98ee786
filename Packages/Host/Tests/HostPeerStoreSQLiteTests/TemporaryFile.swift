import Foundation
import GRDB
import Host
import NetStreamTesting
import PeerID

/// A file in a folder of its own, which is removed at the end.
final class TemporaryFile: Sendable {
    let path: String
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("peers-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.appendingPathComponent("peers.sqlite").path
    }

    /// Writes to the database as another program would, which need not care what refers to what.
    func execute(_ sql: String) async throws {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        let other = try DatabaseQueue(path: path, configuration: configuration)
        try await other.write { try $0.execute(sql: sql) }
        try other.close()
    }

    /// The peers in the database, as another program reads them while a store has it open.
    func peers() async throws -> [Data] {
        let other = try DatabaseQueue(path: path)
        defer { try? other.close() }
        return try await other.read { try Data.fetchAll($0, sql: "SELECT id FROM peer ORDER BY id") }
    }

    /// What SQLite finds wrong with the file: "ok" alone when it is nothing.
    func check() async throws -> [String] {
        let other = try DatabaseQueue(path: path)
        defer { try? other.close() }
        return try await other.read { try String.fetchAll($0, sql: "PRAGMA integrity_check") }
    }

    deinit { try? FileManager.default.removeItem(at: folder) }
}

/// The peer store of a host of its own, as each run of a program has it. Peers are remembered for 1000 s.
func newStore(_ clock: ManualClock) throws -> PeerStore {
    var configuration = HostConfiguration()
    configuration.clock = clock
    configuration.rememberedFor = .seconds(1000)
    return try BasicHost(identity: .ed25519(), transports: [], configuration: configuration).peerStore
}
