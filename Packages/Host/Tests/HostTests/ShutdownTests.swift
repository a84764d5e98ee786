import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@Suite(.timeLimit(.minutes(1))) struct ShutdownTests {
    private static let name = "/slow/1.0.0"

    /// A handler that says when it began, and waits until it is told to go on.
    private struct SlowHandler {
        let began = AsyncStream.makeStream(of: Void.self)
        let goOn = AsyncStream.makeStream(of: Void.self)

        var handler: StreamHandler {
            { [began = began.continuation, goOn = goOn.stream] stream in
                began.yield()
                for await _ in goOn { break }
                try Task.checkCancellation()
                try await stream.write(Array("done".utf8))
                try await stream.closeWrite()
            }
        }

        func waitUntilBegun() async {
            for await _ in began.stream { break }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func handlersAtWorkFinishFirst(_ network: TestNetwork) async throws {
        var impatient = HostConfiguration()
        // On UDP nobody says that nobody is there any more: only the deadline does.
        impatient.connections.dialTimeout = .seconds(3)
        try await withTwoHosts(on: network, .defaults, impatient) { server, client in
            let slow = SlowHandler()
            await server.handle(Self.name, handler: slow.handler)
            let peer = try await client.connect(to: server.address)
            let address = try server.address
            let stream = try await client.newStream(to: peer, protocols: [Self.name])
            try await stream.write([1])
            await slow.waitUntilBegun()
            let events = server.events()
            async let shutdown: Void = server.shutDown(within: .seconds(30))
            // Once nothing new is taken, the listener is gone.
            for await event in events {
                if case .stoppedListening = event { break }
            }
            let refused = await code { _ = try await server.connect(to: "/memory/999999") }
            #expect(refused == .closed)
            let error = await streamError {
                let late = try await client.newStream(to: peer, protocols: [Self.name])
                try await late.write([1])
                _ = try await late.read()
            }
            #expect(error?.streamCode == StreamErrorCode.shutdown.rawValue)
            slow.goOn.continuation.yield()
            #expect(try await stream.readToEnd(limit: 100) == Array("done".utf8))
            await shutdown
            while !client.connectedPeers.isEmpty { await Task.yield() }
            let again = await code { _ = try await client.connect(to: address) }
            #expect(again != nil)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func theLastBytesOfAHandlerArrive(_ network: TestNetwork) async throws {
        let answer = (0..<4 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let isWritten = Flag()
        // Little enough for the handler to be rid of it. On QUIC still more than the peer has given credit for.
        let rest = network == .memory ? 32768 : 200_000
        try await withTwoHosts(on: network, window: 65536) { server, client in
            await server.handle(Self.name) { stream in
                _ = try await stream.readToEnd(limit: 10)
                try await stream.write(answer)
                isWritten.set()
            }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [Self.name])
            try await stream.closeWrite()
            var read: [UInt8] = []
            while read.count < answer.count - rest, let bytes = try await stream.read(upTo: 4096) { read += bytes }
            while !isWritten.isSet { await Task.yield() }
            async let shutdown: Void = server.shutDown(within: .seconds(30))
            // The server has had time for everything: these are round trips.
            for _ in 0..<50 { _ = try? await client.ping(peer) }
            while let bytes = try await stream.read(upTo: 65536) { read += bytes }
            #expect(read == answer)
            await shutdown
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatDoesNotReadHoldsTheEndUpUntilTheDeadline(_ network: TestNetwork) async throws {
        let isWritten = Flag()
        try await withTwoHosts(on: network, .defaults, .defaults, window: 65536) { server, client in
            await server.handle(Self.name) { stream in
                try await stream.write([UInt8](repeating: 7, count: 200_000))
                isWritten.set()
            }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [Self.name])
            var events = client.events().makeAsyncIterator()
            // As above.
            let rest = network == .memory ? 32768 : 150_000
            var read = 0
            while read < 200_000 - rest, let bytes = try await stream.read(upTo: 4096) { read += bytes.count }
            while !isWritten.isSet { await Task.yield() }
            await server.shutDown(within: .milliseconds(200))
            while let event = await events.next() {
                if case .disconnected = event { break }
            }
            #expect(client.connectedPeers.isEmpty)
            stream.reset()
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func whatTakesTooLongIsCutOffWithTheShutdownCode(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            let slow = SlowHandler()
            await server.handle(Self.name, handler: slow.handler)
            let events = client.events()
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [Self.name])
            try await stream.write([1])
            await slow.waitUntilBegun()
            await server.shutDown(within: .milliseconds(50))
            for await event in events {
                guard case .disconnected(_, let reason) = event else { continue }
                #expect(reason.code == ConnectionErrorCode.shutdown.rawValue && reason.byPeer)
                break
            }
            await #expect(throws: NetStreamError.self) { _ = try await stream.readToEnd(limit: 100) }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aHostWithNothingToDoIsClosedAtOnce(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        // Nobody moves the clock: a wait for the deadline would never end.
        try await withTwoHosts(on: network, configuration) { server, client in
            let peer = try await client.connect(to: server.address)
            // Its own protocols are not waited for.
            let session = try await client.pingSession(with: peer)
            _ = try await session.ping()
            await server.shutDown(within: .seconds(1_000_000))
            await server.shutDown(within: .seconds(1_000_000))
            #expect(await code { try await server.run() } == .closed)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aStreamIsClosedWithItsScope(_ network: TestNetwork) async throws {
        struct Broken: Error {}
        try await withTwoHosts(on: network) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            var kept: NetStream?
            let answer = try await client.withStream(to: peer, protocols: [EchoProtocol.name]) { stream in
                kept = stream
                try await stream.write([1, 2, 3])
                return try await stream.readExactly(3)
            }
            #expect(answer == [1, 2, 3] && kept?.state == .closedBoth)
            await #expect(throws: Broken.self) {
                try await client.withStream(to: peer, protocols: [EchoProtocol.name]) { stream in
                    kept = stream
                    throw Broken()
                }
            }
            #expect(kept?.state == .reset)
        }
    }
}
