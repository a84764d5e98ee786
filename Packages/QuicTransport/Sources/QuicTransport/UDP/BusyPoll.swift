import NIOCore

/// How long a socket goes on being looked at after its last datagram, before its event loop sleeps (see
/// `QuicConfiguration.UDP.busyPoll`).
///
/// The state alone: whoever owns the socket looks at it, in one task of the loop after the other, for as long as
/// ``goesOn(now:)``. Timers and other tasks of the loop have their turns in between.
///
/// SwiftNIO looks after the other sockets of a loop only when no task is left to run, and here the next look always is. So
/// polling goes on for a quarter of a millisecond, or the window where that is longer, from when the loop was last known to have
/// looked after its sockets. It is known to have when it reads from this one by itself, and taken to have when polling has
/// rested for twice that time.
struct BusyPoll {
    private let window: TimeAmount
    private let longest: TimeAmount
    /// When the loop looked after its sockets, as far as it is known.
    private var selected = NIODeadline.uptimeNanoseconds(0)
    /// When a datagram came or went.
    private var last = NIODeadline.uptimeNanoseconds(0)
    private var lastLook = NIODeadline.uptimeNanoseconds(0)
    private var isUnderway = false

    private static let longest = TimeAmount.microseconds(250)

    /// Returns `nil` where nothing is to be polled.
    init?(window: Duration) {
        guard window > .zero else { return nil }
        self.window = TimeAmount(window)
        longest = max(self.window, Self.longest)
    }

    /// The loop has looked after its sockets, and found this one readable.
    mutating func loopHasSelected(now: NIODeadline) {
        selected = now
    }

    /// A datagram arrived or left: the answer, or the next one, may follow. True where polling has to be started.
    mutating func extend(now: NIODeadline) -> Bool {
        last = now
        guard !isUnderway else { return false }
        if now >= lastLook + longest + longest { selected = now }
        isUnderway = now < selected + longest
        return isUnderway
    }

    /// Whether to look once more. Once this is false polling has ended.
    mutating func goesOn(now: NIODeadline) -> Bool {
        lastLook = now
        isUnderway = now < last + window && now < selected + longest
        return isUnderway
    }
}
