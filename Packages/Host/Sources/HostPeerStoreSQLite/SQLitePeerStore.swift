internal import GRDB
public import Host
internal import Multiaddr
public import PeerID

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

/// Keeps a host's peer store in a SQLite file, so that the next run of the program knows its peers.
///
/// ```swift
/// let onDisk = try await SQLitePeerStore(path: "peers.sqlite", of: host.peerStore)
/// try await withThrowingTaskGroup(of: Void.self) { group in
///     group.addTask { try await onDisk.run() }
///     try await host.run()
///     group.cancelAll()
/// }
/// ```
///
/// Opening puts what the file holds into the store. ``save()`` writes what has changed since; ``run(every:)`` does so by
/// itself. What `save()` has returned for is on disk: it survives `kill -9` as well as a power failure (a write-ahead log
/// with `synchronous=FULL`: one `fsync` for each call, not for each peer). A crash in between loses what came after the
/// last save, never more, and never damages the file.
///
/// Give each process a file of its own: nothing keeps a second one out. Two that share a file do not damage it, but each
/// overwrites what the other saved of the same peer, and removes peers that it read at its start and has forgotten since.
/// The file holds addresses and peer IDs, no keys. Where it cannot be read it is left as it was.
public actor SQLitePeerStore {
    private static let applicationID = 0x6c69_6270
    private static let version = 1

    private let store: PeerStore
    private let database: DatabaseQueue
    private let path: String
    private let now: @Sendable () -> Int64
    /// What the file holds of each peer.
    private var saved: [PeerID: Saved] = [:]

    private struct Saved {
        var revision: UInt64
        var seen: Int64
    }

    /// A peer that stays connected changes nothing; its time is written anew when it is this many seconds old.
    private static let staleness: Int64 = 3600

    /// Opens the file, or makes it, and puts what it holds into the store.
    ///
    /// - Parameters:
    ///   - path: The file; its folder must exist. SQLite puts two more beside it, `-wal` and `-shm`.
    ///   - store: The store of a host, `host.peerStore`.
    ///   - now: Seconds since 1970, to tell how old an address is. The system's clock unless given.
    /// - Throws: `HostError` of code `storageFailed`.
    public init(
        path: String,
        of store: PeerStore,
        now: (@Sendable () -> Int64)? = nil
    ) async throws {
        let now = now ?? { Int64(time(nil)) }
        self.store = store
        self.path = path
        self.now = now
        do {
            try await Self.refuseOthers(path)
            var configuration = Configuration()
            configuration.journalMode = .wal
            configuration.busyMode = .timeout(5)
            database = try DatabaseQueue(path: path, configuration: configuration)
            // GRDB sets NORMAL when it opens a write-ahead log, which does not survive a power failure.
            try await database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try await database.write(Self.makeTables)
            let moment = now()
            let peers = try await database.read { try Self.load($0, now: moment) }
            store.restore(peers)
            // What the store did not take, being too old or too much, is removed by the first save.
            for peer in peers { saved[peer.peer] = Saved(revision: 0, seen: 0) }
        } catch {
            throw Self.failure(path, error)
        }
    }

    /// The peers that the file holds.
    public var savedPeers: Set<PeerID> { Set(saved.keys) }

    /// Writes what has changed since the last call. When it returns, that is on disk.
    ///
    /// - Throws: `HostError` of code `storageFailed`. Nothing of this call is written then; the next one tries again.
    public func save() async throws {
        let peers = store.storedPeers()
        let moment = now()
        let changed = peers.filter { peer in
            guard let saved = saved[peer.peer], saved.revision == peer.revision else { return true }
            return Self.seen(peer, moment) - saved.seen > Self.staleness
        }
        let gone = Set(saved.keys).subtracting(peers.map(\.peer))
        guard !changed.isEmpty || !gone.isEmpty else { return }
        do {
            try await database.write { database in
                for peer in gone { try Self.delete(peer, from: database) }
                for peer in changed { try Self.write(peer, to: database, now: moment) }
            }
        } catch {
            throw Self.failure(path, error)
        }
        for peer in gone { saved[peer] = nil }
        for peer in changed {
            saved[peer.peer] = Saved(revision: peer.revision, seen: Self.seen(peer, moment))
        }
    }

    private static func seen(_ peer: StoredPeer, _ now: Int64) -> Int64 { now - peer.age.components.seconds }

    /// Saves after changes, until the task is cancelled; then a last time.
    ///
    /// - Parameters:
    ///   - interval: The least time between two saves.
    ///   - clock: What measures it.
    ///   - onSave: Called after each save.
    /// - Throws: `HostError` of code `storageFailed`, when a save fails.
    public func run(
        every interval: Duration = .seconds(1),
        clock: any Clock<Duration> = ContinuousClock(),
        onSave: @escaping @Sendable () async -> Void = {}
    ) async throws {
        // GRDB gives up the accesses of a cancelled task, and the last save comes when this one is.
        let saveAll: @Sendable () async throws -> Void = {
            try await Task { try await self.save() }.value
            await onSave()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [store] in
                for await _ in store.changes() {
                    try await saveAll()
                    // Cancelled: the loop ends by itself.
                    try? await clock.sleep(for: interval)
                }
            }
            group.addTask {
                while (try? await clock.sleep(for: .seconds(Self.staleness))) != nil { try await saveAll() }
            }
            try await group.waitForAll()
        }
        try await saveAll()
    }

    /// Closes the file. Nothing can be saved after that.
    public func close() throws {
        do {
            try database.close()
        } catch {
            throw Self.failure(path, error)
        }
    }

    private static func failure(_ path: String, _ error: any Error) -> HostError {
        if let error = error as? HostError { return error }
        let code = (error as? DatabaseError)?.resultCode
        let advice =
            switch code {
            case .SQLITE_NOTADB?, .SQLITE_CORRUPT?: "it is no SQLite file, or damaged; move it away to begin a new one"
            case .SQLITE_BUSY?, .SQLITE_LOCKED?: "another process uses it; give each process a file of its own"
            case .SQLITE_CANTOPEN?: "it cannot be opened; does its folder exist, and may this user write there?"
            case .SQLITE_FULL?: "the disk is full"
            default: "SQLite refuses"
            }
        return HostError(.storageFailed, "the peer store \(path) failed: \(advice)", cause: error)
    }
}

// The tables. Addresses have a row each, so that other programs can read them too.
extension SQLitePeerStore {
    /// Throws when there is a file that is not ours. It is only read: opening it to write would change it.
    private static func refuseOthers(_ path: String) async throws {
        guard access(path, F_OK) == 0 else { return }
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
        guard isEmpty || (application == applicationID && version == Self.version) else {
            throw HostError(
                .storageFailed,
                "\(path) is of another program, or of a newer version of this one (\(version)); name another file"
            )
        }
    }

    private static func makeTables(_ database: Database) throws {
        guard try Int.fetchOne(database, sql: "PRAGMA user_version") != version else { return }
        try database.execute(
            sql: """
                PRAGMA application_id = \(applicationID);
                PRAGMA user_version = \(Self.version);
                CREATE TABLE peer (
                    id BLOB PRIMARY KEY NOT NULL, added INTEGER NOT NULL, seen INTEGER NOT NULL
                ) WITHOUT ROWID;
                CREATE TABLE address (
                    peer BLOB NOT NULL REFERENCES peer (id) ON DELETE CASCADE, position INTEGER NOT NULL,
                    address BLOB NOT NULL, PRIMARY KEY (peer, position)
                ) WITHOUT ROWID;
                """
        )
    }

    /// The peers in the file, the newest first. Rows that this version cannot read are passed over.
    private static func load(_ database: Database, now: Int64) throws -> [StoredPeer] {
        var peers: [StoredPeer] = []
        let rows = try Row.fetchCursor(
            database,
            sql: "SELECT id, added, seen FROM peer ORDER BY added DESC, seen DESC LIMIT \(peerLimit)"
        )
        while let row = try rows.next() {
            guard let bytes = blob(row, 0), let peer = try? PeerID(bytes: bytes) else { continue }
            let seen: Int64 = row[2]
            let age = Duration.seconds(max(0, now.subtractingReportingOverflow(seen).partialValue))
            peers.append(StoredPeer(peer: peer, addresses: [], isAdded: row[1] == 1, age: age))
        }
        for index in peers.indices {
            let rows = try Row.fetchCursor(
                database,
                sql: "SELECT address FROM address WHERE peer = ? ORDER BY position LIMIT \(PeerStore.addressLimit)",
                arguments: [Data(peers[index].peer.bytes)]
            )
            while let row = try rows.next() {
                guard let bytes = blob(row, 0), let address = try? Multiaddr(bytes: bytes) else { continue }
                peers[index].addresses.append(address)
            }
        }
        return peers
    }

    /// Most peers that are read. A store holds fewer, unless the program names more than that.
    private static let peerLimit = 65536

    private static func write(_ stored: StoredPeer, to database: Database, now: Int64) throws {
        let id = Data(stored.peer.bytes)
        try delete(stored.peer, from: database)
        try database.execute(
            sql: "INSERT INTO peer (id, added, seen) VALUES (?, ?, ?)",
            arguments: [id, stored.isAdded ? 1 : 0, seen(stored, now)]
        )
        for (position, address) in stored.addresses.enumerated() {
            try database.execute(
                sql: "INSERT INTO address (peer, position, address) VALUES (?, ?, ?)",
                arguments: [id, position, Data(address.bytes)]
            )
        }
    }

    private static func delete(_ peer: PeerID, from database: Database) throws {
        try database.execute(sql: "DELETE FROM peer WHERE id = ?", arguments: [Data(peer.bytes)])
    }

    private static func blob(_ row: Row, _ index: Int) -> [UInt8]? {
        // Nothing longer was ever written.
        guard case .blob(let data) = (row[index] as DatabaseValue).storage, data.count <= 65536 else { return nil }
        return Array(data)
    }
}
