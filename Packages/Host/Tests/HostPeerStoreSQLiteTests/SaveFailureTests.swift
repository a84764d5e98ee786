import Foundation
import Host
import HostPeerStoreSQLite
import Logging
import Multiaddr
import NetStreamTesting
import PeerID
import Synchronization
import Testing

/// Saves that fail, and start to work again.
@Suite(.timeLimit(.minutes(1))) struct SaveFailureTests {
    private let file: TemporaryFile
    private let clock = ManualClock()
    private let peers = (0..<2).map { _ in PrivateKey.ed25519().peerID }

    init() throws { file = try TemporaryFile() }

    @Test func runGoesOnAndLosesNothing() async throws {
        let logged = LogLines()
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store, logger: logged.logger)
        try await file.execute("CREATE TRIGGER full BEFORE INSERT ON peer BEGIN SELECT RAISE(FAIL, 'no room'); END")
        let (saves, saved) = AsyncStream.makeStream(of: Void.self)
        store.add(["/memory/1"], for: peers[0])
        let running = Task { try await disk.run(every: .zero, clock: clock) { saved.yield() } }
        // The hour's timer, and the wait for the next attempt: a second, then two, then four.
        for seconds in [1, 2, 4] {
            await clock.waitForSleepers(2)
            clock.advance(by: .seconds(seconds))
        }
        await clock.waitForSleepers(2)
        #expect(logged.lines.map(\.level) == [.warning])
        #expect(logged.lines.first?.text.contains("no room") == true)
        store.add(["/memory/2"], for: peers[1])
        #expect(try await file.peers().isEmpty)

        try await file.execute("DROP TRIGGER full")
        clock.advance(by: .seconds(7))
        #expect(try await file.peers().isEmpty)
        clock.advance(by: .seconds(1))
        var each = saves.makeAsyncIterator()
        await each.next()
        #expect(try await file.peers() == peers.map { Data($0.bytes) }.sorted { $0.lexicographicallyPrecedes($1) })
        #expect(logged.lines.map(\.level) == [.warning, .warning])
        running.cancel()
        try await running.value
        try await disk.close()
    }

    @Test func theLastSaveTellsWhenItFails() async throws {
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store, logger: LogLines().logger)
        try await file.execute("CREATE TRIGGER full BEFORE INSERT ON peer BEGIN SELECT RAISE(FAIL, 'no room'); END")
        store.add(["/memory/1"], for: peers[0])
        let running = Task { try await disk.run(clock: clock) }
        await clock.waitForSleepers(2)
        running.cancel()
        let error = await #expect(throws: HostError.self) { try await running.value }
        #expect(error?.code == .storageFailed)
        // Who wants to can still try again.
        try await file.execute("DROP TRIGGER full")
        try await disk.save()
        #expect(try await file.peers() == [Data(peers[0].bytes)])
        try await disk.close()
    }

    @Test func aSaveFinishesWhenItsCallerIsCancelled() async throws {
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        store.add(["/memory/1"], for: peers[0])
        let saving = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await disk.save()
        }
        try await saving.value
        #expect(try await file.peers() == [Data(peers[0].bytes)])
        try await disk.close()
    }

    @Test func savesAtOnceLeaveTheNewestState() async throws {
        let store = try newStore(clock)
        let disk = try await SQLitePeerStore(path: file.path, of: store)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                store.add([try Multiaddr(parsing: "/memory/\(number)")], for: peers[0])
                group.addTask { try await disk.save() }
            }
            try await group.waitForAll()
        }
        try await disk.close()
        let again = try newStore(clock)
        let reopened = try await SQLitePeerStore(path: file.path, of: again)
        #expect(again.addresses(of: peers[0]) == store.addresses(of: peers[0]))
        try await reopened.close()
    }
}

/// What was logged.
private final class LogLines: Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var text: String
    }

    private let state = Mutex<[Line]>([])

    var lines: [Line] { state.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(lines: self) }
    }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let text = "\(event.message) \(event.metadata ?? [:])"
            lines.state.withLock { $0.append(Line(level: event.level, text: text)) }
        }
    }
}
