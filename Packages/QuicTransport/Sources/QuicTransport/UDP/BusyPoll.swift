import NIOCore

/// How long a socket goes on being looked at after its last datagram, before its event loop sleeps (see
/// `QuicConfiguration.UDP.busyPoll`).
///
/// The state alone: whoever owns the socket looks at it, in one task of the loop after the other, for as long as
/// ``goesOn(now:)``. Timers and other tasks of the loop have their turns in between.
struct BusyPoll {
    private let window: TimeAmount
    private let longest: TimeAmount
    private var begin = NIODeadline.uptimeNanoseconds(0)
    private var last = NIODeadline.uptimeNanoseconds(0)
    private var isUnderway = false

    /// SwiftNIO looks after the other sockets of a loop only when no task is left to run: while datagrams keep coming there
    /// would always be the next look. So it ends after this time, or after the window where that is longer.
    private static let longest = TimeAmount.microseconds(500)

    /// Returns `nil` where nothing is to be polled.
    init?(window: Duration) {
        guard window > .zero else { return nil }
        self.window = TimeAmount(window)
        longest = max(self.window, Self.longest)
    }

    /// A datagram arrived or left: the answer, or the next one, may follow. True where polling has to be started.
    mutating func extend(now: NIODeadline) -> Bool {
        last = now
        guard !isUnderway else { return false }
        (begin, isUnderway) = (now, true)
        return true
    }

    /// Whether to look once more. Once this is false polling has ended, until the next datagram.
    mutating func goesOn(now: NIODeadline) -> Bool {
        isUnderway = now < last + window && now < begin + longest
        return isUnderway
    }
}
