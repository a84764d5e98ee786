import NetStream
import QuicCore
import Testing

@testable import QuicTransport

/// When what happened to a stream, as its statistics tell.
@Suite(.timeLimit(.minutes(1))) struct StreamTimelineTests {
    private let bench = MailboxBench()
    private var mailbox: StreamMailbox { bench.mailbox }
    private var timeline: QuicStreamTimeline { mailbox.statistics.timeline }

    private func advance(to time: UInt64) {
        bench.time.withLock { $0 = time }
    }

    /// Nanoseconds since the stream was opened, which was at 1.
    private func since(_ instant: SuspendingClock.Instant?) -> Duration? {
        instant.map { timeline.opened.duration(to: $0) }
    }

    @Test func aFreshStreamHasBeenOpenedAndNothingElse() {
        advance(to: 50)
        #expect(timeline.firstByteReceived == nil)
        #expect(timeline.firstByteSent == nil)
        #expect(timeline.reset == nil)
        #expect(timeline.closed == nil)
        #expect(timeline == timeline)
    }

    @Test func onlyTheFirstByteOfEachDirectionIsNoted() async throws {
        advance(to: 11)
        mailbox.deliver([], fin: false)
        #expect(timeline.firstByteReceived == nil)
        for time: UInt64 in [21, 31] {
            advance(to: time)
            mailbox.deliver([1], fin: false)
        }
        for time: UInt64 in [41, 51] {
            try await mailbox.write([1])
            advance(to: time)
            #expect(bench.take().bytes == [1])
        }
        #expect(since(timeline.firstByteReceived) == .nanoseconds(20))
        #expect(since(timeline.firstByteSent) == .nanoseconds(40))
        advance(to: 61)
        mailbox.streamClosed()
        #expect(since(timeline.closed) == .nanoseconds(60))
        #expect(timeline.reset == nil)
    }

    @Test func theEndWithoutBytesIsNoFirstByte() async throws {
        try await mailbox.closeWrite()
        #expect(bench.take().orders.isEnd)
        mailbox.deliver([], fin: true)
        #expect(timeline.firstByteSent == nil)
        #expect(timeline.firstByteReceived == nil)
    }

    @Test func theFirstResetCountsWhoeverItIsBy() {
        advance(to: 11)
        mailbox.peerStopped(code: 7)
        advance(to: 21)
        mailbox.peerReset(code: 8)
        mailbox.reset(code: 9)
        #expect(timeline.reset?.code == 7)
        #expect(timeline.reset?.byPeer == true)
        #expect(since(timeline.reset?.time) == .nanoseconds(10))
    }

    @Test func aResetOfAStreamThatIsOverIsNone() async throws {
        mailbox.deliver([], fin: true)
        try await mailbox.closeWrite()
        _ = bench.take()
        mailbox.reset(code: 9)
        mailbox.peerReset(code: 8)
        #expect(timeline.reset == nil)
    }

    @Test func aLostConnectionClosesTheStream() {
        advance(to: 31)
        mailbox.connectionFailed(.connectionClosed(code: 0, isApplication: true, byPeer: true, reason: ""))
        #expect(since(timeline.closed) == .nanoseconds(30))
        #expect(timeline.reset == nil)
    }

    @Test func overTheNetworkThingsHappenInTheirOrder() async throws {
        try await QuicPair.with { pair in
            let before = SuspendingClock.now
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
            try await other.write([2])
            #expect(try await stream.read() == [2])
            let timeline = stream.statistics.timeline
            let (sent, received) = (timeline.firstByteSent, timeline.firstByteReceived)
            #expect(before <= timeline.opened)
            #expect(timeline.opened <= (try #require(sent)))
            #expect(try #require(sent) <= (try #require(received)))
            #expect(try #require(received) <= SuspendingClock.now)
            #expect(timeline.closed == nil && timeline.reset == nil)

            other.reset(code: .garbageCollected)
            await #expect(throws: QuicError.self) { try await stream.read() }
            let reset = try #require(stream.statistics.timeline.reset)
            #expect(reset.code == StreamErrorCode.garbageCollected.rawValue && reset.byPeer)
            #expect(reset.time >= (try #require(received)))
            let own = try #require(other.statistics.timeline.reset)
            #expect(own.code == StreamErrorCode.garbageCollected.rawValue && !own.byPeer)
        }
    }
}
