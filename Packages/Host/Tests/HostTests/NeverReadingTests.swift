import MetricsTestKit
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Peers that ask and never read the answers. The tests' clock stands still: no deadline of the host comes to its help.
@Suite(.timeLimit(.minutes(3)), .serialized) struct NeverReadingTests {
    /// The most bytes that a write adds to a buffer which has room for one.
    private static let block = 65536

    private var configuration: HostConfiguration {
        var configuration = NegotiationTests.quiet
        configuration.clock = ManualClock()
        return configuration
    }

    /// What a host may have read when nothing of its answers is: what is under way to the peer, what waits for that, what the
    /// handlers hold.
    private func mostRead(on kind: TestNetwork, streams: Int, window: Int) -> Int {
        switch kind {
        case .memory: streams * (window + Self.block)
        #if HOSTS_ON_QUIC
        // The host buffers as much before it travels.
        case .quic: streams * (2 * window + 2 * Self.block)
        #endif
        }
    }

    @Test(arguments: TestNetwork.allCases, [(EchoProtocol.name, 20), (PingProtocol.name, 2)])
    func answersThatAreNotReadHoldUpTheQuestions(_ kind: TestNetwork, _ flood: (name: String, streams: Int))
        async throws
    {
        let window = 65536
        let limits = configuration.limits
        let bound = mostRead(on: kind, streams: flood.streams, window: window)
        try await whileAnotherPings(on: kind, configuration, window: window, sendBuffer: window) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let (begun, written) = (Count(), Count())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<flood.streams {
                    group.addTask {
                        let end = await failure {
                            let stream = try await peer.open(saying: RawPeer.opening(flood.name))
                            begun.add()
                            while true {
                                try await stream.write([UInt8](repeating: 7, count: Self.block))
                                written.add()
                            }
                        }
                        // It is held up for good: until the connection ends, or the transport's patience with a write.
                        switch end {
                        case .connectionClosed, .timeout: break
                        default: Issue.record("a stream ended with \(String(describing: end))")
                        }
                    }
                }
                func hostRead() -> Int {
                    (host.openConnection(to: peer.peerID)?.traffic.read).map(Int.init) ?? 0
                }
                // A third peer is served until nothing has moved all along a hundred of its questions.
                try await network.host(listens: false) { third in
                    let stream = try await third.newStream(
                        to: try await third.connect(to: host.address),
                        protocols: [EchoProtocol.name]
                    )
                    var (seen, quiet) = (0, 0)
                    while quiet < 100 || begun.value < flood.streams, hostRead() <= bound {
                        try await stream.write([3])
                        #expect(try await stream.readExactly(1) == [3])
                        let now = hostRead() + written.value
                        (seen, quiet) = (now, now == seen ? quiet + 1 : 0)
                    }
                    try await stream.close()
                }
                #expect(1...bound ~= hostRead())
                let usage = host.resourceUsage(of: .peer(peer.peerID))
                #expect(usage.inboundStreams == flood.streams)
                #expect(usage.memory == limits.memoryPerConnection + flood.streams * limits.memoryPerStream)
                #expect(usage.memory <= limits.peer.memory)
                await peer.connection.close(code: .none, reason: "")
                try await group.waitForAll()
            }
        }
    }

    /// Each question is one stream. Nobody reads the answers and nobody ends the streams.
    @Test(arguments: TestNetwork.allCases, [512, 65536])
    func identifyAnswersThatAreNotReadTakeNoMoreStreamsThanAPeerMayHave(_ kind: TestNetwork, window: Int) async throws {
        let metrics = TestMetrics()
        var configuration = configuration
        configuration.metricsFactory = metrics
        configuration.limits.connection.inboundStreams = 50
        let limits = configuration.limits
        try await whileAnotherPings(on: kind, configuration, window: window) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let scope = ResourceScope.peer(peer.peerID)
            let asking = Task {
                await failure {
                    var streams: [any MuxedStream] = []
                    while true { streams.append(try await peer.open(saying: RawPeer.opening(IdentifyProtocol.name))) }
                }
            }
            var most = ResourceUsage()
            while metrics.counterTotal(label: "libp2p_host_streams_refused", dimensions: [("cause", "resourceLimit")])
                < 5
            {
                let now = host.resourceUsage(of: scope)
                most.inboundStreams = max(most.inboundStreams, now.inboundStreams)
                most.memory = max(most.memory, now.memory)
                try Task.checkCancellation()
                await Task.yield()
            }
            // None of them has ended, and none is one too many.
            #expect(most.inboundStreams <= 50)
            #expect(most.memory <= limits.memoryPerConnection + 50 * limits.memoryPerStream)
            #expect(host.resourceUsage(of: scope).inboundStreams == 50)
            await peer.connection.close(code: .none, reason: "")
            asking.cancel()
            _ = await asking.value
        }
    }

    /// A stream without a byte is none for the host, however many there are; and when one of them is used in the end, all
    /// those before it are no more than they were.
    @Test(arguments: TestNetwork.allCases)
    func streamsWithoutAByteCostNothing(_ kind: TestNetwork) async throws {
        try await whileAnotherPings(on: kind, configuration) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let opened = Count()
            let flood = Task {
                var streams: [any MuxedStream] = []
                do {
                    while true {
                        streams.append(try await peer.connection.openStream())
                        opened.add()
                    }
                } catch {
                    return streams
                }
            }
            // So many are granted; none of them is accepted, so there is no credit for more.
            while opened.value < (kind == .memory ? 256 : 100) {
                try Task.checkCancellation()
                await Task.yield()
            }
            for _ in 0..<1000 { await Task.yield() }
            #expect(opened.value == (kind == .memory ? 256 : 100))
            #expect(host.resourceUsage(of: .peer(peer.peerID)).inboundStreams == 0)
            flood.cancel()
            let last = try #require(await flood.value.last)
            try await last.write(RawPeer.opening(PingProtocol.name))
            let answer = try await RawPeer.read(RawPeer.opening(PingProtocol.name).count, from: last)
            #expect(answer == RawPeer.opening(PingProtocol.name))
            #expect(host.resourceUsage(of: .peer(peer.peerID)).inboundStreams == 1)
            await peer.connection.close(code: .none, reason: "")
        }
    }
}
