import Logging
import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Streams whose protocol is proposed together with the first bytes.
@Suite(.timeLimit(.minutes(3))) struct LazyStreamTests {
    let opening = Multistream.frame(Multistream.header) + Multistream.frame(Array("/echo/1.0.0".utf8))

    /// A client that knows that the server echoes, over a connection with small windows.
    func withKnownEcho(
        on network: TestNetwork,
        window: Int = 4096,
        _ body: @escaping @Sendable (_ client: BasicHost, _ server: PeerID) async throws -> Void
    ) async throws {
        try await withTwoHosts(on: network, window: window) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            _ = try await client.identify(peer)
            #expect(client.peerStore.protocols(of: peer)?.contains(EchoProtocol.name) == true)
            try await withDeadline(.seconds(60)) { try await body(client, peer) }
        }
    }

    /// A stream that waits for the answer for as long as it takes: its clock stands still, whatever else the machine does.
    private func unhurried(on link: BarePair) async throws -> LazyNegotiatedStream {
        let base = try await link.near.openStream()
        return LazyNegotiatedStream(base, proposing: Array("/echo/1.0.0".utf8), clock: ManualClock()) { _ in }
    }

    @Test(arguments: TestNetwork.allCases, [512, 4096, 65536])
    func aBlockedWriteDoesNotHoldUpReads(_ network: TestNetwork, window: Int) async throws {
        try await withKnownEcho(on: network, window: window) { client, peer in
            let size = window * 128
            let stream = try await client.newStream(to: peer, protocols: [EchoProtocol.name])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await stream.write([UInt8](repeating: 5, count: size))
                    try await stream.closeWrite()
                }
                group.addTask {
                    var count = 0
                    while let bytes = try await stream.read() { count += bytes.count }
                    #expect(count == size)
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func readsMayComeBeforeWrites(_ network: TestNetwork) async throws {
        try await withKnownEcho(on: network) { client, peer in
            let stream = try await client.newStream(to: peer, protocols: [EchoProtocol.name])
            async let answer = stream.readExactly(3)
            for byte in 1...3 as ClosedRange<UInt8> { try await stream.write([byte]) }
            #expect(try await answer == [1, 2, 3])
            try await stream.close()
        }
    }

    // In memory only: a QUIC connection buffers more than an opening, which never has to wait there.
    @Test func aCancelledFirstReadOrWriteLeavesTheStreamWhole() async throws {
        // So small that the opening itself has to wait for the peer.
        let network = OpenNetwork(kind: .memory, window: 8)
        let link = try await BarePair(in: network)
        for isRead in [true, false] {
            let base = try await link.near.openStream()
            let stream = LazyNegotiatedStream(base, proposing: Array("/echo/1.0.0".utf8)) { _ in }
            let first = Task {
                if isRead { _ = try await stream.read(upTo: 10) } else { try await stream.write([1, 2]) }
            }
            // The first bytes are there: the opening is under way, and held up.
            let far = try await link.far.acceptStream()
            first.cancel()
            for _ in 0..<100 { await Task.yield() }
            var seen: [UInt8] = []
            let expected = opening + (isRead ? [] : [1, 2])
            while seen.count < expected.count, let bytes = try await far.read(upTo: 100) { seen += bytes }
            #expect(seen == expected)
            _ = await first.result
            // The stream goes on as if nothing had been.
            async let writing: Void = stream.write([3])
            #expect(try await far.read(upTo: 100) == [3])
            try await writing
            let answer = opening + [9]
            async let answering: Void = far.write(answer)
            #expect(try await stream.read(upTo: 10) == [9])
            try await answering
            stream.reset(code: .none)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func anAnswerThatNeverComesIsNotWaitedForForEver(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let clock = ManualClock()
            let link = try await BarePair(in: network)
            let base = try await link.near.openStream()
            let stream = LazyNegotiatedStream(
                base,
                proposing: Array("/echo/1.0.0".utf8),
                timeout: .seconds(30),
                clock: clock
            ) { _ in }
            try await stream.write([1])
            let far = try await link.far.acceptStream()
            // A drop now and then is no answer either.
            try await far.write(Array(opening.prefix(7)))
            let reading = Task { await code { _ = try await stream.read(upTo: 10) } }
            await clock.waitForSleepers()
            clock.advance(by: .seconds(29))
            try await far.write([opening[7]])
            clock.advance(by: .seconds(1))
            let result = try await withDeadline(.seconds(5)) {
                await withTaskCancellationHandler {
                    await reading.value
                } onCancel: {
                    reading.cancel()
                }
            }
            #expect(result == .negotiationFailed)
            #expect(await failure { while try await far.read(upTo: 100) != nil {} } == .failedNegotiation)
        }
    }

    /// A peer answers before it looks at what was sent. If it is asked to stop before, as by a close without a read, its answer
    /// fails, and some drop the stream then with all that came on it.
    @Test(arguments: TestNetwork.allCases, [true, false])
    func closingWithoutAReadWaitsForTheAnswer(_ kind: TestNetwork, isWhole: Bool) async throws {
        try await kind.open { network in
            let link = try await BarePair(in: network)
            let stream = try await unhurried(on: link)
            try await stream.write([1, 2, 3])
            let closing = Task {
                if isWhole { try await stream.close() } else { try await stream.closeRead() }
            }
            let far = try await link.far.acceptStream()
            var seen: [UInt8] = []
            while seen.count < opening.count + 3, let bytes = try await far.read(upTo: 100) { seen += bytes }
            #expect(seen == opening + [1, 2, 3])
            for _ in 0..<1000 { await Task.yield() }
            for byte in opening { try await far.write([byte]) }
            try await closing.value
        }
    }

    /// Cancelled in that wait, the close has asked the peer for nothing: its answer, and what it says behind it, still arrive.
    @Test(arguments: TestNetwork.allCases, [true, false])
    func aCloseThatIsCancelledBeforeTheAnswerStopsNobody(_ kind: TestNetwork, isWhole: Bool) async throws {
        try await kind.open { network in
            let link = try await BarePair(in: network)
            let base = try await unhurried(on: link)
            let stream = NetStream(base, connection: link.near)
            try stream.establish()
            try await stream.write([1, 2, 3])
            let closing = Task {
                await streamError { if isWhole { try await stream.close() } else { try await stream.closeRead() } }
            }
            let far = try await link.far.acceptStream()
            var seen: [UInt8] = []
            while seen.count < opening.count + 3, let bytes = try await far.read(upTo: 100) { seen += bytes }
            #expect(seen == opening + [1, 2, 3])
            // Once the end is here, the close waits for the answer.
            if isWhole { #expect(try await far.read(upTo: 100) == nil) }
            for _ in 0..<1000 { await Task.yield() }
            closing.cancel()
            #expect(await closing.value?.code == .cancelled)
            #expect(stream.state == (isWhole ? .closedWrite : .open))
            try await far.write(opening + [9])
            #expect(try await stream.read() == [9])
            if isWhole {
                #expect(await streamError { try await stream.write([4]) }?.code == .writeClosed)
            } else {
                try await stream.write([4])
                #expect(try await far.read(upTo: 100) == [4])
            }
            try await stream.close()
            #expect(stream.state == .closedBoth)
            #expect(try await far.read(upTo: 100) == nil)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func closingTellsThatThePeerDoesNotSpeakTheProtocolAnyMore(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let link = try await BarePair(in: network)
            let stream = LazyNegotiatedStream(try await link.near.openStream(), proposing: Array("/echo/1.0.0".utf8)) {
                _ in
            }
            try await stream.write([1, 2, 3])
            let closing = Task { await code { try await stream.close() } }
            let far = try await link.far.acceptStream()
            try await far.write(Multistream.frame(Multistream.header) + Multistream.frame(Array("na".utf8)))
            #expect(await closing.value == .protocolsNotSupported)
        }
    }

    /// What may come in place of an agreement.
    enum Disagreement: CaseIterable {
        case refusal, silence, nonsense, end, reset

        /// What it counts as.
        var cause: HostError.Code {
            switch self {
            case .refusal: .protocolsNotSupported
            case .silence: .timeout
            case .nonsense, .end: .negotiationFailed
            case .reset: .streamFailed
            }
        }
    }

    @Test(arguments: TestNetwork.allCases, Disagreement.allCases)
    func aDisagreementIsCountedAndLoggedOnce(_ kind: TestNetwork, _ disagreement: Disagreement) async throws {
        let (clock, metrics, log, key) = (ManualClock(), TestMetrics(), CapturedLog(), PrivateKey.ed25519())
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        configuration.metricsFactory = metrics
        try await kind.open { network in
            try await withHost(
                identity: key,
                transports: [network.transport(key)],
                listen: [kind.anywhere],
                configuration: configuration,
                logger: log.logger
            ) { host in
                let peer = try await RawPeer(in: network, dialing: host)
                host.peerStore.record(peer.speaking([EchoProtocol.name]), seenAt: peer.connection.localAddress)
                while host.connectedPeers.isEmpty { await Task.yield() }
                let stream = try await host.newStream(to: peer.peerID, protocols: [EchoProtocol.name])
                try await stream.write([1])
                let far = try await peer.connection.acceptStream()
                let reading = Task { await streamError { _ = try await stream.read() } }
                switch disagreement {
                case .refusal: try await far.write(RawPeer.opening("na"))
                case .nonsense: try await far.write(RawPeer.opening("/other"))
                case .end: try await far.closeWrite()
                case .reset: far.reset(code: .resourceLimitExceeded)
                case .silence:
                    await clock.waitForSleepers()
                    clock.advance(by: .seconds(30))
                }
                #expect(await reading.value != nil)
                #expect(await streamError { _ = try await stream.read() } != nil)
                stream.reset()
                let counters = metrics.counters(label: "libp2p_host_negotiations_failed")
                let cause = [("cause", "\(disagreement.cause)"), ("direction", "outbound")]
                #expect(counters.count == 1 && counters.first?.totalValue == 1)
                #expect(counters.first?.dimensions.sorted { $0 < $1 }.elementsEqual(cause, by: ==) == true)
                let lines = log.lines.filter { $0.message == "a negotiation failed" }
                #expect(lines.count == 1 && lines.first?.level == .debug)
                let logged = lines.first?.metadata
                #expect(logged?["stream"] == "\(stream.id)" && logged?["direction"] == "outbound")
                #expect(logged?["peer"] == "\(peer.peerID)" && logged?["error"]?.isEmpty == false)
                // Only a peer that says so does not speak it any more.
                let known = host.peerStore.protocols(of: peer.peerID)
                #expect(known == (disagreement == .refusal ? [] : [EchoProtocol.name]))
                withExtendedLifetime(far) {}
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func whatThisSideGivesUpIsNoDisagreement(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let link = try await BarePair(in: network)
            let failures = Count()
            for isReset in [false, true] {
                let base = try await link.near.openStream()
                let clock = ManualClock()
                let stream = LazyNegotiatedStream(base, proposing: Array("/echo/1.0.0".utf8), clock: clock) { _ in
                    failures.add()
                }
                try await stream.write([1])
                let far = try await link.far.acceptStream()
                let reading = Task { await failure { _ = try await stream.read(upTo: 10) } }
                // The deadline of the answer that it waits for.
                await clock.waitForSleepers()
                if isReset { stream.reset(code: .none) } else { reading.cancel() }
                #expect(await reading.value != nil)
                stream.reset(code: .none)
                withExtendedLifetime(far) {}
            }
            #expect(failures.value == 0)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func anAnswerMayTakeLongerThanOneReadOfTheTransport(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let transportClock = ManualClock()
            let link = try await BarePair(in: network)
            let base = TimingStream(try await link.near.openStream(), clock: transportClock, readTimeout: .seconds(5))
            let stream = LazyNegotiatedStream(base, proposing: Array("/echo/1.0.0".utf8)) { _ in }
            async let answer = stream.read(upTo: 10)
            for _ in 0..<3 {
                await transportClock.waitForSleepers()
                transportClock.advance(by: .seconds(5))
            }
            let far = try await link.far.acceptStream()
            try await far.write(opening + [4])
            #expect(try await answer == [4])
            stream.reset(code: .none)
        }
    }
}

/// A bare connection between two peers.
struct BarePair {
    let near: any MuxedConnection
    let far: any MuxedConnection

    init(in network: OpenNetwork) async throws {
        let listener = try await network.transport().listen(on: network.anywhere)
        let address = try #require(listener.addresses.first)
        async let accepted = listener.accept()
        near = try await network.transport().dial(address)
        far = try await accepted
    }
}
