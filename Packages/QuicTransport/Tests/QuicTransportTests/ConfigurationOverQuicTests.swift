import Libp2pTLS
import Multiaddr
import NIOCore
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What settings do that concern tasks and sockets; QuicCoreTests have those of the connection.
@Suite(.timeLimit(.minutes(1))) struct ConfigurationOverQuicTests {
    private let loopback: Multiaddr = "/ip4/127.0.0.1/udp/0/quic-v1"
    private let short = Duration.milliseconds(60)

    private func configuration(_ change: (inout QuicConfiguration) -> Void) -> QuicConfiguration {
        var configuration = QuicConfiguration.defaults
        change(&configuration)
        return configuration
    }

    /// Expects that something ends in a timeout, not before `short` and long before the defaults.
    private func expectTimeout(
        _ code: QuicError.Code,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () async throws -> Void
    ) async {
        let start = ContinuousClock.now
        let error = await #expect(throws: QuicError.self, sourceLocation: sourceLocation) { try await body() }
        let elapsed = ContinuousClock.now - start
        #expect(error?.code == code, sourceLocation: sourceLocation)
        #expect(elapsed >= short && elapsed < .seconds(9), "\(elapsed)", sourceLocation: sourceLocation)
    }

    // MARK: deadlines of streams

    @Test func openingAReadingAndAcceptingEndInTheirDeadlines() async throws {
        let near = configuration { configuration in
            configuration.timeouts.streamOpen = short
            configuration.timeouts.streamRead = short
            configuration.timeouts.streamAccept = short
        }
        let far = configuration { configuration in
            configuration.streams.initialInboundCredit = 1
            configuration.streams.maxInbound = 1
        }
        try await QuicPair.with(server: far, client: near) { pair in
            let stream = try await pair.dialed.openQuicStream()
            await expectTimeout(.streamTimeout) { _ = try await pair.dialed.openQuicStream() }
            await expectTimeout(.streamTimeout) { _ = try await stream.read() }
            await expectTimeout(.timeout) { _ = try await pair.dialed.acceptQuicStream() }
            // The stream is as it was.
            try await stream.write([1])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
            try await other.write([2])
            // On a busy machine the answer takes longer than the deadline, which does no harm.
            var answer: [UInt8]?
            while answer == nil {
                do {
                    answer = try await stream.read()
                } catch let error as QuicError where error.code == .streamTimeout { continue }
            }
            #expect(answer == [2])
        }
    }

    @Test func aWriteEndsInItsDeadlineAndTheStreamStaysUsable() async throws {
        let near = configuration { configuration in
            configuration.timeouts.streamWrite = short
            configuration.streams.sendBufferHighWatermark = 32 << 10
        }
        try await QuicPair.with(client: near) { pair in
            let stream = try await pair.dialed.openQuicStream()
            let piece = [UInt8](repeating: 7, count: 16 << 10)
            await expectTimeout(.streamTimeout) { while true { try await stream.write(piece) } }
            let other = try await pair.accepted.acceptQuicStream()
            // Reading makes room again.
            async let read: Int = {
                var count = 0
                while let bytes = try await other.read() { count += bytes.count }
                return count
            }()
            while true {
                do {
                    try await stream.write(piece)
                    break
                } catch let error as QuicError where error.code == .streamTimeout { continue }
            }
            try await stream.closeWrite()
            #expect(try await read >= piece.count)
        }
    }

    @Test func aStreamThatCannotBeClosedInTimeIsReset() async throws {
        let near = configuration { configuration in
            configuration.timeouts.streamWrite = nil
            configuration.timeouts.streamClose = short
            configuration.streams.sendBufferHighWatermark = 32 << 10
        }
        try await QuicPair.with(client: near) { pair in
            let stream = try await pair.dialed.openQuicStream()
            let writer = Task { while true { try await stream.write([UInt8](repeating: 7, count: 16 << 10)) } }
            let other = try await pair.accepted.acceptQuicStream()
            // The writer stands when the window is full.
            let window = pair.accepted.configuration.flowControl.streamWindow
            while other.statistics.bytesReceived < window { _ = try await pair.accepted.ping() }
            _ = try await pair.dialed.ping()
            await expectTimeout(.streamTimeout) { try await stream.close() }
            await #expect(throws: QuicError.self) { try await writer.value }
            let error = await #expect(throws: QuicError.self) { while try await other.read() != nil {} }
            #expect(error?.code == .streamReset)
        }
    }

    // MARK: limits

    @Test func noMoreStreamsAreOpenAtOnceThanTheLimit() async throws {
        try await QuicPair.with(client: configuration { $0.streams.maxOutbound = 2 }) { pair in
            let first = try await pair.dialed.openQuicStream()
            _ = try await pair.dialed.openQuicStream()
            let error = await #expect(throws: QuicError.self) { try await pair.dialed.openQuicStream() }
            #expect(error?.code == .streamLimit)
            #expect(error?.message.contains("streams.maxOutbound") == true)
            first.reset(code: .none)
            let other = try await pair.accepted.acceptQuicStream()
            other.reset(code: .none)
            // There is room as soon as the stream is over on both sides.
            while true {
                do {
                    _ = try await pair.dialed.openQuicStream()
                    break
                } catch let error as QuicError where error.code == .streamLimit { _ = try await pair.dialed.ping() }
            }
        }
    }

    @Test func noMoreConnectionsWaitToBeAcceptedThanTheLimit() async throws {
        let settings = configuration { $0.endpoint.acceptQueueLimit = 2 }
        let server = try QuicTransport(identity: .ed25519(), configuration: settings)
        let client = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let first = try await client.dialQuic(listener.addresses[0])
        let second = try await client.dialQuic(listener.addresses[0])
        do {
            // The client may learn of it only after the handshake.
            let reason = await (try client.dialQuic(listener.addresses[0])).waitUntilClosed()
            #expect(reason.code == 0x1001 && reason.byPeer && reason.isApplication)
        } catch {
            #expect(error.quicCode == 0x1001 && error.isByPeer)
        }
        #expect(!first.isClosed && !second.isClosed)
        _ = try await listener.acceptConnection()
        // There is room for one more.
        let third = try await client.dialQuic(listener.addresses[0])
        _ = try await listener.acceptConnection()
        _ = try await listener.acceptConnection()
        #expect(!third.isClosed)
        await client.close()
        await server.close()
    }

    /// How many bytes arrive on a stream of which five eighths of the window were read.
    private func arrivals(high: Int, low: Int) async throws -> (before: Int, after: Int) {
        let far = configuration { configuration in
            configuration.flowControl.streamWindow = 64 << 10
            configuration.flowControl.maxStreamWindow = 64 << 10
            configuration.streams.receiveHighWatermark = high
            configuration.streams.receiveLowWatermark = low
        }
        return try await QuicPair.with(server: far) { pair in
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([UInt8](repeating: 1, count: 512 << 10))
            let other = try await pair.accepted.acceptQuicStream()
            while other.statistics.bytesReceived < 64 << 10 { _ = try await pair.accepted.ping() }
            var left = 40 << 10
            while left > 0, let bytes = try await other.read(upTo: min(left, 4 << 10)) { left -= bytes.count }
            // Credit would be with the peer after the first one, and its bytes here after the second.
            for _ in 0..<3 { _ = try await pair.accepted.ping() }
            let before = other.statistics.bytesReceived
            left = 24 << 10
            while left > 0, let bytes = try await other.read(upTo: min(left, 4 << 10)) { left -= bytes.count }
            for _ in 0..<3 { _ = try await pair.accepted.ping() }
            return (before, other.statistics.bytesReceived)
        }
    }

    @Test func aReaderThatIsBehindEarnsNoCreditUntilItHasCaughtUp() async throws {
        // 24 KiB are unread after the first reads.
        let behind = try await arrivals(high: 16 << 10, low: 8 << 10)
        #expect(behind.before == 64 << 10)
        #expect(behind.after > 64 << 10)
        let caughtUp = try await arrivals(high: 32 << 10, low: 30 << 10)
        #expect(caughtUp.before > 64 << 10)
        let never = try await arrivals(high: 64 << 10, low: 8 << 10)
        #expect(never.before > 64 << 10)
    }

    // MARK: the rest

    @Test func theApplicationProtocolIsTheOneConfigured() async throws {
        let settings = configuration { $0.alpn = ["other/1", "libp2p"] }
        try await QuicPair.with(server: settings, client: settings) { pair in
            #expect(pair.dialed.alpn == "other/1")
            #expect(pair.accepted.alpn == "other/1")
        }
        try await QuicPair.with(server: settings) { pair in
            #expect(pair.dialed.alpn == "libp2p")
            let stranger = try QuicTransport(identity: .ed25519(), configuration: configuration { $0.alpn = ["more"] })
            let error = await #expect(throws: QuicError.self) {
                try await stranger.dialQuic(pair.listener.addresses[0])
            }
            // no_application_protocol
            #expect(error?.quicCode == 0x178)
            await stranger.close()
        }
    }

    private func bufferSizes(_ change: (inout QuicConfiguration.UDP) -> Void) async throws -> (
        send: Int32, receive: Int32
    ) {
        let settings = configuration { change(&$0.udp) }
        let transport = try QuicTransport(identity: .ed25519(), configuration: settings)
        let loop = try await transport.listenQuic(on: loopback).loops[0]
        let socket = try await loop.eventLoop.submit { loop.value.socket.socket }.get()
        func size(_ option: Int32) throws -> Int32 {
            var (value, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
            try #require(getsockopt(try #require(socket).descriptor, SOL_SOCKET, option, &value, &length) == 0)
            return value
        }
        let sizes = (try size(SO_SNDBUF), try size(SO_RCVBUF))
        await transport.close()
        return sizes
    }

    @Test func theSocketHasBuffersOfTheSizesAskedFor() async throws {
        let small = try await bufferSizes { udp in
            udp.sendBufferSize = 20_000
            udp.receiveBufferSize = 30_000
        }
        // Linux doubles what it is told.
        #expect([20_000, 40_000].contains(small.send))
        #expect([30_000, 60_000].contains(small.receive))
        let system = try await bufferSizes { udp in
            udp.sendBufferSize = nil
            udp.receiveBufferSize = nil
        }
        #expect(system.send != small.send)
        #expect(system.receive != small.receive)
    }

    // MARK: destinations of no use

    @Test func anUnreachableDestinationFailsThatDialAndNothingElse() async throws {
        // Without a route the kernel says so at once; with one nobody answers (RFC 3849).
        var hints = sockaddr_in6()
        hints.sin6_family = sa_family_t(AF_INET6)
        hints.sin6_port = 4001
        inet_pton(AF_INET6, "2001:db8::1", &hints.sin6_addr)
        let probe = socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        let isRouted = withUnsafePointer(to: &hints) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(probe, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
            }
        }
        close(probe)
        try await QuicPair.with(client: configuration { $0.timeouts.dial = .seconds(5) }) { pair in
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1])
            let other = try await pair.accepted.acceptQuicStream()
            let unreachable = await #expect(throws: QuicError.self) {
                try await pair.client.dialQuic("/ip6/2001:db8::1/udp/4001/quic-v1")
            }
            #expect(unreachable?.code == (isRouted ? .timeout : .dial))
            // "This network" (RFC 1122 §3.2.1.3), and a link-local address without its link.
            for address: Multiaddr in ["/ip4/0.0.0.1/udp/4001/quic-v1", "/ip6/fe80::1/udp/4001/quic-v1"] {
                let error = await #expect(throws: QuicError.self) { try await pair.client.dialQuic(address) }
                #expect([.dial, .timeout].contains(error?.code), "\(address) \(error?.description ?? "")")
            }
            // The same socket goes on, with its connection and with others.
            try await stream.write([2])
            #expect(try await other.read(upTo: 1) == [1])
            #expect(try await other.read() == [2])
            var again: QuicConnection?
            while again == nil { again = try? await pair.client.dialQuic(pair.listener.addresses[0]) }
            #expect(again?.localAddress == pair.dialed.localAddress)
        }
    }
}
