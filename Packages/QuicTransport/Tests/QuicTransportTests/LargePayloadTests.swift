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
            #expect(statistics.path.maxPayloadSize == size)
            // On average, acknowledgements among them, more than the largest datagram without this setting.
            #expect(statistics.traffic.bytesSent > statistics.traffic.datagramsSent * 1452)
        }
    }
}
