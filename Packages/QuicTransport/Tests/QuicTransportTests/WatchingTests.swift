import Foundation
import Libp2pTLS
import Logging
import Metrics
import MetricsTestKit
import Multiaddr
import NetStream
import PeerID
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

/// Keeps what is logged, and lets tests wait for it.
final class LogRecorder: LogHandler, Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var message: String
        var metadata: [String: String]
    }

    private let all = Mutex<[Line]>([])

    var lines: [Line] { all.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in self } }

    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        let metadata = (event.metadata ?? [:]).mapValues { "\($0)" }
        all.withLock { $0.append(Line(level: event.level, message: "\(event.message)", metadata: metadata)) }
    }

    /// The first line with a message; waits for it.
    func line(_ message: String) async -> Line {
        while true {
            if let line = lines.first(where: { $0.message == message }) { return line }
            await Task.yield()
        }
    }
}

/// What operators see of a transport, under the names that the article "Watching a transport" gives.
@Suite(.timeLimit(.minutes(1))) struct WatchingTests {
    private let loopback: Multiaddr = "/ip4/127.0.0.1/udp/0/quic-v1"

    private func article() throws -> String {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let path = root + "/Sources/QuicTransport/QuicTransport.docc/WatchingATransport.md"
        return try String(contentsOfFile: path, encoding: .utf8)
    }

    private func transport(
        _ metrics: TestMetrics = TestMetrics(),
        _ log: LogRecorder = LogRecorder(),
        tls: TLSConfiguration = .defaults,
        _ change: (inout QuicConfiguration) -> Void = { _ in }
    ) throws -> QuicTransport {
        var configuration = QuicConfiguration.defaults
        change(&configuration)
        return try withMetricsFactory(metrics) {
            try QuicTransport(identity: .ed25519(), configuration: configuration, tls: tls, logger: log.logger)
        }
    }

    private func total(_ metrics: TestMetrics, _ name: String, _ dimensions: [(String, String)] = []) -> Int64 {
        (try? metrics.expectCounter(name, dimensions).totalValue) ?? 0
    }

    @Test func connectionsDialsAndEndsAreCounted() async throws {
        let (near, far) = (TestMetrics(), TestMetrics())
        let server = try transport(far) { $0.endpoint.acceptQueueLimit = 1 }
        let client = try transport(near) { $0.timeouts.dial = .seconds(20) }
        let listener = try await server.listenQuic(on: loopback)
        let address = listener.addresses[0].withPeerID(server.localPeer)
        let first = try await client.dialQuic(address)
        // One waits to be accepted; the next one is sent away, perhaps before its dial has come back.
        if let second = try? await client.dialQuic(address) { _ = await second.waitUntilClosed() }
        await #expect(throws: QuicError.self) {
            try await client.dialQuic(listener.addresses[0].withPeerID(client.localPeer))
        }
        await #expect(throws: QuicError.self) { try await client.dialQuic("/ip4/127.0.0.1/udp/0/quic-v1") }
        let accepted = try await listener.acceptConnection()
        await first.close(code: .none, reason: "")
        _ = await accepted.waitUntilClosed()
        await client.close()
        await server.close()
        #expect(total(far, "libp2p_quic_connections_accepted") == 1)
        #expect(total(far, "libp2p_quic_connections_refused") == 1)
        #expect((1...2).contains(total(near, "libp2p_quic_connections_dialed")))
        #expect((2...3).contains(total(near, "libp2p_quic_dial_failures")))
        func ended(_ metrics: TestMetrics, _ cause: String, byPeer: Bool) -> Int64 {
            total(metrics, "libp2p_quic_connections_ended", [("cause", cause), ("by_peer", "\(byPeer)")])
        }
        #expect(ended(near, "application", byPeer: false) == 1)
        #expect(ended(near, "application", byPeer: true) == 1)
        // The wrong peer, and the destination that nothing can be sent to.
        #expect(ended(near, "transport", byPeer: false) == 1)
        #expect(ended(near, "dropped", byPeer: false) == 1)
        #expect(ended(far, "application", byPeer: true) == 1)
        #expect(ended(far, "application", byPeer: false) == 1)
        #expect(ended(far, "transport", byPeer: true) == 1)
        let text = try article()
        for name in Set((near.counters + far.counters).map(\.label)) { #expect(text.contains("`\(name)`"), "\(name)") }
    }

    @Test(.enabled(if: QuicVersion.libraryVersion.hasPrefix("1."))) func movesAreCounted() async throws {
        let metrics = TestMetrics()
        let (server, client) = (try transport(), try transport(metrics))
        let listener = try await server.listenQuic(on: loopback)
        let connection = try await client.dialQuic(listener.addresses[0])
        try await connection.migrate()
        #expect(total(metrics, "libp2p_quic_path_changes") == 1)
        await client.close()
        await server.close()
    }

    @Test func beginningsAndEndsAreLoggedUnderStableKeys() async throws {
        let (near, far) = (LogRecorder(), LogRecorder())
        let server = try transport(TestMetrics(), far) { $0.endpoint.acceptQueueLimit = 1 }
        let client = try transport(TestMetrics(), near)
        let listener = try await server.listenQuic(on: loopback)
        let bound = try #require(listener.addresses[0].quicEndpoint?.port)
        let listening = await far.line("listening")
        #expect(listening.level == .debug)
        #expect(listening.metadata["address"] == "127.0.0.1:\(bound)")
        #expect(listening.metadata["loops"] == "1")
        #expect(listening.metadata["packet_protection"]?.isEmpty == false)

        let connection = try await client.dialQuic(listener.addresses[0].withPeerID(server.localPeer))
        for (log, peer, direction) in [(near, server.localPeer, "outbound"), (far, client.localPeer, "inbound")] {
            let line = await log.line("connection opened")
            #expect(line.level == .debug)
            #expect(line.metadata["peer"] == "\(peer)")
            #expect(line.metadata["direction"] == direction)
            #expect(line.metadata["cipherSuite"] == "TLS_AES_128_GCM_SHA256")
            #expect(line.metadata["resumed"] == "false")
            #expect(line.metadata["address"]?.hasPrefix("127.0.0.1:") == true)
            #expect(line.metadata["localAddress"]?.isEmpty == false)
            #expect(line.metadata["connection"] == "1")
        }
        if let second = try? await client.dialQuic(listener.addresses[0]) { _ = await second.waitUntilClosed() }
        let refused = await far.line("connection refused")
        #expect(refused.level == .info)
        #expect(refused.metadata["peer"] == "\(client.localPeer)")
        #expect(refused.metadata["reason"] == "too many connections wait to be accepted")

        let accepted = try await listener.acceptConnection()
        await connection.close(code: ConnectionErrorCode(rawValue: 0x77), reason: "enough")
        _ = await accepted.waitUntilClosed()
        for (log, byPeer) in [(near, "false"), (far, "true")] {
            while !log.lines.contains(where: { $0.metadata["quicCode"] == "0x77" }) { await Task.yield() }
            let line = try #require(log.lines.first { $0.metadata["quicCode"] == "0x77" })
            #expect(line.message == "connection closed")
            #expect(line.level == .debug)
            #expect(line.metadata["cause"] == "application")
            #expect(line.metadata["byPeer"] == byPeer)
            #expect(line.metadata["reason"] == "enough")
            #expect(line.metadata["connection"] == "1")
            #expect(line.metadata["peer"] != nil)
        }
        // A peer that is not the one expected.
        await #expect(throws: QuicError.self) {
            try await client.dialQuic(listener.addresses[0].withPeerID(client.localPeer))
        }
        let failed = await near.line("dial failed")
        #expect(failed.level == .info)
        #expect(failed.metadata["address"] == "127.0.0.1:\(bound)")
        #expect(failed.metadata["error"]?.isEmpty == false)
        let handshake = await far.line("handshake failed")
        #expect(handshake.metadata["peer"] == nil)
        #expect(handshake.metadata["byPeer"] == "true")
        #expect(handshake.metadata["cause"] == "transport")
        await listener.close()
        #expect(await far.line("listener closed").level == .debug)
        await client.close()
        await server.close()

        let (text, lines) = (try article(), near.lines + far.lines)
        for line in lines {
            #expect(text.contains("| \(line.level) | \(line.message) |"), "\(line.message)")
            for key in line.metadata.keys { #expect(LogKey.all.contains(key), "\(key)") }
        }
    }

    @Test func nothingIsLoggedForStreamsAndPackets() async throws {
        let log = LogRecorder()
        let (server, client) = (try transport(TestMetrics(), log), try transport())
        let listener = try await server.listenQuic(on: loopback)
        let connection = try await client.dialQuic(listener.addresses[0])
        let accepted = try await listener.acceptConnection()
        let before = log.lines.count
        for _ in 0..<20 {
            let stream = try await connection.openQuicStream()
            try await stream.write([UInt8](repeating: 1, count: 10_000))
            try await stream.closeWrite()
            let other = try await accepted.acceptQuicStream()
            while try await other.read() != nil {}
            other.reset(code: .none)
        }
        #expect(log.lines.count == before)
        await client.close()
        await server.close()
    }

    @Test func filesOfSecretsAndOfLogsAreSaid() async throws {
        let top = FileManager.default.temporaryDirectory.appendingPathComponent("watching-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: top) }
        try FileManager.default.createDirectory(at: top, withIntermediateDirectories: true)
        var tls = TLSConfiguration.defaults
        tls.keyLogFile = top.path + "/secrets"
        let log = LogRecorder()
        let server = try transport(TestMetrics(), log, tls: tls) { $0.qlogDirectory = top.path + "/qlog" }
        _ = try await server.listenQuic(on: loopback)
        let secrets = await log.line("the TLS secrets of all connections are written to a file")
        #expect(secrets.level == .warning)
        #expect(secrets.metadata == ["file": top.path + "/secrets"])
        let qlog = await log.line("writing qlog files")
        #expect(qlog.level == .info)
        #expect(qlog.metadata == ["directory": top.path + "/qlog"])
        await server.close()
    }

    @Test func theArticleNamesEveryKey() throws {
        let text = try article()
        #expect(Set(LogKey.all).count == LogKey.all.count)
        for key in LogKey.all { #expect(text.contains("`\(key)`"), "\(key)") }
    }
}
