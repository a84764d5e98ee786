import Testing

@testable import QuicCore

/// When a connection wants its next turn after it has sent something.
@Suite struct PacingTests {
    private let client: CoreNode
    private let server: CoreNode
    private let network: CoreNetwork
    private let dialed: ConnectionCore

    init() throws {
        var configuration = QuicConfiguration.defaults
        configuration.keepAliveInterval = nil
        client = try CoreNode(port: 1001, seed: 91, configuration: configuration, accepts: false)
        server = try CoreNode(port: 1002, seed: 92, configuration: configuration)
        network = CoreNetwork(latency: 10_000_000, client, server)
        dialed = try network.dial(from: client, to: server, expecting: nil)
        let (core, node) = (dialed, client)
        network.run(seconds: 5) { node.events(of: core).isConfirmed }
        network.run(seconds: 2)
    }

    private func send(_ bytes: [UInt8], on stream: StreamID, isEnd: Bool = false) throws {
        dialed.send([try #require(SendSegment(copying: bytes))], isEnd: isEnd, on: stream)
        network.service(dialed, of: client)
    }

    // ngtcp2 0.12.1 keeps the time of the last burst as a deadline, even when that is over.
    @Test(.enabled(if: MigrationTests.libraryMigrates))
    func whoHasNothingMoreToSendWantsNoTurnForPacing() throws {
        let stream = try #require(try dialed.openStream())
        try send([1, 2, 3], on: stream)
        // The next thing to do is to send it again, should no acknowledgement come: not before a round trip of 20 ms.
        let deadline = try #require(dialed.nextDeadline)
        #expect(deadline > network.now + 20_000_000)
    }

    @Test func whatComesRightBehindABurstLeavesWhenItMay() throws {
        let stream = try #require(try dialed.openStream())
        // Several bursts at the very same time: each may be held back by the one before.
        let bytes = (0..<6000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for part in 0..<4 { try send(Array(bytes[part * 1500..<(part + 1) * 1500]), on: stream, isEnd: part == 3) }
        let start = network.now
        let node = server
        #expect(network.run(seconds: 5) { node.ended.contains(stream) })
        #expect(server.received[stream] == bytes)
        // One way of 10 ms, and what pacing adds: no more than a round trip.
        #expect(network.now - start < 30_000_000)
    }
}
