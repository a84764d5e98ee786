import Foundation
import Logging
import Multiaddr
import NIOCore
import PeerID
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

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
                #expect(throws: Never.self, "\(String(decoding: record, as: UTF8.self))") {
                    try JSONSerialization.jsonObject(with: Data(record))
                }
            }
        }
    }

    @Test func aFullDiskEndsTheLogAndNothingElse() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("qlog-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let id = try #require(ConnectionID([1, 2, 3, 4, 5, 6, 7, 8] as [UInt8]))
        let path = directory.appendingPathComponent("\(id)_client.sqlog").path
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/full")
        let file = QlogFile(directory: directory.path, original: id, isServer: false)
        let sink = file.sink
        [UInt8](repeating: 65, count: 100).withUnsafeBytes { sink($0, false) }
        // The write fails beside this task, soon.
        while !file.isOver { await Task.yield() }
        // What comes afterwards goes nowhere.
        for _ in 0..<1000 { [UInt8](repeating: 66, count: 10_000).withUnsafeBytes { sink($0, false) } }
        #expect(file.pendingBytes == 0)
    }

    @Test func nothingIsWrittenBehindARecordThatIsCutShort() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("qlog-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let id = try #require(ConnectionID([1, 2, 3, 4, 5, 6, 7, 11] as [UInt8]))
        let isGoingOn = DispatchSemaphore(value: 0)
        let calls = Shared(0)
        // The disk is full in the middle of the first record, and has room again afterwards.
        let file = QlogFile(directory: directory.path, original: id, isServer: false) { descriptor, bytes in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            if call == 1 { isGoingOn.wait() }
            return call == 2 ? -1 : write(descriptor, bytes.baseAddress, call == 1 ? 40 : bytes.count)
        }
        let sink = file.sink
        [UInt8](repeating: 65, count: 100).withUnsafeBytes { sink($0, false) }
        while calls.withLock({ $0 }) == 0 { await Task.yield() }
        [UInt8](repeating: 66, count: 100).withUnsafeBytes { sink($0, false) }
        #expect(file.pendingBytes == 100)
        isGoingOn.signal()
        while !file.isIdle { await Task.yield() }
        #expect(file.isOver)
        let written = try Data(contentsOf: directory.appendingPathComponent("\(id)_client.sqlog"))
        #expect(written == Data(repeating: 65, count: 40))
        #expect(calls.withLock { $0 } == 2)
    }

    /// A connection whose server logs to `file`, which must not mind what the file does.
    private func transferring(
        loggingTo file: @escaping @Sendable () -> QlogFile,
        _ during: @Sendable (QuicPair) async throws -> Void
    ) async throws {
        let server = try QuicTransport(identity: .ed25519())
        let client = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let loop = listener.loops[0]
        try await loop.eventLoop.submit { loop.value.core.makeQlogSink = { _, _ in file().sink } }.get()
        let dialed = try await client.dialQuic(listener.addresses[0])
        let accepted = try await listener.acceptConnection()
        let size = 2 << 20
        let stream = try await dialed.openQuicStream()
        async let written: Void = {
            try await stream.write([UInt8](repeating: 1, count: size))
            try await stream.closeWrite()
        }()
        let other = try await accepted.acceptQuicStream()
        var count = 0
        while let bytes = try await other.read() { count += bytes.count }
        try await written
        #expect(count == size)
        try await during(
            QuicPair(server: server, client: client, listener: listener, dialed: dialed, accepted: accepted)
        )
        #expect(!accepted.isClosed && !dialed.isClosed)
        await client.close()
        await server.close()
    }

    @Test func aFullDiskLeavesTheConnectionAlone() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("qlog-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let id = try #require(ConnectionID([1, 2, 3, 4, 5, 6, 7, 9] as [UInt8]))
        let path = directory.appendingPathComponent("\(id)_server.sqlog").path
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/full")
        let file = QlogFile(directory: directory.path, original: id, isServer: true)
        try await transferring(loggingTo: { file }) { pair in
            while !file.isOver { await Task.yield() }
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
            #expect(file.pendingBytes == 0)
        }
    }

    @Test func aFileThatTakesNothingDoesNotStopTheLoop() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("qlog-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let id = try #require(ConnectionID([1, 2, 3, 4, 5, 6, 7, 10] as [UInt8]))
        let path = directory.appendingPathComponent("\(id)_server.sqlog").path
        // A pipe that nobody reads: opening it for writing waits for a reader.
        try #require(mkfifo(path, 0o600) == 0)
        let file = QlogFile(directory: directory.path, original: id, isServer: true)
        try await transferring(loggingTo: { file }) { _ in
            #expect(file.pendingBytes > 1000)
            #expect(!file.isOver)
        }
        // Lets the thread go that stands there, and reads what it writes until it closes the pipe.
        let thread = Task.detached {
            guard let pipe = fopen(path, "r") else { return 0 }
            defer { fclose(pipe) }
            var (count, buffer) = (0, [UInt8](repeating: 0, count: 65_536))
            while case let read = fread(&buffer, 1, buffer.count, pipe), read > 0 { count += read }
            return count
        }
        #expect(await thread.value > 1000)
    }

    @Test func aDirectoryThatIsMissingIsMade() async throws {
        let top = FileManager.default.temporaryDirectory.appendingPathComponent("qlog-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: top) }
        let directory = top.appendingPathComponent("one/two")
        var configuration = QuicConfiguration.defaults
        configuration.qlogDirectory = directory.path
        try await QuicPair.with(client: configuration) { pair in
            #expect(pair.dialed.remotePeer == pair.server.localPeer)
        }
        // The file is written beside the connection: it is there soon, not at once.
        var files: [String] = []
        while files.isEmpty {
            files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            await Task.yield()
        }
        #expect(files.allSatisfy { $0.hasSuffix("_client.sqlog") })
    }

    @Test func aDirectoryThatCannotBeMadeIsSaidInOneLineAndOnlyEndsTheLogs() async throws {
        let lines = LoggedLines()
        var configuration = QuicConfiguration.defaults
        // Nothing can be made below a device, not even by root.
        configuration.qlogDirectory = "/dev/null/\(UUID().uuidString)"
        let logger = Logger(label: "test") { _ in lines }
        let server = try QuicTransport(identity: .ed25519())
        let client = try QuicTransport(identity: .ed25519(), configuration: configuration, logger: logger)
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        for _ in 0..<2 {
            let connection = try await client.dialQuic(listener.addresses[0])
            #expect(connection.remotePeer == server.localPeer)
        }
        _ = try await client.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let errors = lines.errors
        #expect(errors.count == 1)
        #expect(errors.first?.contains("/dev/null/") == true)
        #expect(errors.first?.contains("Not a directory") == true)
        await client.close()
        await server.close()
    }
}

/// Keeps what is logged at `error`.
private struct LoggedLines: LogHandler {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    private let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.error

    var errors: [String] { lines.all.withLock { $0 } }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.all.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
    }
}
