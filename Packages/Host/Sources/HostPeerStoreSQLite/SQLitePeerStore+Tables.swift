internal import GRDB
internal import Host
internal import Multiaddr
internal import PeerID

#if canImport(FoundationEssentials)
internal import FoundationEssentials  // lint:allow(foundation) because GRDB's blobs are Foundation's Data
#else
internal import Foundation  // lint:allow(foundation) because GRDB's blobs are Foundation's Data
#endif

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

// The tables. Addresses have a row each, so that other programs can read them too.
extension SQLitePeerStore {
    /// Throws when there is a file that is not ours. It is only read: opening it to write would change it.
    static func refuseOthers(_ path: String) async throws {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw HostError(.storageFailed, "the peer store \(path) failed: it is a folder; name a file in it")
        }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        let file = try DatabaseQueue(path: path, configuration: configuration)
        let (version, application, tables) = try await file.read { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0,
                try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0,
                try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            )
        }
        try file.close()
        let isEmpty = tables == 0 && version == 0 && application == 0
        guard isEmpty || (application == applicationID && 1...Self.version ~= version) else {
            throw HostError(
                .storageFailed,
                "\(path) is of another program, or of a newer version of this one (\(version)); name another file"
            )
        }
    }

    /// Makes the tables, or gives those of version 1 what they lack: which addresses the program has added. There it was not
    /// known, so all those of a peer that the program added count as such.
    static func makeTables(_ database: Database) throws {
        let found = try Int.fetchOne(database, sql: "PRAGMA user_version")
        guard found != version else { return }
        guard found != 1 else {
            return try database.execute(
                sql: """
                    ALTER TABLE address ADD COLUMN added INTEGER NOT NULL DEFAULT 0;
                    UPDATE address SET added = 1 WHERE peer IN (SELECT id FROM peer WHERE added = 1);
                    PRAGMA user_version = \(Self.version);
                    """
            )
        }
        try database.execute(
            sql: """
                PRAGMA application_id = \(applicationID);
                PRAGMA user_version = \(Self.version);
                CREATE TABLE peer (
                    id BLOB PRIMARY KEY NOT NULL, added INTEGER NOT NULL, seen INTEGER NOT NULL
                ) WITHOUT ROWID;
                CREATE TABLE address (
                    peer BLOB NOT NULL REFERENCES peer (id) ON DELETE CASCADE, position INTEGER NOT NULL,
                    address BLOB NOT NULL, added INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (peer, position)
                ) WITHOUT ROWID;
                """
        )
    }

    /// The peers in the file, the newest first, and how many rows this version cannot read and passes over.
    static func load(_ database: Database, now: Int64) throws -> (peers: [StoredPeer], skipped: Int) {
        var peers: [StoredPeer] = []
        var skipped = 0
        let rows = try Row.fetchCursor(
            database,
            sql: "SELECT id, added, seen FROM peer ORDER BY added DESC, seen DESC LIMIT \(peerLimit)"
        )
        while let row = try rows.next() {
            guard let bytes = blob(row, 0), let peer = try? PeerID(bytes: bytes), let added = integer(row, 1),
                let seen = integer(row, 2)
            else {
                skipped += 1
                continue
            }
            // Both are 0 or more, so that the difference is a number.
            let age = Duration.seconds(max(0, max(0, now) - max(0, seen)))
            peers.append(StoredPeer(peer: peer, addresses: [], addedAddresses: [], isAdded: added == 1, age: age))
        }
        for index in peers.indices {
            let rows = try Row.fetchCursor(
                database,
                sql: """
                    SELECT address, added FROM address WHERE peer = ? ORDER BY position LIMIT \(PeerStore.addressLimit)
                    """,
                arguments: [Data(peers[index].peer.bytes)]
            )
            while let row = try rows.next() {
                guard let bytes = blob(row, 0), let address = try? Multiaddr(bytes: bytes), let added = integer(row, 1)
                else {
                    skipped += 1
                    continue
                }
                if added == 1 { peers[index].addedAddresses?.insert(address) }
                peers[index].addresses.append(address)
            }
        }
        return (peers, skipped)
    }

    /// Most peers that are read. A store holds fewer, unless the program names more than that.
    private static let peerLimit = 65536

    static func write(_ stored: StoredPeer, to database: Database, seen: Int64) throws {
        let id = Data(stored.peer.bytes)
        try delete(stored.peer, from: database)
        try database.execute(
            sql: "INSERT INTO peer (id, added, seen) VALUES (?, ?, ?)",
            arguments: [id, stored.isAdded ? 1 : 0, seen]
        )
        for (position, address) in stored.addresses.enumerated() {
            let isAdded = stored.addedAddresses?.contains(address) ?? stored.isAdded
            try database.execute(
                sql: "INSERT INTO address (peer, position, address, added) VALUES (?, ?, ?, ?)",
                arguments: [id, position, Data(address.bytes), isAdded ? 1 : 0]
            )
        }
    }

    /// Removes a peer, and addresses that somebody left without their peer: they would stand in the way of new ones.
    static func delete(_ peer: PeerID, from database: Database) throws {
        let id = Data(peer.bytes)
        try database.execute(sql: "DELETE FROM peer WHERE id = ?", arguments: [id])
        try database.execute(sql: "DELETE FROM address WHERE peer = ?", arguments: [id])
    }

    // SQLite's columns hold what they are given, whatever their type is called, and another program may have written here.
    // GRDB's conversions trap on a value that does not convert; these do not.

    private static func blob(_ row: Row, _ index: Int) -> [UInt8]? {
        // Nothing longer was ever written.
        guard case .blob(let data) = (row[index] as DatabaseValue).storage, data.count <= 65536 else { return nil }
        return Array(data)
    }

    private static func integer(_ row: Row, _ index: Int) -> Int64? {
        guard case .int64(let number) = (row[index] as DatabaseValue).storage else { return nil }
        return number
    }
}
