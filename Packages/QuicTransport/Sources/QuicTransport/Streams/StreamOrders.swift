/// A timer that was armed and can be called off.
struct StreamTimer: Sendable {
    /// Calls the timer off; does nothing when it has fired.
    let cancel: @Sendable () -> Void
}

/// Arms a timer: after the duration the closure runs once, on whatever thread.
typealias ScheduleTimeout = @Sendable (Duration, @escaping @Sendable () -> Void) -> StreamTimer

/// What the loop has to do for a stream, gathered since it last asked.
struct StreamOrders: Sendable, Equatable {
    /// Bytes that were read: flow-control credit to give back to the peer.
    var credit = 0
    /// The end of the stream comes behind the segments.
    var isEnd = false
    /// Reset the sending half with this code.
    var reset: UInt64?
    /// Ask the peer to stop sending, with this code.
    var stop: UInt64?
}
