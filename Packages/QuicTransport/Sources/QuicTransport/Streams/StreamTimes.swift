import NIOCore

/// When what happened to a stream, in nanoseconds of the event loops' clock; 0 for what has not. Six words for each stream, and
/// a look at the clock for each thing that happens once.
struct StreamTimes: Sendable {
    /// The first reset of a half, by either side.
    struct Reset: Sendable, Equatable {
        var time: UInt64
        var code: UInt64
        var byPeer: Bool
    }

    /// What the time is taken from.
    typealias Clock = @Sendable () -> UInt64

    /// The clock of the event loops.
    static let loopClock: Clock = { NIODeadline.now().uptimeNanoseconds }

    var opened: UInt64
    var firstReceived: UInt64 = 0
    var firstSent: UInt64 = 0
    var closed: UInt64 = 0
    var reset: Reset?

    init(opened: UInt64) {
        self.opened = opened
    }

    /// A half was reset, unless one was before.
    mutating func noteReset(at time: UInt64, code: UInt64, byPeer: Bool) {
        if reset == nil { reset = Reset(time: time, code: code, byPeer: byPeer) }
    }
}
