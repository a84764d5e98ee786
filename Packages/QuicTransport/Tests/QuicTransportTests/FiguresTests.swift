import Libp2pTLS
import Multiaddr
import NIOCore
import NIOPosix
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

/// The figures and properties that transports and connections show.
@Suite(.timeLimit(.minutes(1))) struct FiguresTests {
    private let loopback: Multiaddr = "/ip4/127.0.0.1/udp/0/quic-v1"

    /// An Initial of a version that nobody speaks.
    private func unknownVersion(size: Int) -> [UInt8] {
        let header: [UInt8] = [0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1]
        return header + [UInt8](repeating: 0, count: size - header.count)
    }

    @Test func datagramsOfStrangersAreCountedByWhatBecameOfThem() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let port = try #require(listener.addresses[0].quicEndpoint?.port)
        let stranger = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let datagrams: [[UInt8]] = [
            [0xc0], [0xc0, 0, 0, 0, 1, 40],  // headers cut short
            unknownVersion(size: 100),  // too small to be answered
            unknownVersion(size: 1200), unknownVersion(size: 1200),
            [0x40] + [UInt8](repeating: 1, count: 20),  // of no connection, and too small for a reset
        ]
        let target = try SocketAddress(ipAddress: "127.0.0.1", port: Int(port))
        for datagram in datagrams {
            try await stranger.writeAndFlush(
                AddressedEnvelope(remoteAddress: target, data: ByteBuffer(bytes: datagram))
            ).get()
        }
        while await listener.statistics().packetsReceived < datagrams.count { await Task.yield() }
        let counts = await listener.statistics()
        #expect(counts.invalidPackets == 2)
        #expect(counts.dropped == 4)
        #expect(counts.versionNegotiations == 2)
        #expect(counts.packetsReceived == 6)
        #expect(counts.bytesReceived == UInt64(datagrams.reduce(0) { $0 + $1.count }))
        #expect(counts.packetsSent == 2)
        #expect(counts.active == 0 && counts.pending == 0 && counts.accepted == 0 && counts.rejected == 0)
        #expect(counts.fallbackRoutings == 0)
        #expect(await server.statistics() == counts)
        try await stranger.close()
        await server.close()
    }

    @Test func thoseWhoAreTurnedAwayAreCounted() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.maxConnections = 1
        let server = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let client = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let connection = try await client.dialQuic(listener.addresses[0])
        await #expect(throws: QuicError.self) { try await client.dialQuic(listener.addresses[0]) }
        let counts = await server.statistics()
        // A client that is not answered soon asks again.
        #expect(counts.rejected >= 1)
        #expect(counts.accepted == 1)
        #expect(await client.statistics().dialed == 2)
        #expect(!connection.isClosed)
        await client.close()
        await server.close()
    }

    @Test func aStatelessResetIsRoutedByItsAddress() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.statelessResetKey = [UInt8](repeating: 5, count: 32)
        let identity = PrivateKey.ed25519()
        let server = try QuicTransport(identity: identity, configuration: configuration)
        let client = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let address = listener.addresses[0]
        let connection = try await client.dialQuic(address)
        // The server vanishes without a word, and another one is there in its place.
        let loop = listener.loops[0]
        try await loop.eventLoop.submit {
            for driver in loop.value.drivers.values { driver.core.abandon() }
            loop.value.closeSocket()
        }.get()
        let again = try QuicTransport(identity: identity, configuration: configuration)
        _ = try await again.listenQuic(on: address)
        // The answer may be there before the write returns, and even before the stream is open.
        let stream = try? await connection.openQuicStream()
        try? await stream?.write([UInt8](repeating: 1, count: 200))
        let reason = await connection.waitUntilClosed()
        #expect((reason.cause as? QuicError)?.code == .statelessReset)
        let counts = await client.statistics()
        #expect(counts.fallbackRoutings == 1)
        #expect(counts.statelessResetsReceived == 1)
        await client.close()
        await again.close()
        await server.close()
    }

    @Test func aConnectionKnowsItsPathAndItsIDs() async throws {
        try await QuicPair.with { pair in
            let stream = try await pair.dialed.openQuicStream()
            let start = try #require(await pair.dialed.statistics())
            try await stream.write([UInt8](repeating: 1, count: 300_000))
            let accepted = try await pair.accepted.acceptQuicStream()
            var count = 0
            while count < 300_000, let bytes = try await accepted.read() { count += bytes.count }
            _ = try await pair.dialed.ping()
            let end = try #require(await pair.dialed.statistics())
            // Slow start: the window has grown by what was acknowledged.
            #expect(start.path.congestionWindow >= 10 * 1200)
            #expect(end.path.congestionWindow > start.path.congestionWindow)
            #expect(end.path.latestRoundTrip > .zero)
            #expect(end.path.minimumRoundTrip > .zero)
            #expect(end.path.minimumRoundTrip <= end.path.latestRoundTrip)
            #expect(end.path.minimumRoundTrip <= end.path.smoothedRoundTrip)
            #expect(end.traffic.bytesSent > 300_000)
            #expect(end.connectionIDs.issued >= 1)
        }
    }

    @Test(.enabled(if: QuicVersion.libraryVersion.hasPrefix("1."))) func aMoveRetiresConnectionIDs() async throws {
        try await QuicPair.with { pair in
            let before = try #require(await pair.accepted.statistics()).connectionIDs
            try await pair.dialed.migrate()
            while try #require(await pair.accepted.statistics()).connectionIDs.retired == before.retired {
                _ = try await pair.dialed.ping()
            }
            let after = try #require(await pair.accepted.statistics()).connectionIDs
            #expect(after.retired > before.retired)
            // A new one in the place of each that is gone.
            #expect(after.issued - after.retired == before.issued - before.retired)
            #expect(try #require(await pair.dialed.statistics()).connectionIDs.changes >= 1)
        }
    }

    @Test func aConnectionShowsWhatItsHandshakeCameTo() async throws {
        try await QuicPair.with { pair in
            for (connection, peer) in [
                (pair.dialed, pair.server.localPeer), (pair.accepted, pair.client.localPeer),
            ] {
                #expect(connection.cipherSuite == CipherSuite.aes128.rawValue)
                let verified = try CertificateVerifier.verify(
                    certificateChain: [connection.peerCertificate],
                    at: TLSConfiguration.systemTime()
                )
                #expect(verified.peerID == peer)
                #expect(verified.publicKey == connection.remotePublicKey)
                #expect(!connection.isResumed)
            }
            #expect(pair.dialed.peerCertificate != pair.accepted.peerCertificate)
        }
    }

    @Test func theSequenceOfInboundStreamsEndsWithTheConnection() async throws {
        try await QuicPair.with { pair in
            for byte in UInt8(0)..<5 {
                let stream = try await pair.dialed.openQuicStream()
                try await stream.write([byte])
                try await stream.closeWrite()
            }
            var bytes: [UInt8] = []
            for try await stream in pair.accepted.inboundStreams {
                bytes += try await stream.read() ?? []
                if bytes.count == 5 { await pair.dialed.close(code: .none, reason: "") }
            }
            #expect(bytes == [0, 1, 2, 3, 4])
            #expect(pair.accepted.isClosed)
        }
    }

    @Test func theTransportSaysWhichAddressesItServes() async throws {
        let transport = try QuicTransport(identity: .ed25519())
        #expect(transport.protocols == ["quic-v1"])
        // Before the transports that are only a fallback.
        #expect(transport.listenOrder == 1)
        let peer = transport.localPeer
        for address: Multiaddr in ["/ip4/0.0.0.0/udp/4001/quic-v1", "/ip6/::/udp/0/quic-v1"] {
            #expect(transport.canListen(on: address), "\(address)")
            #expect(transport.canDial(address.withPeerID(peer)), "\(address)")
        }
        #expect(transport.canDial("/dns4/example.com/udp/4001/quic-v1"))
        for address: Multiaddr in [
            "/dns4/example.com/udp/4001/quic-v1", "/ip4/127.0.0.1/udp/4001/quic", "/ip4/127.0.0.1/tcp/4001",
            "/ip4/127.0.0.1/udp/4001/quic-v1/webtransport", "/ip4/127.0.0.1/udp/4001",
        ] {
            #expect(!transport.canListen(on: address), "\(address)")
        }
        await transport.close()
    }
}
