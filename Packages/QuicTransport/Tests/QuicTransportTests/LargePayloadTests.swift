import NetStream
import QuicCore
import Testing

@testable import QuicTransport

/// Datagrams above Ethernet's size, over the loopback, which carries them.
@Suite(.timeLimit(.minutes(2))) struct LargePayloadTests {
    @Test(arguments: [(9000, true), (9000, false), (65_000, true), (65_000, false)])
    func aTransferOverLargeDatagramsArrives(size: Int, offloads: Bool) async throws {
        var configuration = QuicConfiguration.defaults
        configuration.udp.maxPayloadSize = size
        // The one way to large datagrams that every version of the library has.
        configuration.udp.initialPayloadSize = size
        configuration.udp.segmentationOffload = offloads
        configuration.udp.receiveOffload = offloads
        // A machine that stands still for a quarter of a second looks like a path that carries less: that one is tried again.
        for attempt in 1...3 {
            let reductions = try await transfer(configuration, size: size, isLast: attempt == 3)
            if reductions == 0 { return }
        }
    }

    /// - Returns: How often the path seemed to carry less.
    private func transfer(_ configuration: QuicConfiguration, size: Int, isLast: Bool) async throws -> UInt64 {
        try await QuicPair.with(server: configuration, client: configuration) { pair in
            let bytes = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            let stream = try await pair.dialed.openQuicStream()
            async let sent: Void = {
                try await stream.write(bytes)
                try await stream.closeWrite()
            }()
            let other = try await pair.accepted.acceptQuicStream()
            var arrived: [UInt8] = []
            while let piece = try await other.read(upTo: 1 << 20) { arrived += piece }
            try await sent
            #expect(arrived == bytes)
            let statistics = try #require(await pair.dialed.statistics())
            let reductions = statistics.path.payloadSizeReductions
            guard reductions == 0 || isLast else { return reductions }
            #expect(statistics.path.maxPayloadSize == size)
            // On average, acknowledgements among them, more than the largest datagram without this setting.
            #expect(statistics.traffic.bytesSent > statistics.traffic.datagramsSent * 1452)
            return reductions
        }
    }
}
