import NIOCore
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

/// Datagrams, pings and figures as tasks see them.
@Suite(.timeLimit(.minutes(1))) struct ConnectionFeatureTests {
    private var takesDatagrams: QuicConfiguration {
        var configuration = QuicConfiguration.defaults
        configuration.maxDatagramFrameSize = 65_535
        configuration.maxQueuedDatagrams = 4
        return configuration
    }

    @Test func datagramsArriveAndTheOldestGiveWay() async throws {
        try await QuicPair.with(server: takesDatagrams, client: takesDatagrams) { pair in
            for number in 0..<10 { try await pair.dialed.sendDatagram([UInt8(number)]) }
            // An answer to a ping that was sent behind them says that they are there.
            _ = try await pair.dialed.ping()
            let counts = try #require(await pair.accepted.statistics())
            #expect(counts.datagrams.received == 10)
            #expect(counts.unreadDatagrams == 6)
            var read: [[UInt8]] = []
            for await datagram in pair.accepted.datagrams {
                read.append(datagram)
                if read.count == 4 { break }
            }
            #expect(read == [[6], [7], [8], [9]])
        }
    }

    @Test func aPeerThatTakesNoDatagramsIsNotSentAny() async throws {
        try await QuicPair.with(server: .defaults, client: takesDatagrams) { pair in
            let error = await #expect(throws: QuicError.self) { try await pair.dialed.sendDatagram([1]) }
            #expect(error?.code == .datagramUnsupported)
            #expect(await pair.dialed.statistics()?.maxDatagramSize == 0)
        }
    }

    @Test func theSequenceOfDatagramsEndsWithTheConnection() async throws {
        try await QuicPair.with(server: takesDatagrams, client: takesDatagrams) { pair in
            await pair.dialed.close(code: .none, reason: "")
            for await _ in pair.dialed.datagrams {}
            let error = await #expect(throws: QuicError.self) { try await pair.dialed.sendDatagram([1]) }
            #expect(error?.code == .connectionClosed)
        }
    }

    @Test func aPingTakesARoundTrip() async throws {
        try await QuicPair.with { pair in
            #expect(try await pair.dialed.ping() > .zero)
            #expect(try await pair.accepted.ping() > .zero)
            try await pair.dialed.updateKeys()
            #expect(try await pair.dialed.ping() > .zero)
            await pair.dialed.close(code: .none, reason: "")
            let error = await #expect(throws: QuicError.self) { try await pair.dialed.ping() }
            #expect(error?.code == .connectionClosed)
        }
    }

    @Test func aCancelledPingEnds() async throws {
        try await QuicPair.with { pair in
            // The other end goes away without a word: nothing is answered any more.
            let driver = pair.accepted.driver
            let eventLoop = pair.accepted.eventLoop
            try await eventLoop.submit { driver.value.endpoint.closeSocket() }.get()
            let task = Task { try await pair.dialed.ping(timeout: .seconds(50)) }
            task.cancel()
            let error = await #expect(throws: QuicError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            let late = await #expect(throws: QuicError.self) { try await pair.dialed.ping(timeout: .nanoseconds(1)) }
            #expect(late?.code == .timeout)
        }
    }

    @Test func waitingForTheEndIsOverWhenTheTaskIsCancelled() async throws {
        try await QuicPair.with { pair in
            let task = Task { await pair.dialed.waitUntilClosed() }
            task.cancel()
            let reason = await task.value
            #expect((reason.cause as? QuicError)?.code == .cancelled)
            #expect(!pair.dialed.isClosed)
            // And one that is not cancelled hears of the end.
            async let end = pair.accepted.waitUntilClosed()
            await pair.dialed.close(code: .shutdown, reason: "done")
            #expect(await end.code == ConnectionErrorCode.shutdown.rawValue)
        }
    }

    @Test func draftVersionsAreRefusedWhenTheTransportIsMade() {
        var configuration = QuicConfiguration.defaults
        configuration.versions = [.v1, .draft29]
        let error = #expect(throws: QuicError.self) {
            try QuicTransport(identity: .ed25519(), configuration: configuration)
        }
        #expect(error?.code == .unsupportedVersion)
        #expect(error?.message.contains(QuicVersion.libraryVersion) == true)
    }
}
