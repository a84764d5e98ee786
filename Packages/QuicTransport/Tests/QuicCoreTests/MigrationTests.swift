import Testing

@testable import QuicCore

/// Connections that move to other addresses (RFC 9000 §9).
@Suite(.timeLimit(.minutes(2))) struct MigrationTests {
    static let libraryMigrates = !QuicVersion.libraryVersion.hasPrefix("0.")

    private let client: CoreNode
    private let server: CoreNode
    private let network: CoreNetwork
    private let dialed: ConnectionCore
    private let accepted: ConnectionCore

    init() throws { try self.init(client: .init(), server: .init()) }

    private init(
        client: QuicConfiguration.Migration,
        server: QuicConfiguration.Migration,
        udp: QuicConfiguration.UDP = .init()
    ) throws {
        var configuration = QuicConfiguration.defaults
        configuration.udp = udp
        configuration.migration = client
        self.client = try CoreNode(port: 1001, seed: 71, configuration: configuration, accepts: false)
        configuration.migration = server
        self.server = try CoreNode(port: 1002, seed: 72, configuration: configuration)
        network = CoreNetwork(self.client, self.server)
        dialed = try network.dial(from: self.client, to: self.server, expecting: nil)
        let (core, node, network) = (dialed, self.client, network)
        network.run(seconds: 5) { node.events(of: core).isConfirmed }
        accepted = try #require(self.server.opened.first)
        network.run(seconds: 1)
    }

    private func send(_ count: Int, on core: ConnectionCore, of node: CoreNode) throws -> StreamID {
        let stream = try #require(try core.openStream())
        core.send(
            [SendSegment(copying: [UInt8](repeating: 7, count: count))].compactMap { $0 },
            isEnd: true,
            on: stream
        )
        network.service(core, of: node)
        return stream
    }

    /// A NAT between the two gives the client another outside address from now on.
    private func rebind(to outside: NetworkAddress) {
        let (client, server) = (client, server)
        network.nodes[outside] = client
        network.filter = { packet in
            var packet = packet
            if packet.from == client.address, packet.to == server.address { packet.from = outside }
            if packet.to == outside {
                packet.to = client.address
            } else if packet.to == client.address {
                return nil
            }
            return packet
        }
    }

    private func pathChanges(_ node: CoreNode, _ core: ConnectionCore) -> [(NetworkPath, NetworkPath)] {
        node.events(of: core).compactMap { if case .pathChanged(let old, let new) = $0 { (old, new) } else { nil } }
    }

    @Test(
        .enabled(if: libraryMigrates),
        arguments: [NetworkAddress.ip4(127, 0, 0, 1, port: 7777), .ip4(192, 0, 2, 9, port: 1001)],
        [false, true]
    )
    func aConnectionFollowsAPeerBehindANATThatForgets(outside: NetworkAddress, serverSends: Bool) throws {
        let (core, node) = serverSends ? (accepted, server) : (dialed, client)
        let stream = try send(1_000_000, on: core, of: node)
        let receiver = serverSends ? client : server
        network.run(seconds: 10) { receiver.received[stream]?.count ?? 0 > 100_000 }
        rebind(to: outside)
        #expect(network.run(seconds: 30) { receiver.ended.contains(stream) })
        #expect(receiver.received[stream]?.count == 1_000_000)
        network.run(seconds: 2)
        #expect(accepted.remoteAddress == outside)
        let changes = pathChanges(server, accepted)
        #expect(changes.count == 1)
        #expect(changes.first?.0 == NetworkPath(local: server.address, remote: client.address))
        #expect(changes.first?.1 == NetworkPath(local: server.address, remote: outside))
        // The routing by address has moved with it.
        #expect(server.endpoint.registry.connections(at: outside) == [accepted.handle])
        #expect(server.endpoint.registry.connections(at: client.address).isEmpty)
    }

    /// Path MTU discovery is off for these sizes; the library starts it all the same when the peer comes back.
    @Test(.enabled(if: libraryMigrates), arguments: [1200, 1452, 9000])
    func aPeerThatComesBackBeforeItsNewAddressIsValidatedIsFollowed(payload: Int) throws {
        var udp = QuicConfiguration.UDP()
        udp.maxPayloadSize = payload
        if payload > 1500 { udp.initialPayloadSize = payload }
        let test = try MigrationTests(client: .init(), server: .init(), udp: udp)
        let (network, client, server) = (test.network, test.client, test.server)
        let outside = client.address.withPort(7777)
        // Only the packets of this one turn come from elsewhere: the challenge to that address has no answer.
        network.filter = { packet in
            guard packet.to != outside else { return nil }
            guard packet.from == client.address else { return packet }
            var packet = packet
            packet.from = outside
            return packet
        }
        _ = try test.send(100, on: test.dialed, of: client)
        network.filter = { $0.to == outside ? nil : $0 }
        var wasElsewhere = false
        let stream = try test.send(100_000, on: test.dialed, of: client)
        let core = test.accepted
        network.filter = { packet in
            if packet.to == outside { wasElsewhere = true }
            return packet.to == outside ? nil : packet
        }
        #expect(network.run(seconds: 10) { server.ended.contains(stream) })
        #expect(wasElsewhere)
        #expect(core.isOpen)
        #expect(core.remoteAddress == client.address)
        #expect(server.received[stream]?.count == 100_000)
        try network.discoverPathSize(core, of: server)
        #expect(core.pathStatistics.maxPayloadSize == payload)
    }

    /// A server whose peer's new path does not answer has to go back to the last one that did (RFC 9000 §9.3.2). Nobody is
    /// there any more, but the peer's next packet, at the latest the PING that keeps the connection alive, shows where it is.
    @Test(.enabled(if: libraryMigrates), arguments: [false, true])
    func aServerThatWentBackToADeadPathFindsItsPeerAgain(serverSends: Bool) throws {
        let (core, node) = serverSends ? (accepted, server) : (dialed, client)
        let stream = try send(1_000_000, on: core, of: node)
        let receiver = serverSends ? client : server
        network.run(seconds: 10) { receiver.received[stream]?.count ?? 0 > 100_000 }
        let outside = NetworkAddress.ip4(127, 0, 0, 1, port: 7777)
        rebind(to: outside)
        let translate = network.filter
        #expect(network.run(seconds: 5) { accepted.hasLeft(client.address) })
        // Nothing passes for so long that the validation is given up.
        network.filter = { _ in nil }
        #expect(
            network.run(seconds: 10) {
                server.events(of: accepted).contains { if case .pathValidated(false) = $0 { true } else { false } }
            }
        )
        #expect(!accepted.hasLeft(client.address))
        network.filter = translate
        let healed = network.now
        #expect(network.run(seconds: 30) { receiver.ended.contains(stream) })
        #expect(receiver.received[stream]?.count == 1_000_000)
        #expect(accepted.remoteAddress == outside)
        #expect(network.now - healed < 20_000_000_000)
        #expect(dialed.isOpen && accepted.isOpen)
    }

    @Test(.enabled(if: !libraryMigrates))
    func onAnOldLibraryAPeerThatMovesIsNotFollowed() throws {
        rebind(to: .ip4(127, 0, 0, 1, port: 7777))
        let stream = try send(1000, on: dialed, of: client)
        #expect(!network.run(seconds: 5) { server.ended.contains(stream) })
        #expect(accepted.remoteAddress == client.address)
        #expect(network.run(seconds: 120) { client.events(of: dialed).termination?.cause == .idleTimeout })
    }

    @Test func aPinnedPeerIsNotFollowed() throws {
        var policy = QuicConfiguration.Migration()
        policy.followsPeer = false
        let test = try MigrationTests(client: .init(), server: policy)
        test.rebind(to: .ip4(127, 0, 0, 1, port: 7777))
        let stream = try test.send(1000, on: test.dialed, of: test.client)
        #expect(!test.network.run(seconds: 5) { test.server.ended.contains(stream) })
        #expect(test.accepted.remoteAddress == test.client.address)
        #expect(test.pathChanges(test.server, test.accepted).isEmpty)
        // And it asks its peer not to move.
        let error = #expect(throws: QuicError.self) {
            try test.dialed.migrate(to: test.client.address.withPort(1003), now: test.network.now)
        }
        #expect(error?.code == .state)
    }

    @Test(.enabled(if: libraryMigrates))
    func aConnectionMovesToAnotherLocalAddressInTheMiddleOfATransfer() throws {
        let stream = try send(1_000_000, on: dialed, of: client)
        network.run(seconds: 10) { server.received[stream]?.count ?? 0 > 100_000 }
        let other = NetworkAddress.ip4(127, 0, 0, 2, port: 1003)
        network.nodes[other] = client
        try dialed.migrate(to: other, now: network.now)
        network.service(dialed, of: client)
        #expect(network.run(seconds: 5) { dialed.localAddress == other })
        // The old address is gone.
        let old = client.address
        network.filter = { $0.from == old || $0.to == old ? nil : $0 }
        #expect(network.run(seconds: 30) { server.ended.contains(stream) })
        #expect(server.received[stream]?.count == 1_000_000)
        #expect(accepted.remoteAddress == other)
        #expect(pathChanges(client, dialed).map(\.1) == [NetworkPath(local: other, remote: server.address)])
        #expect(pathChanges(server, accepted).map(\.1) == [NetworkPath(local: server.address, remote: other)])
    }

    @Test(.enabled(if: libraryMigrates))
    func aPathThatLeadsNowhereIsGivenUpAndTheOldOneGoesOn() throws {
        let other = NetworkAddress.ip4(127, 0, 0, 2, port: 1003)
        network.filter = { $0.from == other ? nil : $0 }
        try dialed.migrate(to: other, now: network.now)
        network.service(dialed, of: client)
        let stream = try send(100_000, on: dialed, of: client)
        #expect(network.run(seconds: 10) { server.ended.contains(stream) })
        let failed = network.run(seconds: 20) {
            client.events(of: dialed).contains { if case .pathValidated(false) = $0 { true } else { false } }
        }
        #expect(failed)
        #expect(dialed.isOpen)
        #expect(dialed.localAddress == client.address)
        #expect(pathChanges(client, dialed).isEmpty)
    }

    /// Which sockets at the unspecified address the connection still knows.
    @Test(.enabled(if: libraryMigrates), arguments: [true, false])
    func aSocketThatWasLeftOrNotReachedIsForgotten(arrives: Bool) throws {
        let other = NetworkAddress.ip4(0, 0, 0, 0, port: 1003)
        network.nodes[other] = client
        network.filter = { packet in
            guard packet.from == other || packet.to == other else { return packet }
            return arrives ? packet : nil
        }
        try dialed.migrate(to: other, now: network.now)
        #expect(dialed.openLocals == [other])
        network.service(dialed, of: client)
        let outcome = network.run(seconds: 20) {
            client.events(of: dialed).contains {
                if case .pathValidated(let success) = $0 { success == arrives } else { false }
            }
        }
        #expect(outcome)
        #expect(dialed.openLocals == (arrives ? [other] : []))
        // And the next move leaves nothing of this one.
        let third = NetworkAddress.ip4(127, 0, 0, 2, port: 1004)
        network.nodes[third] = client
        network.run(seconds: 2)
        try dialed.migrate(to: third, now: network.now)
        network.service(dialed, of: client)
        #expect(network.run(seconds: 20) { dialed.localAddress == third })
        #expect(dialed.openLocals.isEmpty)
    }

    @Test func whoMustNotMoveIsToldWhy() throws {
        let other = NetworkAddress.ip4(127, 0, 0, 2, port: 1003)
        let byServer = #expect(throws: QuicError.self) { try accepted.migrate(to: other, now: network.now) }
        #expect(byServer?.code == .state)
        var policy = QuicConfiguration.Migration()
        policy.allowsOwn = false
        let test = try MigrationTests(client: policy, server: .init())
        let byPolicy = #expect(throws: QuicError.self) { try test.dialed.migrate(to: other, now: test.network.now) }
        #expect(byPolicy?.message.contains("migration.allowsOwn") == true)
        if !Self.libraryMigrates {
            let byLibrary = #expect(throws: QuicError.self) { try dialed.migrate(to: other, now: network.now) }
            #expect(byLibrary?.message.contains("0.12") == true)
        }
        #expect(dialed.isOpen && accepted.isOpen)
    }
}

extension ConnectionCore {
    /// Whether packets go elsewhere than to `address`, validated or not.
    fileprivate func hasLeft(_ address: NetworkAddress) -> Bool { libraryPath.remote != address }
}
