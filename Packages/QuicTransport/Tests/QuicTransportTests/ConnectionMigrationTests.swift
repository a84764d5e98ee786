import Multiaddr
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(1))) struct ConnectionMigrationTests {
    static let libraryMigrates = !QuicVersion.libraryVersion.hasPrefix("0.")

    @Test(.enabled(if: libraryMigrates), arguments: [nil, "/ip4/127.0.0.1/udp/0/quic-v1"] as [Multiaddr?])
    func aDialedConnectionMovesToAFreshPortAndItsStreamGoesOn(to address: Multiaddr?) async throws {
        try await QuicPair.with { pair in
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
            let before = pair.dialed.localAddress
            let serverSaw = pair.accepted.remoteAddress
            try await pair.dialed.migrate(to: address)
            #expect(pair.dialed.localAddress != before)
            try await stream.write([2])
            #expect(try await other.read() == [2])
            var changes = pair.accepted.pathChanges.makeAsyncIterator()
            let change = try #require(await changes.next())
            #expect(change.oldRemote == serverSaw)
            #expect(change.newRemote.quicEndpoint?.port == pair.dialed.localAddress.quicEndpoint?.port)
            #expect(pair.accepted.remoteAddress == change.newRemote)
            // And once more, from the socket of its own to another one.
            let second = pair.dialed.localAddress
            try await pair.dialed.migrate(to: address)
            #expect(pair.dialed.localAddress != second)
            try await other.write([3])
            #expect(try await stream.read() == [3])
        }
    }

    @Test(.enabled(if: libraryMigrates))
    func anAddressOfNoUseIsRefusedAndTheConnectionGoesOn() async throws {
        try await QuicPair.with { pair in
            let name = await #expect(throws: QuicError.self) {
                try await pair.dialed.migrate(to: "/dns4/a/udp/1/quic-v1")
            }
            #expect(name?.code == .invalidAddress)
            let foreign = await #expect(throws: QuicError.self) {
                try await pair.dialed.migrate(to: "/ip4/192.0.2.1/udp/0/quic-v1")
            }
            #expect(foreign?.code == .socket)
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
        }
    }

    @Test(.enabled(if: libraryMigrates))
    func aMoveToTheSamePortOfAnotherAddressLeavesTheOtherConnectionsOfTheSocketAlone() async throws {
        let servers = [try QuicTransport(identity: .ed25519()), try QuicTransport(identity: .ed25519())]
        let client = try QuicTransport(identity: .ed25519())
        let socket = try await client.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let port = try #require(socket.addresses[0].quicEndpoint?.port)
        var connections: [(dialed: QuicConnection, accepted: QuicConnection)] = []
        for server in servers {
            let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
            async let accepted = listener.acceptConnection()
            connections.append((try await client.dialQuic(listener.addresses[0]), try await accepted))
        }
        #expect(connections[0].dialed.localAddress == socket.addresses[0])
        let other = try Multiaddr.quic(host: "127.0.0.2", port: port)
        try await connections[0].dialed.migrate(to: other)
        #expect(connections[0].dialed.localAddress == other)
        for (dialed, accepted) in connections {
            let stream = try await dialed.openQuicStream()
            try await stream.write([1])
            #expect(try await accepted.acceptQuicStream().read() == [1])
        }
        // The server validates the path by itself, perhaps later.
        var changes = connections[0].accepted.pathChanges.makeAsyncIterator()
        #expect(await changes.next()?.newRemote == other)
        #expect(connections[0].accepted.remoteAddress == other)
        #expect(connections[1].accepted.remoteAddress == socket.addresses[0])
        await client.close()
        for server in servers { await server.close() }
    }

    @Test(.enabled(if: libraryMigrates))
    func aMoveWithoutAnAddressStaysOnTheOneInUse() async throws {
        try await QuicPair.with { pair in
            try await pair.dialed.migrate(to: "/ip4/127.0.0.2/udp/0/quic-v1")
            let first = try #require(pair.dialed.localAddress.quicEndpoint)
            try await pair.dialed.migrate()
            let second = try #require(pair.dialed.localAddress.quicEndpoint)
            #expect(first.port != second.port)
            #expect(second.host == first.host)
        }
    }

    @Test(.enabled(if: libraryMigrates))
    func whatASocketOfItsOwnCarriedIsCountedAlsoWhenItIsClosed() async throws {
        try await QuicPair.with { pair in
            let stream = try await pair.dialed.openQuicStream()
            let before = await pair.client.statistics()
            try await pair.dialed.migrate(to: "/ip4/127.0.0.2/udp/0/quic-v1")
            try await stream.write([UInt8](repeating: 1, count: 100_000))
            try await stream.closeWrite()
            let accepted = try await pair.accepted.acceptQuicStream()
            var count = 0
            while let bytes = try await accepted.read() { count += bytes.count }
            #expect(count == 100_000)
            let during = await pair.client.statistics()
            #expect(during.bytesSent > before.bytesSent + 100_000)
            #expect(during.packetsReceived > before.packetsReceived)
            try await pair.dialed.migrate()
            let after = await pair.client.statistics()
            #expect(after.bytesSent >= during.bytesSent)
            #expect(after.packetsReceived >= during.packetsReceived)
        }
    }

    /// A connection over a relay that holds back what comes from a second port; a path is given up after 45 s.
    private func withRelay(_ body: (QuicConnection, QuicConnection, HoldingRelay) async throws -> Void) async throws {
        var configuration = QuicConfiguration.defaults
        configuration.initialRoundTrip = .seconds(5)
        let server = try QuicTransport(identity: .ed25519())
        let client = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let relay = try await HoldingRelay(to: try #require(listener.addresses[0].quicEndpoint).port)
        async let accepted = listener.acceptConnection()
        let dialed = try await client.dialQuic(relay.address())
        try await body(dialed, try await accepted, relay)
        await client.close()
        await server.close()
        try await relay.close()
    }

    @Test(.enabled(if: libraryMigrates))
    func aCancelledMoveIsNotWaitedForAndTheConnectionGoesOn() async throws {
        try await withRelay { dialed, accepted, relay in
            let before = dialed.localAddress
            let move = Task { try await dialed.migrate() }
            while relay.heldCount == 0 { await Task.yield() }
            move.cancel()
            let error = await #expect(throws: QuicError.self) { try await move.value }
            #expect(error?.code == .cancelled)
            #expect(dialed.localAddress == before)
            let stream = try await dialed.openQuicStream()
            try await stream.write([1])
            let other = try await accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
            // The library is still about it.
            let second = await #expect(throws: QuicError.self) { try await dialed.migrate() }
            #expect(second?.code == .state)
        }
    }

    @Test(.enabled(if: libraryMigrates))
    func aCancelledMoveThatThePeerAnswersHasItsSocket() async throws {
        try await withRelay { dialed, accepted, relay in
            let before = dialed.localAddress
            let move = Task { try await dialed.migrate() }
            while relay.heldCount == 0 { await Task.yield() }
            move.cancel()
            await #expect(throws: QuicError.self) { try await move.value }
            relay.letThrough()
            var changes = dialed.pathChanges.makeAsyncIterator()
            #expect(try #require(await changes.next()).newLocal == dialed.localAddress)
            #expect(dialed.localAddress != before)
            let stream = try await dialed.openQuicStream()
            try await stream.write([1])
            let other = try await accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
            // It is over: the next one begins.
            try await dialed.migrate()
        }
    }

    @Test(.enabled(if: libraryMigrates))
    func aTaskThatIsCancelledAlreadyMovesNothing() async throws {
        try await QuicPair.with { pair in
            let before = pair.dialed.localAddress
            let move = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                try await pair.dialed.migrate()
            }
            let error = await #expect(throws: QuicError.self) { try await move.value }
            #expect(error?.code == .cancelled)
            #expect(pair.dialed.localAddress == before)
            try await pair.dialed.migrate()
        }
    }

    @Test func theAcceptingSideCannotMove() async throws {
        try await QuicPair.with { pair in
            let error = await #expect(throws: QuicError.self) { try await pair.accepted.migrate() }
            #expect(error?.code == .state)
        }
    }
}
