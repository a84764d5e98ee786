import Foundation
import Host
import HostPeerStoreSQLite
import Multiaddr
import NetStreamTesting
import PeerID
import Testing

/// Files that another program wrote to: SQLite's columns hold what they are given.
@Suite(.timeLimit(.minutes(1))) struct BadRowTests {
    private let file: TemporaryFile
    private let clock = ManualClock()
    private let good = PrivateKey.ed25519().peerID
    private let bad = PrivateKey.ed25519().peerID

    init() throws { file = try TemporaryFile() }

    private func hex(_ bytes: [UInt8]) -> String { bytes.map { String(format: "%02x", $0) }.joined() }

    /// A file of two peers, one of which is then changed.
    private func makeFile(changed sql: String) async throws {
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        store.add(["/memory/1"], for: good)
        store.add(["/memory/2", "/memory/3"], for: bad)
        try await disk.save()
        try await disk.close()
        try await file.execute(sql.replacingOccurrences(of: "?", with: "x'\(hex(bad.bytes))'"))
    }

    @Test(arguments: [
        "UPDATE peer SET seen = 'yesterday' WHERE id = ?", "UPDATE peer SET seen = 1.5e300 WHERE id = ?",
        "UPDATE peer SET added = 'yes' WHERE id = ?", "UPDATE peer SET added = x'01' WHERE id = ?",
        "UPDATE peer SET id = 'somebody' WHERE id = ?", "UPDATE peer SET id = 7 WHERE id = ?",
        "UPDATE peer SET id = zeroblob(70000) WHERE id = ?",
    ])
    func aPeerThatCannotBeReadIsPassedOverAndCounted(_ change: String) async throws {
        try await makeFile(changed: change)
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        #expect(await disk.skippedRows == 1)
        #expect(store.storedPeers().map(\.peer) == [good])
        // It can be written again.
        store.add(["/memory/4"], for: bad)
        try await disk.save()
        try await disk.close()
        let again = try newStore(clock)
        let reopened = try await SQLitePeerStore(path: file.path, of: again)
        #expect(again.addresses(of: bad) == ["/memory/4"])
        try await reopened.close()
    }

    /// A table that another program made need not forbid NULL.
    @Test func nullsArePassedOverAndCounted() async throws {
        try await makeFile(
            changed: """
                ALTER TABLE peer RENAME TO old; CREATE TABLE peer (id, added, seen);
                INSERT INTO peer SELECT * FROM old WHERE id <> ?;
                INSERT INTO peer VALUES (?, NULL, 1), (?, 1, NULL), (NULL, 1, 1), (NULL, NULL, NULL);
                ALTER TABLE address RENAME TO older; CREATE TABLE address (peer, position, address, added);
                INSERT INTO address SELECT * FROM older WHERE peer <> ?;
                INSERT INTO address SELECT id, NULL, NULL, NULL FROM peer WHERE id <> ?
                """
        )
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        #expect(await disk.skippedRows == 5)
        #expect(store.storedPeers().map(\.peer) == [good])
        #expect(store.addresses(of: good) == ["/memory/1"])
        try await disk.close()
    }

    @Test(arguments: ["x''", "'text'", "17", "zeroblob(9)", "zeroblob(70000)"])
    func anAddressThatCannotBeReadIsPassedOverAndCounted(_ value: String) async throws {
        try await makeFile(changed: "UPDATE address SET address = \(value) WHERE peer = ? AND position = 0")
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        #expect(await disk.skippedRows == 1)
        #expect(store.addresses(of: bad) == ["/memory/3"])
        try await disk.close()
    }

    @Test(arguments: [Int64.min, -1, .max])
    func aTimeThatCannotBeIsNoTrap(_ seen: Int64) async throws {
        try await makeFile(changed: "UPDATE peer SET seen = \(seen) WHERE id = ?")
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        #expect(store.addresses(of: bad) == ["/memory/2", "/memory/3"])
        for _ in 0..<2 {
            store.add(["/memory/4"], for: bad)
            try await disk.save()
        }
        try await disk.close()
    }

    @Test func addressesWithoutTheirPeerDoNotStandInTheWay() async throws {
        try await makeFile(changed: "DELETE FROM peer WHERE id = ?")
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        store.add(["/memory/5"], for: bad)
        try await disk.save()
        try await disk.close()
    }
}
