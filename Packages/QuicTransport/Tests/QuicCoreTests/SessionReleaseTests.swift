import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

/// The TLS session goes when the handshake is confirmed; the connection lives on without it.
@Suite(.timeLimit(.minutes(1))) struct SessionReleaseTests {
    private let client: CoreNode
    private let server: CoreNode
    private let network: CoreNetwork

    init() throws {
        client = try CoreNode(port: 1001, seed: 51, accepts: false)
        server = try CoreNode(port: 1002, seed: 52)
        network = CoreNetwork(client, server)
    }

    private func connect() throws -> (dialed: ConnectionCore, accepted: ConnectionCore) {
        let dialed = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(dialed.session != nil)
        let node = client
        network.run(seconds: 5) { node.events(of: dialed).isConfirmed }
        return (dialed, try #require(server.opened.first))
    }

    /// Sends so many bytes to the server and waits for them.
    private func send(_ count: Int, on core: ConnectionCore) throws {
        let stream = try #require(try core.openStream())
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        core.send([try #require(SendSegment(copying: bytes))], isEnd: true, on: stream)
        network.service(core, of: client)
        let node = server
        #expect(network.run(seconds: 20) { node.ended.contains(stream) })
        #expect(server.received[stream] == bytes)
    }

    @Test func bothSidesLetItGoAndStillKnowThePeer() throws {
        let (dialed, accepted) = try connect()
        #expect(dialed.session == nil)
        #expect(accepted.session == nil)
        #expect(dialed.verifiedPeer?.peerID == server.identity.peerID)
        #expect(accepted.verifiedPeer?.peerID == client.identity.peerID)
        try send(100_000, on: dialed)
    }

    @Test func aServerThatGivesTicketsLetsItGoAfterThat() throws {
        var configuration = QuicConfiguration.defaults
        configuration.resumption = .sessions
        let tls = TLSConfiguration(sessionTickets: true)
        let client = try CoreNode(port: 1001, seed: 51, configuration: configuration, accepts: false, tls: tls)
        let server = try CoreNode(port: 1002, seed: 52, configuration: configuration, tls: tls)
        let network = CoreNetwork(client, server)
        for isResumed in [false, true] {
            let dialed = try network.dial(from: client, to: server, expecting: server.identity.peerID)
            network.run(seconds: 5) { client.events(of: dialed).isConfirmed }
            network.run(seconds: 1)
            #expect(client.events(of: dialed).handshake?.isResumed == isResumed)
            let accepted = try #require(server.opened.last)
            #expect(accepted.session == nil)
            #expect(accepted.isOpen && dialed.isOpen)
        }
    }

    @Test(arguments: [true, false]) func keysAreUpdatedWithoutIt(byTheServer: Bool) throws {
        let (dialed, accepted) = try connect()
        try send(10_000, on: dialed)
        network.run(seconds: 1)
        try (byTheServer ? accepted : dialed).updateKeys(now: network.now)
        try send(10_000, on: dialed)
        network.run(seconds: 1)
        try send(10_000, on: dialed)
        #expect(dialed.isOpen && accepted.isOpen)
    }

    @Test func theCloseGoesOutWithoutIt() throws {
        let (dialed, accepted) = try connect()
        dialed.close(code: 0x1006, reason: "good bye", now: network.now)
        network.service(dialed, of: client)
        #expect(network.run(seconds: 5) { !accepted.isOpen })
        #expect(server.events(of: accepted).termination?.code == 0x1006)
        network.run(seconds: 30)
        #expect(client.endpoint.connectionCount == 0 && server.endpoint.connectionCount == 0)
    }
}
