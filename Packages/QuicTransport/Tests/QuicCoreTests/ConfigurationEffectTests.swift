import PeerID
import Testing

@testable import QuicCore

/// What settings do to connections, in memory and on virtual time.
@Suite struct ConfigurationEffectTests {
    /// A client, a server and the network between them. Both have the configuration.
    private func pair(
        latency: UInt64 = 10_000_000,
        _ change: (inout QuicConfiguration) -> Void
    ) throws -> (client: CoreNode, server: CoreNode, network: CoreNetwork) {
        var configuration = QuicConfiguration.defaults
        change(&configuration)
        try configuration.validate()
        let client = try CoreNode(port: 1001, seed: 31, configuration: configuration, accepts: false)
        let server = try CoreNode(port: 1002, seed: 32, configuration: configuration)
        return (client, server, CoreNetwork(latency: latency, client, server))
    }

    private func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }

    // MARK: timeouts

    @Test(arguments: [2, 7]) func aDialEndsWithTheTimeoutOfTheHandshake(limit: Int) throws {
        let (client, server, network) = try pair { $0.timeouts.handshake = .seconds(limit) }
        network.filter = { _ in nil }
        let start = network.now
        let dialed = try network.dial(from: client, to: server, expecting: nil)
        #expect(network.run(seconds: 60) { !dialed.isOpen })
        #expect(client.events(of: dialed).termination?.cause == .handshakeTimeout)
        #expect(client.events(of: dialed).termination?.error.code == .timeout)
        let elapsed = seconds(network.now - start)
        #expect(elapsed >= Double(limit) && elapsed < Double(limit) + 0.5)
    }

    @Test func aClosedConnectionIsKeptNoLongerThanTheTimeoutOfClosing() throws {
        // Three probe timeouts are some 150 ms here.
        var kept: [Double] = []
        for limit in [Duration.milliseconds(40), .seconds(10)] {
            let (client, server, network) = try pair { $0.timeouts.close = limit }
            let dialed = try network.dial(from: client, to: server, expecting: nil)
            network.run(seconds: 1)
            dialed.close(code: 0, reason: "", now: network.now)
            network.service(dialed, of: client)
            let start = network.now
            #expect(network.run(seconds: 60) { client.endpoint.connectionCount == 0 })
            kept.append(seconds(network.now - start))
        }
        #expect(kept[0] >= 0.04 && kept[0] < 0.045, "\(kept)")
        #expect(kept[1] > 0.08 && kept[1] < 1, "\(kept)")
    }

    @Test(arguments: [20, 100, 500])
    func theFirstPacketIsRepeatedAfterThreeTimesTheInitialRoundTrip(milliseconds: Int) throws {
        let (client, server, network) = try pair { $0.initialRoundTrip = .milliseconds(milliseconds) }
        var sent: [UInt64] = []
        network.filter = { packet in
            sent.append(packet.due)
            return nil
        }
        _ = try network.dial(from: client, to: server, expecting: nil)
        let first = sent.count
        network.run(seconds: 5) { sent.count > first }
        try #require(sent.count > first)
        let pause = seconds(sent[first] - sent[0]) * 1000
        #expect(abs(pause - 3 * Double(milliseconds)) <= 2, "\(pause) ms")
    }

    // MARK: flow control

    /// How many bytes arrive unread on `streams` streams after so much was read of the first one.
    private func unread(
        after read: Int,
        streams: Int = 1,
        _ change: @escaping (inout QuicConfiguration) -> Void
    ) throws -> Int {
        let (client, server, network) = try pair(latency: 20_000_000, change)
        let dialed = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 1) { client.events(of: dialed).isConfirmed }
        let ids = try (0..<streams).map { _ in try #require(try dialed.openStream()) }
        // The first one's bytes are read while it lasts.
        dialed.send([try #require(SendSegment(copying: [UInt8](repeating: 1, count: read)))], isEnd: false, on: ids[0])
        network.service(dialed, of: client)
        network.run(seconds: 60) { server.received[ids[0]]?.count == read }
        network.run(seconds: 1)
        server.consumes = false
        for id in ids {
            let segment = try #require(SendSegment(copying: [UInt8](repeating: 2, count: 8 << 20)))
            dialed.send([segment], isEnd: false, on: id)
        }
        network.service(dialed, of: client)
        network.run(seconds: 20)
        return server.received.values.reduce(0) { $0 + $1.count } - read
    }

    @Test func theWindowOfAStreamGrowsUpToItsLimit() throws {
        for limit in [256 << 10, 1 << 20] {
            let bytes = try unread(after: 6 << 20) { configuration in
                configuration.flowControl.streamWindow = 64 << 10
                configuration.flowControl.maxStreamWindow = limit
                configuration.streams.receiveHighWatermark = 64 << 10
                configuration.streams.receiveLowWatermark = 32 << 10
                configuration.flowControl.connectionWindow = 8 << 20
            }
            // Credit goes out in pieces: less than half a window of it may not have been given.
            #expect(bytes <= limit && bytes > limit / 2, "\(bytes)")
        }
    }

    @Test func theWindowOfAConnectionGrowsUpToItsLimit() throws {
        for limit in [256 << 10, 1 << 20] {
            let bytes = try unread(after: 6 << 20, streams: 4) { configuration in
                configuration.flowControl.streamWindow = 128 << 10
                configuration.flowControl.connectionWindow = 128 << 10
                configuration.flowControl.maxStreamWindow = min(limit, 512 << 10)
                configuration.streams.receiveHighWatermark = 64 << 10
                configuration.streams.receiveLowWatermark = 32 << 10
                configuration.flowControl.maxConnectionWindow = limit
            }
            #expect(bytes <= limit && bytes > limit / 2, "\(bytes)")
        }
    }

    @Test func withoutAutoTuningWindowsStay() throws {
        let bytes = try unread(after: 2 << 20) { $0.flowControl.autoTuning = false }
        let window = QuicConfiguration.defaults.flowControl.streamWindow
        #expect(bytes <= window && bytes > window / 2, "\(bytes)")
    }

    // MARK: congestion

    /// How much of the congestion window is left right after the first loss.
    private func windowLeft(after algorithm: QuicConfiguration.CongestionControl) throws -> Double {
        let (client, server, network) = try pair(latency: 20_000_000) { configuration in
            configuration.congestionControl = algorithm
            configuration.flowControl.streamWindow = 4 << 20
            configuration.flowControl.maxStreamWindow = 4 << 20
            configuration.flowControl.connectionWindow = 8 << 20
        }
        let dialed = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 1) { client.events(of: dialed).isConfirmed }
        network.run(seconds: 0.2)
        let stream = try #require(try dialed.openStream())
        let segment = try #require(SendSegment(copying: [UInt8](repeating: 1, count: 6 << 20)))
        dialed.send([segment], isEnd: true, on: stream)
        network.service(dialed, of: client)
        network.run(seconds: 0.25)
        var isLost = false
        let from = client.address
        network.filter = { packet in
            guard packet.from == from, packet.bytes.count > 1000, !isLost else { return packet }
            isLost = true
            return nil
        }
        var (before, after) = (dialed.pathStatistics.congestionWindow, UInt64.max)
        network.run(seconds: 0.2) {
            let window = dialed.pathStatistics.congestionWindow
            if dialed.pathStatistics.lostPackets == 0 {
                before = max(before, window)
            } else {
                after = min(after, window)
            }
            return false
        }
        #expect(isLost)
        #expect(dialed.pathStatistics.lostPackets == 1)
        #expect(network.run(seconds: 30) { server.ended.contains(stream) })
        return Double(after) / Double(before)
    }

    @Test func theCongestionControllersDifferInWhatTheyGiveUpForALoss() throws {
        let left = try QuicConfiguration.CongestionControl.allCases.map { ($0, try windowLeft(after: $0)) }
        for (algorithm, share) in left {
            switch algorithm {
            // Half and seven tenths (RFC 9002 §7.3.2, RFC 9438 §4.6) of a window that has grown a little in between.
            case .reno: #expect((0.45..<0.62).contains(share), "\(left)")
            case .cubic: #expect((0.62..<0.82).contains(share), "\(left)")
            // One loss says little about the bandwidth.
            case .bbr: #expect(share > 0.8, "\(left)")
            }
        }
    }
}
