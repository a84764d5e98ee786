import Testing

@testable import QuicCore

/// Events about connection IDs and about streams that may go on, and the numbers of streams.
@Suite(.timeLimit(.minutes(1))) struct ConnectionEventTests {
    private let client: CoreNode
    private let server: CoreNode
    private let network: CoreNetwork
    private let dialed: ConnectionCore
    private let accepted: ConnectionCore

    init() throws { try self.init(streamWindow: 64 << 10, connectionWindow: 1 << 20) }

    private init(streamWindow: Int, connectionWindow: Int) throws {
        var configuration = QuicConfiguration.defaults
        configuration.flowControl.streamWindow = streamWindow
        configuration.flowControl.connectionWindow = connectionWindow
        client = try CoreNode(port: 1001, seed: 81, accepts: false)
        server = try CoreNode(port: 1002, seed: 82, configuration: configuration)
        network = CoreNetwork(client, server)
        dialed = try network.dial(from: client, to: server, expecting: nil)
        let (core, node) = (dialed, client)
        network.run(seconds: 5) { node.events(of: core).isConfirmed }
        accepted = try #require(server.opened.first)
        network.run(seconds: 1)
    }

    private func idsIssued(_ core: ConnectionCore, _ node: CoreNode) -> [(id: ConnectionID, sequence: UInt64)] {
        node.events(of: core).compactMap {
            if case .connectionIDIssued(let id, let sequence) = $0 { (id, sequence) } else { nil }
        }
    }

    private func idsRetired(_ core: ConnectionCore, _ node: CoreNode) -> [(id: ConnectionID, sequence: UInt64)] {
        node.events(of: core).compactMap {
            if case .connectionIDRetired(let id, let sequence) = $0 { (id, sequence) } else { nil }
        }
    }

    @Test func eachConnectionIDThatIsGivenOutIsTold() throws {
        for (core, node) in [(dialed, client), (accepted, server)] {
            let issued = idsIssued(core, node)
            #expect(!issued.isEmpty)
            #expect(issued.map(\.sequence) == Array(1...UInt64(issued.count)))
            #expect(UInt64(issued.count) + 1 == core.connectionIDCounts.issued)
            for (id, sequence) in issued {
                #expect(node.endpoint.registry.sequence(of: id) == sequence)
            }
            #expect(idsRetired(core, node).isEmpty)
        }
    }

    @Test(.enabled(if: MigrationTests.libraryMigrates))
    func aConnectionIDThatThePeerIsDoneWithIsTold() throws {
        // The ID of the handshake, which the client leaves behind with its address.
        let first = try #require(accepted.ownIDs.first { $0.sequence == 0 }?.id)
        let other = NetworkAddress.ip4(127, 0, 0, 2, port: 1003)
        network.nodes[other] = client
        try dialed.migrate(to: other, now: network.now)
        network.service(dialed, of: client)
        #expect(network.run(seconds: 10) { !idsRetired(accepted, server).isEmpty })
        let retired = idsRetired(accepted, server)
        #expect(retired.first?.id == first)
        #expect(retired.first?.sequence == 0)
        #expect(server.endpoint.registry.sequence(of: first) == nil)
        #expect(!accepted.ownIDs.contains { $0.id == first })
        // Another one takes its place, with the next number.
        let issued = idsIssued(accepted, server)
        #expect(issued.map(\.sequence) == Array(1...UInt64(issued.count)))
    }

    /// Held back by the stream's window, then by the connection's.
    @Test(arguments: [(10_000, 1 << 20), (64 << 10, 64 << 10)])
    func aStreamThatWasHeldBackIsToldToGoOn(windows: (stream: Int, connection: Int)) throws {
        let test = try ConnectionEventTests(streamWindow: windows.stream, connectionWindow: windows.connection)
        let (network, client, server) = (test.network, test.client, test.server)
        server.consumes = false
        let stream = try #require(try test.dialed.openStream())
        let bytes = try #require(SendSegment(copying: [UInt8](repeating: 1, count: 100_000)))
        test.dialed.send([bytes], isEnd: true, on: stream)
        network.service(test.dialed, of: client)
        network.run(seconds: 2)
        let count = min(windows.stream, windows.connection)
        #expect(server.received[stream]?.count == count)
        func isWritable() -> Bool {
            client.events(of: test.dialed).contains { if case .streamWritable(stream) = $0 { true } else { false } }
        }
        #expect(!isWritable())
        server.consumes = true
        test.accepted.consumed(count, on: stream)
        network.service(test.accepted, of: server)
        #expect(network.run(seconds: 10) { server.ended.contains(stream) })
        #expect(isWritable())
    }

    @Test func theNumberOfTheNextStreamIsKnownBefore() throws {
        for core in [dialed, accepted] {
            for _ in 0..<3 {
                let next = core.nextStreamID
                #expect(next.isBidirectional)
                #expect(next.isServerInitiated == core.isServer)
                #expect(try core.openStream() == next)
            }
        }
        #expect(dialed.nextStreamID.rawValue == 12)
        #expect(accepted.nextStreamID.rawValue == 13)
    }

    /// A queue of events grows to what comes at once, for every connection.
    @Test func anEventIsSmall() {
        #expect(MemoryLayout<ConnectionEvent>.stride <= 48)
    }
}
