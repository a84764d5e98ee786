import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

@Suite(.timeLimit(.minutes(1))) struct PingTests {
    struct Samples: Decodable {
        struct Ping: Decodable {
            struct Example: Decodable {
                var request: String
                var response: String
            }
            var payloadLength: Int
            var example: Example
        }
        var ping: Ping
    }

    @Test(arguments: TestNetwork.allCases)
    func theSampleComesBackManyTimes(_ network: TestNetwork) async throws {
        let sample = try vectors("app_protocol_samples.json", as: Samples.self).ping
        #expect(PingProtocol.payloadSize == sample.payloadLength)
        try await withTwoHosts(on: network) { server, client in
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [PingProtocol.name])
            for round in 0..<50 {
                let request = bytes(hex: sample.example.request)
                // In one piece or in two.
                try await stream.write(Array(request.prefix(round % 32 + 1)))
                try await stream.write(Array(request.dropFirst(round % 32 + 1)))
                #expect(try await stream.readExactly(32) == bytes(hex: sample.example.response))
            }
            try await stream.closeWrite()
            #expect(try await stream.read() == nil)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatAnswersNoPingsAnyMoreIsSaidSo(_ network: TestNetwork) async throws {
        var silent = NegotiationTests.quiet
        silent.identify.pushesChanges = false
        try await withTwoHosts(on: network, silent, NegotiationTests.quiet) { server, client in
            let peer = try await client.connect(to: server.address)
            _ = try await client.identify(peer)
            await server.removeHandler(PingProtocol.name)
            #expect(client.peerStore.protocols(of: peer)?.contains(PingProtocol.name) == true)
            // Taken at its word first, and asked the second time.
            for _ in 0..<2 { #expect(await code { _ = try await client.ping(peer) } == .protocolsNotSupported) }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func pingsAreServedOnSoManyStreamsOnly(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        try await withTwoHosts(on: network, configuration) { server, client in
            let peer = try await client.connect(to: server.address)
            var sessions: [PingSession] = []
            for _ in 0..<2 {
                let session = try await client.pingSession(with: peer)
                _ = try await session.ping()
                sessions.append(session)
            }
            let third = try await client.newStream(to: peer, protocols: [PingProtocol.name])
            try await third.write([UInt8](repeating: 0, count: 32))
            let refused = Task { try await third.readExactly(32) }
            while third.state == .open {
                // The others go on all the while, and are never idle for long.
                for session in sessions { #expect(try await session.ping() > .zero) }
                clock.advance(by: .milliseconds(100))
            }
            let error = await #expect(throws: NetStreamError.self) { _ = try await refused.value }
            #expect(error?.streamCode == StreamErrorCode.resourceLimitExceeded.rawValue)
            // The others go on, and a free place is used again.
            for session in sessions { #expect(try await session.ping() > .zero) }
            await sessions[0].close()
            #expect(try await client.ping(peer) > .zero)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func anIdleStreamIsGivenUpAndReplaced(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        try await withTwoHosts(on: network, configuration, NegotiationTests.quiet) { server, client in
            let peer = try await client.connect(to: server.address)
            let session = try await client.pingSession(with: peer)
            #expect(try await session.ping() > .zero)
            let idle = try await client.newStream(to: peer, protocols: [PingProtocol.name])
            let payload = [UInt8](repeating: 1, count: PingProtocol.payloadSize)
            try await idle.write(payload)
            #expect(try await idle.readExactly(payload.count) == payload)
            let error = await #expect(throws: NetStreamError.self) {
                try await clock.ticking(by: .seconds(60)) { _ = try await idle.readExactly(1) }
            }
            #expect(error?.code == .reset && error?.byPeer == true)
            #expect(try await session.ping() > .zero)
            await session.close()
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatSendsAPingByteByByteEndsInTheDeadline(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        try await network.openHost(configuration) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let stream = try await peer.open(PingProtocol.name)
            let payload = [UInt8](repeating: 7, count: PingProtocol.payloadSize)
            // In two pieces within the time is fine, and begins another turn.
            try await stream.write(Array(payload.prefix(5)))
            clock.advance(by: .seconds(59))
            try await stream.write(Array(payload.dropFirst(5)))
            #expect(try await RawPeer.read(payload.count, from: stream) == payload)
            let connection = try #require(host.openConnection(to: peer.peerID))
            let before = connection.traffic.read
            for second in 1...6 {
                try await stream.write([UInt8(second)])
                while connection.traffic.read < before + UInt64(second) { await Task.yield() }
                // The turn began when the last one was answered, at the latest with the first byte.
                await clock.waitForSleepers()
                if second < 6 { clock.advance(by: .seconds(11)) }
            }
            clock.advance(by: .seconds(5))
            let reset = StreamFailureKind.reset(code: StreamErrorCode.none.rawValue, byPeer: true)
            #expect(await RawPeer.end(of: stream) == reset)
            while connection.streamCount > 0 { await Task.yield() }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func wrongAnswersAreSaidSo(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            await server.handle(PingProtocol.name) { stream in
                _ = try await stream.readExactly(32)
                try await stream.write([UInt8](repeating: 0, count: 32))
            }
            let peer = try await client.connect(to: server.address)
            #expect(await code { _ = try await client.ping(peer) } == .pingFailed)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func pingCanBeSwitchedOff(_ network: TestNetwork) async throws {
        var configuration = HostConfiguration()
        configuration.servesPing = false
        try await withTwoHosts(on: network, configuration) { server, client in
            let peer = try await client.connect(to: server.address)
            #expect(await code { _ = try await client.ping(peer) } == .protocolsNotSupported)
        }
    }
}
