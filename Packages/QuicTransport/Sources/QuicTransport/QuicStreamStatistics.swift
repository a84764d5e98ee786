internal import NIOCore

/// What one stream has carried, and when.
public struct QuicStreamStatistics: Sendable, Hashable {
    /// Bytes that arrived in order.
    public var bytesReceived: Int
    /// Bytes that arrived and were not read.
    public var bytesUnread: Int
    /// Bytes that were written.
    public var bytesWritten: Int
    /// Bytes that were written and not acknowledged by the peer: what the stream holds in memory.
    public var bytesUnacknowledged: Int
    /// When what happened.
    public var timeline: QuicStreamTimeline
}

/// When what happened to one stream. The difference of two instants is a `Duration`.
public struct QuicStreamTimeline: Sendable, Hashable {
    /// A half that was broken off.
    public struct Reset: Sendable, Hashable {
        /// When it became known here.
        public var time: SuspendingClock.Instant
        /// The application's code that came with it.
        public var code: UInt64
        /// Whether the peer did it, by a reset or by asking this side to stop (RFC 9000 §3.5).
        public var byPeer: Bool
    }

    /// When the stream was opened here, or the peer's first frame for it arrived.
    public var opened: SuspendingClock.Instant
    /// When the first byte arrived; `nil` before.
    public var firstByteReceived: SuspendingClock.Instant?
    /// When the first byte was handed to the connection to be sent; `nil` before.
    public var firstByteSent: SuspendingClock.Instant?
    /// The first reset of a half by either side; `nil` while there was none.
    public var reset: Reset?
    /// When both halves were over and the peer had everything, or when the connection ended; `nil` before.
    public var closed: SuspendingClock.Instant?

    init(_ times: StreamTimes) {
        opened = Self.instant(times.opened)
        firstByteReceived = times.firstReceived == 0 ? nil : Self.instant(times.firstReceived)
        firstByteSent = times.firstSent == 0 ? nil : Self.instant(times.firstSent)
        reset = times.reset.map { Reset(time: Self.instant($0.time), code: $0.code, byPeer: $0.byPeer) }
        closed = times.closed == 0 ? nil : Self.instant(times.closed)
    }

    /// One moment on both clocks. They advance together: both stand still while the machine sleeps.
    private static let origin = (instant: SuspendingClock.now, nanoseconds: StreamTimes.loopClock())

    private static func instant(_ nanoseconds: UInt64) -> SuspendingClock.Instant {
        origin.instant + .nanoseconds(Int64(clamping: nanoseconds) - Int64(clamping: origin.nanoseconds))
    }
}
