import Foundation
import Host
import HostPeerStoreSQLite
import Multiaddr
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct SQLitePeerStoreTests {
    private let file: TemporaryFile
    private let peers = (0..<4).map { _ in PrivateKey.ed25519().peerID }
    private let clock = ManualClock()

    init() throws { file = try TemporaryFile() }

    @Test func aRestartKnowsItsPeers() async throws {
        let first = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: first)
        first.add(["/memory/1", "/memory/2"], for: peers[0])
        first.add(["/ip6/::1/udp/1/quic-v1"], for: peers[1])
        try await disk.save()
        first.add(["/memory/3"], for: peers[0])
        first.remove(peers[1])
        try await disk.save()
        try await disk.close()

        let second = try newStore(clock)
        let again = try await SQLitePeerStore(path: file.path, of: second)
        #expect(second.addresses(of: peers[0]) == ["/memory/1", "/memory/2", "/memory/3"])
        #expect(second.info(for: peers[1]) == nil)
        #expect(second.storedPeers().map(\.isAdded) == [true])
        try await again.close()
    }

    @Test func itIsKnownAfterARestartWhatTheProgramAdded() async throws {
        let first = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: first)
        first.add(["/memory/1"], for: peers[0])
        let met = StoredPeer(peer: peers[0], addresses: ["/memory/2"], isAdded: false, age: .zero)
        first.restore([met])
        try await disk.save()
        try await disk.close()

        let second = try newStore(clock)
        let again = try await SQLitePeerStore(path: file.path, of: second)
        let stored = try #require(second.storedPeers().first)
        #expect(stored.addresses == ["/memory/2", "/memory/1"] && stored.addedAddresses == ["/memory/1"])
        try await again.close()
    }

    @Test func aFileOfTheFirstVersionIsTakenOver() async throws {
        // As version 1 made it, with one peer that the program added and one that it met.
        let tables = """
            PRAGMA application_id = \(0x6c69_6270);
            PRAGMA user_version = 1;
            CREATE TABLE peer (
                id BLOB PRIMARY KEY NOT NULL, added INTEGER NOT NULL, seen INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE TABLE address (
                peer BLOB NOT NULL REFERENCES peer (id) ON DELETE CASCADE, position INTEGER NOT NULL,
                address BLOB NOT NULL, PRIMARY KEY (peer, position)
            ) WITHOUT ROWID;
            """
        func hex(_ bytes: [UInt8]) -> String { "x'" + bytes.map { String(format: "%02x", $0) }.joined() + "'" }
        let address: Multiaddr = "/memory/7"
        let rows = [(peers[0], 1), (peers[1], 0)].map { peer, added in
            """
            INSERT INTO peer VALUES (\(hex(peer.bytes)), \(added), 100);
            INSERT INTO address VALUES (\(hex(peer.bytes)), 0, \(hex(address.bytes)));
            """
        }
        try await file.execute(tables + rows.joined())
        for _ in 0..<2 {
            let store = try newStore(clock)
            let disk = try await SQLitePeerStore(path: file.path, of: store, now: { 100 })
            #expect(await disk.skippedRows == 0)
            let stored = store.storedPeers()
            #expect(stored.count == 2 && stored.allSatisfy { $0.addresses == [address] })
            #expect(stored.first { $0.peer == peers[0] }?.addedAddresses == [address])
            #expect(stored.first { $0.peer == peers[1] }?.addedAddresses == [])
            store.add(["/memory/8"], for: peers[2])
            try await disk.save()
            store.remove(peers[2])
            try await disk.save()
            try await disk.close()
        }
    }

    @Test func whatIsTooOldIsForgottenOnDiskToo() async throws {
        let wall = Mutex<Int64>(1_000_000)
        let now: @Sendable () -> Int64 = { wall.withLock { $0 } }
        let first = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: first, now: now)
        first.restore([
            StoredPeer(peer: peers[0], addresses: ["/memory/1"], isAdded: false, age: .seconds(500)),
            StoredPeer(peer: peers[1], addresses: ["/memory/1"], isAdded: false, age: .zero),
            StoredPeer(peer: peers[2], addresses: ["/memory/1"], isAdded: true, age: .seconds(500)),
        ])
        try await disk.save()
        try await disk.close()

        wall.withLock { $0 += 600 }
        let second = try newStore(clock)
        let again = try await SQLitePeerStore(path: file.path, of: second, now: now)
        #expect(second.info(for: peers[0]) == nil)
        #expect(second.info(for: peers[1]) != nil)
        #expect(second.info(for: peers[2]) != nil)
        // Its age goes on where it was.
        clock.advance(by: .seconds(500))
        #expect(second.info(for: peers[1]) == nil)
        try await again.save()
        try await again.close()

        wall.withLock { $0 -= 600 }
        let third = try newStore(clock)
        let last = try await SQLitePeerStore(path: file.path, of: third, now: now)
        #expect(Set(third.storedPeers().map(\.peer)) == [peers[2]])
        try await last.close()
    }

    @Test func changesAreSavedWithoutBeingAskedFor() async throws {
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        let (saves, saved) = AsyncStream.makeStream(of: Void.self)
        let running = Task { try await disk.run(every: .zero) { saved.yield() } }
        var each = saves.makeAsyncIterator()
        await each.next()
        store.add(["/memory/1"], for: peers[0])
        await each.next()
        // Another reader sees what the first one was told is saved.
        #expect(try await file.peers() == [Data(peers[0].bytes)])
        running.cancel()
        store.add(["/memory/2"], for: peers[1])
        try await running.value
        try await disk.close()
    }

    @Test(arguments: ["this is no database, however long it may be, and it never was one; it is text", "other"])
    func anotherFileIsLeftAsItWas(content: String) async throws {
        if content == "other" {
            // A database of another program has tables of its own and no version.
            let store = try newStore(clock)
            let disk = try await SQLitePeerStore(path: file.path, of: store)
            try await disk.close()
            var bytes = try Data(contentsOf: URL(fileURLWithPath: file.path))
            // The version is at offset 60 of the header.
            bytes.replaceSubrange(60..<64, with: [0, 0, 0, 99])
            try bytes.write(to: URL(fileURLWithPath: file.path))
        } else {
            try Data(content.utf8).write(to: URL(fileURLWithPath: file.path))
        }
        let before = try Data(contentsOf: URL(fileURLWithPath: file.path))
        let error = await #expect(throws: HostError.self) {
            _ = try await SQLitePeerStore(path: file.path, of: newStore(clock))
        }
        #expect(error?.code == .storageFailed)
        #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == before)
    }

    @Test func aFolderThatIsMissingIsSaid() async throws {
        let error = await #expect(throws: HostError.self) {
            _ = try await SQLitePeerStore(path: file.path + "/no/such/folder", of: newStore(clock))
        }
        #expect(error?.code == .storageFailed && error?.message.contains("folder") == true)
        let folder = String(file.path.dropLast("/peers.sqlite".count))
        let other = await #expect(throws: HostError.self) {
            _ = try await SQLitePeerStore(path: folder, of: newStore(clock))
        }
        #expect(other?.code == .storageFailed && other?.message.contains("it is a folder") == true)
    }
}
