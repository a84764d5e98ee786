internal import GRDB
public import Host
public import Logging
public import PeerID

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
///     try await group.waitForAll()  // throws if the last save failed
/// }
/// ```
///
/// Opening puts what the file holds into the store. ``save()`` writes what has changed since; ``run(every:)`` does so by
/// itself. What `save()` has returned for is on disk: it survives `kill -9` as well as a power failure (a write-ahead log
/// with `synchronous=FULL`: one `fsync` for each call, not for each peer). A crash in between loses what came after the
/// last save, never more, and never damages the file.
///
/// One store at a time has the file: a second one, of this process or of another, is refused, because each would remove
/// what the other has saved. That is what the file `-lock` beside it is for; it stays, and the system lets go of it with
/// the process, however that ends. Programs that are no peer store, such as `sqlite3`, may read at any time.
///
/// The file holds addresses and peer IDs, no keys. A file of another program is left as it was. Rows that cannot be read
/// are passed over, counted by ``skippedRows`` and told in the log.
public actor SQLitePeerStore {
    static let applicationID = 0x6c69_6270
    static let version = 2

    private let store: PeerStore
    private let database: DatabaseQueue
    private let path: String
    private let logger: Logger
    private let now: @Sendable () -> Int64
    private let lock: FileLock
    /// How many rows of the file could not be read when it was opened: peers without their addresses, and addresses.
    public let skippedRows: Int
    /// The write that was asked for last: the next one waits for it.
    private var writing: Task<Void, any Error>?
    /// The causes that the log has told of since the last save.
    private var toldCauses: Set<String> = []
    /// What the file holds of each peer.
    private var saved: [PeerID: Saved] = [:]

    private struct Saved {
        var revision: UInt64
        var seen: Int64
    }

    /// A peer that stays connected changes nothing; its time is written anew when it is this many seconds old.
    private static let staleness: Int64 = 3600
    /// The longest wait between two attempts to save. The first is a second, each further one twice as long.
    private static let longestPause: Duration = .seconds(60)

    /// Opens the file, or makes it, and puts what it holds into the store.
    ///
    /// - Parameters:
    ///   - path: The file; its folder must exist. SQLite puts two more beside it, `-wal` and `-shm`, and this type `-lock`.
    ///   - store: The store of a host, `host.peerStore`.
    ///   - logger: Told of rows that cannot be read and of saves that fail, each with the key `file`.
    ///   - now: Seconds since 1970, to tell how old an address is. The system's clock unless given.
    /// - Throws: `HostError` of code `storageFailed`, also when another store has the file; the message says what to do.
    public init(
        path: String,
        of store: PeerStore,
        logger: Logger = Logger(label: "libp2p.peerstore"),
        now: (@Sendable () -> Int64)? = nil
    ) async throws {
        let now = now ?? { Int64(time(nil)) }
        self.store = store
        self.path = path
        self.logger = logger
        self.now = now
        do {
            try await Self.refuseOthers(path)
            lock = try FileLock(of: path)
            var configuration = Configuration()
            configuration.journalMode = .wal
            configuration.busyMode = .timeout(5)
            database = try DatabaseQueue(path: path, configuration: configuration)
            // GRDB sets NORMAL when it opens a write-ahead log, which does not survive a power failure.
            try await database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try await database.write(Self.makeTables)
            let moment = now()
            let (peers, skipped) = try await database.read { try Self.load($0, now: moment) }
            skippedRows = skipped
            store.restore(peers)
            // What the store did not take, being too old or too much, is removed by the first save.
            for peer in peers { saved[peer.peer] = Saved(revision: 0, seen: 0) }
        } catch {
            throw Self.failure(path, error)
        }
        if skippedRows > 0 {
            logger.warning(
                "rows of the peer store could not be read and are passed over",
                metadata: ["file": "\(path)", "count": "\(skippedRows)"]
            )
        }
    }

    /// The peers that the file holds.
    public var savedPeers: Set<PeerID> { Set(saved.keys) }

    /// Writes what has changed since the last call. When it returns, that is on disk. What it has begun it finishes, also
    /// when the calling task is cancelled.
    ///
    /// - Throws: `HostError` of code `storageFailed`. Nothing of this call is written then; the next one tries again.
    public func save() async throws {
        // One after another: what an earlier call has read must not overwrite what a later one has written.
        let earlier = writing
        let task = Task {
            _ = await earlier?.result
            try await write()
        }
        writing = task
        try await task.value
    }

    private func write() async throws {
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
                for peer in changed { try Self.write(peer, to: database, seen: Self.seen(peer, moment)) }
            }
        } catch {
            throw Self.failure(path, error)
        }
        for peer in gone { saved[peer] = nil }
        for peer in changed {
            saved[peer.peer] = Saved(revision: peer.revision, seen: Self.seen(peer, moment))
        }
    }

    /// When the peer was last met with; never before 1970, so that differences of two such times cannot overflow.
    private static func seen(_ peer: StoredPeer, _ now: Int64) -> Int64 {
        max(0, max(0, now) - max(0, peer.age.components.seconds))
    }

    /// Saves after changes, until the task is cancelled; then a last time.
    ///
    /// A save that fails, because the disk is full for instance, is told in the log, once for each cause, and tried again
    /// after a second, then after twice as long each time, a minute at most. Nothing is lost meanwhile: what has changed
    /// waits in the store, and the first save that succeeds writes all of it.
    ///
    /// - Parameters:
    ///   - interval: The least time between two saves.
    ///   - clock: What measures it.
    ///   - onSave: Called after each save.
    /// - Throws: `HostError` of code `storageFailed`, when the last save fails: only then changes are lost.
    public func run(
        every interval: Duration = .seconds(1),
        clock: any Clock<Duration> = ContinuousClock(),
        onSave: @escaping @Sendable () async -> Void = {}
    ) async throws {
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [store] in
                for await _ in store.changes() { wake.yield() }
            }
            group.addTask {
                while (try? await clock.sleep(for: .seconds(Self.staleness))) != nil { wake.yield() }
            }
            for await _ in wakes {
                await saveOrTryAgain(clock, onSave)
                // Cancelled: the loop ends by itself.
                try? await clock.sleep(for: interval)
            }
            group.cancelAll()
        }
        try await save()
        await onSave()
    }

    /// Saves, as often as it takes, until the task is cancelled.
    private func saveOrTryAgain(_ clock: any Clock<Duration>, _ onSave: @Sendable () async -> Void) async {
        var pause: Duration = .seconds(1)
        while true {
            do {
                try await save()
                if !toldCauses.isEmpty {
                    toldCauses = []
                    logger.warning("the peer store is saved again", metadata: ["file": "\(path)"])
                }
                return await onSave()
            } catch {
                tell(error)
            }
            guard (try? await clock.sleep(for: pause)) != nil else { return }
            pause = min(pause * 2, Self.longestPause)
        }
    }

    /// Logs a failure, unless the last save failed for the same reason.
    private func tell(_ error: any Error) {
        let cause = (error as? HostError)?.message ?? "\(error)"
        guard toldCauses.insert(cause).inserted else { return }
        logger.warning(
            "the peer store cannot be saved; trying again",
            metadata: ["file": "\(path)", "error": "\(error)"]
        )
    }

    /// Closes the file and lets others have it. Nothing can be saved after that.
    public func close() throws {
        do {
            try database.close()
        } catch {
            throw Self.failure(path, error)
        }
        lock.release()
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
