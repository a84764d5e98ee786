import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Peers that misbehave are contained, and others are served all the while.
@Suite(.timeLimit(.minutes(3))) struct MisbehaviourTests {
    private static let refused = StreamFailureKind.failedNegotiation

    /// Opens 10,000 streams and says one byte on each, which makes it known; it is the beginning of a header.
    ///
    /// - Returns: How that ended; `nil` when all were opened.
    private func flood(_ peer: RawPeer, onOpen: () -> Void = {}) async -> StreamFailureKind? {
        var streams: [any MuxedStream] = []
        let end = await failure {
            for _ in 0..<10_000 {
                streams.append(try await peer.open(saying: [19]))
                onOpen()
            }
        }
        guard end == nil else { return end }
        for stream in streams {
            let end = await RawPeer.end(of: stream)
            guard end == Self.refused else { return end }
        }
        return nil
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatOpensTenThousandStreamsAndSaysNothing(_ kind: TestNetwork) async throws {
        let metrics = TestMetrics()
        var configuration = NegotiationTests.quiet
        configuration.metricsFactory = metrics
        configuration.streams.negotiationTimeout = .milliseconds(20)
        configuration.streams.inboundNegotiations = 64
        let limits = configuration.limits
        try await whileAnotherPings(on: kind, configuration) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let isOver = Flag()
            async let flooding = {
                defer { isOver.set() }
                return await flood(peer)
            }()
            // All the while it has no more than its negotiations.
            var most = ResourceUsage()
            while !isOver.isSet {
                let now = host.resourceUsage(of: .peer(peer.peerID))
                most.inboundStreams = max(most.inboundStreams, now.inboundStreams)
                most.memory = max(most.memory, now.memory)
                await Task.yield()
            }
            #expect(1...64 ~= most.inboundStreams)
            #expect(most.memory <= limits.memoryPerConnection + 64 * limits.memoryPerStream)
            // Every one of them ran into its deadline. The transport let each of them in, and kept the connection.
            #expect(await flooding == nil)
            let given = metrics.counterTotal(
                label: "libp2p_host_negotiations_failed",
                dimensions: [("direction", "inbound"), ("cause", "timeout")]
            )
            #expect(given == 10_000)
            await peer.connection.close(code: .none, reason: "")
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func whatASilentPeerHoldsDoesNotGrowWithItsStreams(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        // Nobody is given up: everything that the host takes in stays.
        configuration.streams.negotiationTimeout = .seconds(1000)
        configuration.streams.inboundNegotiations = 16
        let limits = configuration.limits
        try await whileAnotherPings(on: kind, configuration) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let (opened, isOver) = (Count(), Flag())
            async let flooding = {
                defer { isOver.set() }
                return await flood(peer) { opened.add() }
            }()
            let scope = ResourceScope.peer(peer.peerID)
            while host.resourceUsage(of: scope).inboundStreams < 16 { await Task.yield() }
            // The transport gives it credit for more than the host takes in.
            while !isOver.isSet, opened.value < 100 { await Task.yield() }
            // A third peer is served in the meantime, a hundred times.
            try await network.host(listens: false) { third in
                let other = try await third.connect(to: host.address)
                for number in 0..<100 {
                    let stream = try await third.newStream(to: other, protocols: [EchoProtocol.name])
                    try await stream.write([UInt8(number)])
                    #expect(try await stream.readExactly(1) == [UInt8(number)])
                    try await stream.close()
                }
            }
            var expected = ResourceUsage()
            expected.inboundConnections = 1
            expected.inboundStreams = 16
            expected.memory = limits.memoryPerConnection + 16 * limits.memoryPerStream
            #expect(host.resourceUsage(of: scope) == expected)
            #expect(!isOver.isSet)
            await peer.connection.close(code: .none, reason: "")
            guard case .connectionClosed = await flooding else {
                Issue.record("the flood did not end with its connection")
                return
            }
            while host.resourceUsage(of: scope) != ResourceUsage() { await Task.yield() }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatIsSilentOccupiesOneNegotiationUntilItsDeadline(_ kind: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        configuration.streams.inboundNegotiations = 1
        try await kind.openHost(configuration) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let other = try await RawPeer(in: network, dialing: host)
            let silent = try await peer.open(saying: Array(RawPeer.line("/multistream/1.0.0").prefix(3)))
            await clock.waitForSleepers()
            // Its own next stream waits for the turn, another peer's does not.
            let next = try await peer.open(saying: RawPeer.opening(PingProtocol.name))
            _ = try await other.open(PingProtocol.name)
            clock.advance(by: .seconds(29))
            let connection = try #require(host.openConnection(to: peer.peerID))
            #expect(connection.streamCount == 1)
            clock.advance(by: .seconds(1))
            #expect(await RawPeer.end(of: silent) == Self.refused)
            let answer = try await RawPeer.read(RawPeer.opening(PingProtocol.name).count, from: next)
            #expect(answer == RawPeer.opening(PingProtocol.name))
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatProposesTenThousandProtocols(_ kind: TestNetwork) async throws {
        try await whileAnotherPings(on: kind, NegotiationTests.quiet) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let stream = try await peer.open(saying: RawPeer.line("/multistream/1.0.0"))
            let reading = Task { await RawPeer.end(of: stream) }
            let writing = await failure {
                for number in 0..<10_000 { try await stream.write(RawPeer.line("/nothing/\(number)")) }
            }
            // The transport may have buffered all of it before the refusal arrived.
            #expect(writing == nil || writing == Self.refused)
            #expect(await reading.value == Self.refused)
            // The connection is as good as before.
            _ = try await peer.open(PingProtocol.name)
            await peer.connection.close(code: .none, reason: "")
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatSendsAProtocolLineOfTenMebibytes(_ kind: TestNetwork) async throws {
        try await whileAnotherPings(on: kind, NegotiationTests.quiet) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let stream = try await peer.open(saying: RawPeer.line("/multistream/1.0.0"))
            var line = Varint.encode(10 << 20) + [UInt8](repeating: UInt8(ascii: "a"), count: 10 << 20)
            line[line.count - 1] = UInt8(ascii: "\n")
            // It is refused with its length: the rest is never taken.
            let whole = line
            #expect(await failure { try await stream.write(whole) } == Self.refused)
            #expect(await RawPeer.end(of: stream) == Self.refused)
            await peer.connection.close(code: .none, reason: "")
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatResetsEveryStream(_ kind: TestNetwork) async throws {
        try await whileAnotherPings(on: kind) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let resetting = Task {
                while true {
                    do { try await peer.connection.acceptStream().reset(code: .gated) } catch { return }
                }
            }
            for _ in 0..<20 {
                #expect(await code { _ = try await host.newStream(to: peer.peerID, protocols: ["/a"]) } != nil)
            }
            #expect(await code { _ = try await host.identify(peer.peerID) } != nil)
            for number in 0..<500 {
                let bytes = RawPeer.opening(EchoProtocol.name)
                try await peer.open(saying: Array(bytes.prefix(number % bytes.count + 1))).reset(code: .gated)
            }
            await peer.connection.close(code: .none, reason: "")
            await resetting.value
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatSendsPingsTooShortAndTooLong(_ kind: TestNetwork) async throws {
        try await whileAnotherPings(on: kind, NegotiationTests.quiet) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let violation = StreamFailureKind.reset(code: StreamErrorCode.protocolViolation.rawValue, byPeer: true)
            let short = try await peer.open(PingProtocol.name)
            try await short.write([UInt8](repeating: 1, count: 31))
            try await short.closeWrite()
            #expect(await RawPeer.end(of: short) == violation)
            // A long one is many, and a part that is never completed.
            let long = try await peer.open(PingProtocol.name)
            let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
            try await long.write(bytes)
            #expect(try await RawPeer.read(992, from: long) == Array(bytes.prefix(992)))
            try await long.closeWrite()
            #expect(await RawPeer.end(of: long) == violation)
            await peer.connection.close(code: .none, reason: "")
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatAnswersPingsShortLongAndWrong(_ kind: TestNetwork) async throws {
        try await whileAnotherPings(on: kind, NegotiationTests.quiet) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let answers: [(HostError.Code?, @Sendable ([UInt8]) -> [UInt8])] = [
                (.streamFailed, { Array($0.prefix(31)) }), (.streamFailed, { _ in [] }),
                (.pingFailed, { $0.map { $0 ^ 1 } }), (.pingFailed, { $0.dropLast() + [$0[31] ^ 1] }),
                // Too long an answer is a right one, and what follows belongs to nothing.
                (nil, { $0 + $0 }),
            ]
            for (expected, answer) in answers {
                async let pinging = code { _ = try await host.ping(peer.peerID) }
                let stream = try await peer.accept(PingProtocol.name)
                try await stream.write(answer(try await RawPeer.read(32, from: stream)))
                try? await stream.closeWrite()
                #expect(await pinging == expected)
                stream.reset(code: .none)
            }
            async let second = code {
                let session = try await host.pingSession(with: peer.peerID)
                _ = try await session.ping()
                _ = try await session.ping()
            }
            let stream = try await peer.accept(PingProtocol.name)
            try await stream.write(try await RawPeer.read(32, from: stream) + [UInt8](repeating: 0, count: 32))
            #expect(await second == .pingFailed)
            stream.reset(code: .none)
            await peer.connection.close(code: .none, reason: "")
        }
    }
}
