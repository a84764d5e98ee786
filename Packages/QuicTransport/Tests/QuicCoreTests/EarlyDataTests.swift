import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

@Suite struct EarlyDataTests {
    private let tls = TLSConfiguration(sessionTickets: true, earlyData: true)

    private var early: QuicConfiguration {
        var configuration = QuicConfiguration.defaults
        configuration.resumption = .earlyData
        return configuration
    }

    /// A client with a ticket of the server.
    private func makePair(
        client configuration: QuicConfiguration? = nil,
        server other: QuicConfiguration? = nil
    ) throws -> (network: CoreNetwork, client: CoreNode, server: CoreNode) {
        let client = try CoreNode(port: 1, seed: 1, configuration: configuration ?? early, accepts: false, tls: tls)
        let server = try CoreNode(port: 2, seed: 2, configuration: other ?? early, tls: tls)
        let network = CoreNetwork(latency: 10_000_000, client, server)
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        network.run(seconds: 2)
        #expect(client.events(of: core).isConfirmed)
        core.close(code: 0, reason: "", now: network.now)
        network.service(core, of: client)
        network.run(seconds: 20) { client.endpoint.connectionCount == 0 && server.endpoint.connectionCount == 0 }
        return (network, client, server)
    }

    private func dialEarly(
        _ network: CoreNetwork,
        _ client: CoreNode,
        _ server: CoreNode
    ) throws -> ConnectionCore {
        let core = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: server.identity.peerID,
            early: true,
            now: network.now
        )
        network.service(core, of: client)
        return core
    }

    private func send(_ bytes: [UInt8], _ network: CoreNetwork, _ client: CoreNode, _ core: ConnectionCore) throws {
        let stream = try #require(try core.openStream())
        core.send([try #require(SendSegment(copying: bytes))], isEnd: true, on: stream)
        network.service(core, of: client)
    }

    @Test func aServerReadsEarlyDataBeforeTheHandshakeIsDoneAndKnowsWhoSentIt() throws {
        let (network, client, server) = try makePair()
        let core = try dialEarly(network, client, server)
        #expect(client.events(of: core).earlyResult?.peer.peerID == server.identity.peerID)
        #expect(!core.isEstablished)
        try send([1, 2, 3], network, client, core)
        let start = network.now
        network.run(seconds: 1) { !server.ended.isEmpty }
        #expect(server.received.values.map { $0 } == [[1, 2, 3]])
        // One way, and what the pacing of the packets adds: less than there and back.
        #expect(network.now - start < 2 * network.latency)
        let accepted = try #require(server.opened.last)
        #expect(!accepted.isEstablished)
        #expect(server.events(of: accepted).earlyResult?.peer.peerID == client.identity.peerID)
        #expect(server.events(of: accepted).earlyResult?.alpn == "libp2p")
        #expect(server.events(of: accepted).handshake == nil)
        // Until the handshake is done the connection counts as half-open.
        #expect(server.endpoint.halfOpenCount == 1)
        network.run(seconds: 1)
        #expect(server.endpoint.halfOpenCount == 0)
        #expect(server.events(of: accepted).handshake?.isEarlyDataAccepted == true)
        #expect(client.events(of: core).handshake?.isEarlyDataAccepted == true)
        #expect(server.endpoint.statistics.earlyDataAccepted == 1)
    }

    @Test func aClientThatNeverFinishesIsGivenUpWithTheHandshakeTimeout() throws {
        let (network, client, server) = try makePair()
        let core = try dialEarly(network, client, server)
        try send([1], network, client, core)
        network.run(seconds: 1) { !server.ended.isEmpty }
        // From here on the client is silent.
        network.filter = { $0.from == client.address ? nil : $0 }
        let accepted = try #require(server.opened.last)
        network.run(seconds: 60) { accepted.isFinished }
        #expect(accepted.termination?.cause == .handshakeTimeout)
        #expect(server.events(of: accepted).handshake == nil)
        #expect(server.endpoint.halfOpenCount == 0 && server.endpoint.connectionCount == 0)
    }

    @Test func aServerWhoseLimitsHaveChangedRefusesEarlyDataAndTheSession() throws {
        let (network, client, server) = try makePair()
        var smaller = early
        smaller.flowControl.streamWindow = 1 << 10
        // The same keys for tickets, and smaller limits than the client remembers (RFC 9000 §7.4.1).
        let changed = EndpointCore(
            configuration: smaller,
            tls: server.endpoint.tls,
            identifiers: try ServerConnectionIDs(staticKey: [UInt8](repeating: 2, count: 32), owner: 0),
            random: SeededGenerator(seed: 3)
        )
        changed.acceptsConnections = true
        let other = CoreNode(server.identity, port: 2, endpoint: changed)
        network.nodes[server.address] = other
        let core = try dialEarly(network, client, server)
        try send([UInt8](repeating: 1, count: 2 << 10), network, client, core)
        network.run(seconds: 2)
        let events = client.events(of: core)
        #expect(events.rejectedStreams?.map(\.rawValue) == [0])
        #expect(events.handshake?.isResumed == false && events.handshake?.isEarlyDataAccepted == false)
        #expect(core.isOpen && other.received.isEmpty)
        // The connection goes on, with the numbers from the beginning.
        try send([7], network, client, core)
        network.run(seconds: 1)
        #expect(other.received == [StreamID(rawValue: 0): [7]])
        #expect(core.streamCounts.opened == 2 && core.streamCounts.closed >= 1)
    }

    @Test func thereIsNoneUnlessBothSidesWantIt() throws {
        var sessions = early
        sessions.resumption = .sessions
        for (here, there) in [(sessions, early), (early, sessions)] {
            let client = try CoreNode(
                port: 1,
                seed: 1,
                configuration: here,
                accepts: false,
                tls: TLSConfiguration(sessionTickets: true, earlyData: here.resumption == .earlyData)
            )
            let server = try CoreNode(
                port: 2,
                seed: 2,
                configuration: there,
                tls: TLSConfiguration(sessionTickets: true, earlyData: there.resumption == .earlyData)
            )
            let network = CoreNetwork(latency: 1_000_000, client, server)
            for isResumed in [false, true] {
                let core = try dialEarly(network, client, server)
                #expect(client.events(of: core).earlyResult == nil)
                #expect(try core.openStream() == nil)
                network.run(seconds: 2)
                #expect(client.events(of: core).handshake?.isResumed == isResumed)
                #expect(client.events(of: core).handshake?.isEarlyDataAccepted == false)
                core.close(code: 0, reason: "", now: network.now)
                network.service(core, of: client)
                network.run(seconds: 20)
            }
        }
    }

    @Test func unreliableDatagramsAreNotSentEarly() throws {
        var configuration = early
        configuration.maxDatagramFrameSize = 1000
        let (network, client, server) = try makePair(client: configuration, server: configuration)
        let core = try dialEarly(network, client, server)
        let error = #expect(throws: QuicError.self) { try core.sendDatagram([1]) }
        #expect(error?.code == .state)
        #expect(core.maxDatagramSize == 0)
        network.run(seconds: 1)
        try core.sendDatagram([1])
    }

    @Test func unreliableDatagramsThatComeEarlyAreDroppedAndCounted() throws {
        var configuration = early
        configuration.maxDatagramFrameSize = 1000
        let (network, client, server) = try makePair(client: configuration, server: configuration)
        let core = try dialEarly(network, client, server)
        // As a client that does not care would.
        core.queues.outgoingDatagrams.append([1, 2, 3])
        network.service(core, of: client)
        network.run(seconds: 1)
        let accepted = try #require(server.opened.last)
        #expect(accepted.datagramCounts.droppedEarly == 1 && accepted.datagramCounts.received == 0)
        core.queues.outgoingDatagrams.append([4])
        network.service(core, of: client)
        network.run(seconds: 1)
        #expect(accepted.datagramCounts.droppedEarly == 1 && accepted.datagramCounts.received == 1)
    }

    @Test func earlyPacketsBeforeTheFirstInitialAreDroppedAndTheirBytesComeLater() throws {
        let (network, client, server) = try makePair()
        var held: [CoreNetwork.Packet] = []
        network.filter = { packet in
            guard packet.from == client.address, held.isEmpty else { return packet }
            held.append(packet)
            return nil
        }
        let core = try dialEarly(network, client, server)
        try send([1, 2, 3], network, client, core)
        network.run(seconds: 0.05)
        #expect(server.opened.count == 1, "an early packet opened a connection")
        for packet in held { network.send(packet.bytes, from: packet.from, to: packet.to) }
        network.run(seconds: 5) { !server.ended.isEmpty }
        #expect(server.received.values.map { $0 } == [[1, 2, 3]])
        #expect(client.events(of: core).handshake?.isEarlyDataAccepted == true)
    }
}

extension [ConnectionEvent] {
    fileprivate var earlyResult: HandshakeResult? {
        for case .earlyDataStarted(let result) in self { return result }
        return nil
    }

    fileprivate var rejectedStreams: [StreamID]? {
        for case .earlyDataRejected(let streams) in self { return streams }
        return nil
    }
}
