import Multiaddr
import NIOCore
import NIOPosix
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

/// Listeners on several event loops.
@Suite(.timeLimit(.minutes(2))) struct LoopTests {
    /// A transport that listens on two loops, and clients of it; all closed after the body.
    private struct Setting: Sendable {
        let server: QuicTransport
        let listener: QuicListener
        let client: QuicTransport

        static func with(
            _ change: (inout QuicConfiguration) -> Void = { _ in },
            _ body: @Sendable (Setting) async throws -> Void
        ) async throws {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
            var configuration = QuicConfiguration.defaults
            configuration.udp.loops = 2
            change(&configuration)
            let server = try QuicTransport(
                identity: .ed25519(),
                configuration: configuration,
                eventLoopGroup: group
            )
            let client = try QuicTransport(identity: .ed25519())
            let outcome: Result<Void, any Error>
            do {
                let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
                outcome = .success(try await body(Setting(server: server, listener: listener, client: client)))
            } catch {
                outcome = .failure(error)
            }
            await client.close()
            await server.close()
            try await group.shutdownGracefully()
            try outcome.get()
        }

        func connect(_ client: QuicTransport) async throws -> (dialed: QuicConnection, accepted: QuicConnection) {
            async let incoming = listener.acceptConnection()
            let dialed = try await client.dialQuic(listener.addresses[0].withPeerID(server.localPeer))
            return (dialed, try await incoming)
        }
    }

    private static func echo(_ bytes: [UInt8], _ stream: QuicStream, _ other: QuicStream) async throws {
        try await stream.write(bytes)
        #expect(try await other.read() == bytes)
        try await other.write(bytes)
        #expect(try await stream.read() == bytes)
    }

    @Test func theKernelSpreadsThePeersOverBothLoops() async throws {
        try await Setting.with { setting in
            // Each client has a port of its own. That 40 of them hash to one of two sockets does not happen.
            for _ in 0..<40 {
                let client = try QuicTransport(identity: .ed25519())
                let (dialed, accepted) = try await setting.connect(client)
                #expect(accepted.remotePeer == client.localPeer)
                let stream = try await dialed.openQuicStream()
                try await stream.write([1])
                #expect(try await accepted.acceptQuicStream().read() == [1])
                await client.close()
                let counts = await setting.listener.statisticsOfLoops()
                if counts.allSatisfy({ $0.accepted > 0 }) { break }
            }
            let counts = await setting.listener.statisticsOfLoops()
            #expect(counts.count == 2)
            #expect(counts.allSatisfy { $0.accepted > 0 }, "\(counts.map(\.accepted))")
            let sum = await setting.listener.statistics()
            #expect(sum.accepted == counts[0].accepted + counts[1].accepted)
            #expect(await setting.server.statistics().accepted == sum.accepted)
        }
    }

    @Test(.enabled(if: ConnectionMigrationTests.libraryMigrates))
    func aPeerThatMovesToThePortOfTheOtherLoopKeepsItsStream() async throws {
        try await Setting.with { setting in
            let (dialed, accepted) = try await setting.connect(setting.client)
            let stream = try await dialed.openQuicStream()
            try await stream.write([0])
            let other = try await accepted.acceptQuicStream()
            #expect(try await other.read() == [0])
            var moves: UInt8 = 0
            while await setting.listener.statistics().passedBetweenLoops == 0, moves < 64 {
                moves += 1
                try await dialed.migrate(to: "/ip4/127.0.0.1/udp/0/quic-v1")
                try await Self.echo([moves], stream, other)
            }
            #expect(moves < 64)
            // All that comes now is handed over, and it is a lot.
            let payload = [UInt8](repeating: 7, count: 1 << 20)
            async let written: Void = {
                try await stream.write(payload)
                try await stream.closeWrite()
            }()
            var count = 0
            while let bytes = try await other.read() { count += bytes.count }
            try await written
            #expect(count == payload.count)
            let counts = await setting.listener.statistics()
            #expect(counts.passedBetweenLoops > 300)
            #expect(counts.lostBetweenLoops == 0)
            #expect(counts.accepted == 1 && counts.active == 1)
        }
    }

    @Test func dialsFromTheListenersPortGetTheirAnswersOnWhicheverLoop() async throws {
        try await Setting.with { setting in
            let peer = try await setting.client.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
            // The loops take turns, and the answers to both come to one of the two sockets: one loop's are handed over.
            for _ in 0..<4 {
                async let incoming = peer.acceptConnection()
                let dialed = try await setting.server.dialQuic(peer.addresses[0].withPeerID(setting.client.localPeer))
                let accepted = try await incoming
                #expect(dialed.localAddress == setting.listener.addresses[0])
                #expect(accepted.remoteAddress == setting.listener.addresses[0])
                let stream = try await dialed.openQuicStream()
                try await stream.write([1])
                try await Self.echo([2], try await accepted.acceptQuicStream().skipping(1), stream)
            }
            let counts = await setting.listener.statisticsOfLoops()
            #expect(counts.map(\.dialed) == [2, 2])
            #expect(counts.map(\.passedBetweenLoops).contains { $0 > 0 })
            #expect(counts.map(\.passedBetweenLoops).contains(0))
        }
    }

    @Test func thePortIsInUseForOthersAlsoForThoseThatWouldShareIt() async throws {
        try await Setting.with { setting in
            var shared = QuicConfiguration.defaults
            shared.udp.loops = 2
            for configuration in [QuicConfiguration.defaults, shared] {
                let other = try QuicTransport(identity: .ed25519(), configuration: configuration)
                let error = await #expect(throws: QuicError.self) {
                    try await other.listenQuic(on: setting.listener.addresses[0])
                }
                #expect(error?.code == .listen)
                await other.close()
            }
        }
    }

    @Test func nothingIsLeftOfAListenerThatIsClosed() async throws {
        try await Setting.with { setting in
            let (dialed, _) = try await setting.connect(setting.client)
            let loops = setting.listener.loops
            await setting.listener.close()
            #expect(!setting.listener.isListening)
            // The connection lives on, and its socket with it; the other socket is gone.
            let open = setting.server.listeningSockets
            #expect(open == 1)
            await dialed.close(code: .none, reason: "")
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            var turns = 0
            while setting.server.listeningSockets > 0, turns < 2000 {
                turns += 1
                try await loop.scheduleTask(in: .milliseconds(10)) {}.futureResult.get()
            }
            #expect(setting.server.listeningSockets == 0)
            for loop in loops {
                #expect(try await loop.eventLoop.submit { loop.value.connectionCount }.get() == 0)
            }
            #expect(await setting.server.statistics().accepted == 1)
            // The port is free at once for whoever wants it alone.
            let again = try QuicTransport(identity: .ed25519())
            _ = try await again.listenQuic(on: setting.listener.addresses[0])
            await again.close()
        }
    }

    @Test func whatALoopCannotTakeIsLostAndNotHeld() async throws {
        try await Setting.with { setting in
            let receiver = setting.listener.loops[1]
            let inbox = LoopInbox(capacity: 1000)
            let datagram = [UInt8](repeating: 0x41, count: 100)
            let from = NetworkAddress.ip4(127, 0, 0, 1, port: 9)
            @Sendable func deposit() -> Bool {
                datagram.withUnsafeBytes { inbox.deposit($0, from: from, to: from, ecn: 0) }
            }
            // Nobody is there yet.
            #expect(!deposit())
            // While the receiver's loop is busy: each datagram counts for 228 bytes.
            let taken = try await receiver.eventLoop.submit {
                inbox.open(receiver)
                return (0..<10).map { _ in deposit() }.count { $0 }
            }.get()
            #expect(taken == 4)
            let later = try await receiver.eventLoop.submit { deposit() }.get()
            #expect(later)
            inbox.close()
            #expect(!deposit())
        }
    }
}

extension QuicStream {
    /// The stream without its first bytes.
    fileprivate func skipping(_ count: Int) async throws -> QuicStream {
        #expect(try await read()?.count == count)
        return self
    }
}
