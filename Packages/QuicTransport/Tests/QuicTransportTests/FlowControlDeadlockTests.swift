import NetStream
import QuicCore
import Testing

@testable import QuicTransport

/// Two that only write, and how a write that ends in its deadline tells.
@Suite(.timeLimit(.minutes(1))) struct FlowControlDeadlockTests {
    private let bench = MailboxBench(window: 1000, highWater: 1000, lowWater: 400)
    private var mailbox: StreamMailbox { bench.mailbox }

    /// The code that a write ends with whose deadline passes while so many bytes wait to be read.
    private func lateWrite(unread: Int, ended: Bool = false) async -> QuicError.Code? {
        mailbox.deliver([UInt8](repeating: 1, count: unread), fin: ended)
        async let late = code { try await mailbox.write([UInt8](repeating: 2, count: 1200), timeout: .seconds(1)) }
        await bench.timers.armed(1)
        bench.timers.fireAll()
        return await late
    }

    @Test func aWholeWindowUnreadMakesItADeadlock() async throws {
        #expect(await lateWrite(unread: 1000) == .flowControlDeadlock)
        // The stream is as it was: whoever reads can go on.
        #expect(try await mailbox.read(upTo: 2000)?.count == 1000)
        #expect(bench.take().bytes.count == 1000)
        mailbox.freed(bytes: 1000)
        try await mailbox.write([9])
        #expect(bench.take().bytes == [9])
    }

    @Test func whereThePeerCanStillSendItIsATimeout() async {
        #expect(await lateWrite(unread: 999) == .streamTimeout)
    }

    @Test func whereThePeerHasEndedItIsATimeout() async {
        #expect(await lateWrite(unread: 1000, ended: true) == .streamTimeout)
    }

    @Test func overTheNetworkBothSidesAreTold() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.flowControl.streamWindow = 16 << 10
        configuration.flowControl.maxStreamWindow = 16 << 10
        configuration.streams.receiveHighWatermark = 16 << 10
        configuration.streams.receiveLowWatermark = 4 << 10
        configuration.streams.sendBufferHighWatermark = 32 << 10
        configuration.timeouts.streamWrite = .seconds(2)
        try await QuicPair.with(server: configuration, client: configuration) { pair in
            let near = try await pair.dialed.openQuicStream()
            try await near.write([1])
            let far = try await pair.accepted.acceptQuicStream()
            let much = [UInt8](repeating: 7, count: 100_000)
            async let first = code { try await near.write(much) }
            async let second = code { try await far.write(much) }
            #expect(await first == .flowControlDeadlock)
            #expect(await second == .flowControlDeadlock)
            #expect(await code { _ = try await near.read() } == nil)
        }
    }
}
