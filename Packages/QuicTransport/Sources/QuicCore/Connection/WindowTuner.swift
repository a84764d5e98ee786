/// Lets a flow-control window grow while its reader keeps up (RFC 9000 §4.2), where the library cannot be left to do it.
///
/// ngtcp2 0.12.1 forgets the growth it has announced when the frame that announces it has no room left in its packet, and
/// then closes the connection with FLOW_CONTROL_ERROR for what it had allowed. So there its own tuning is off, and credit
/// is given by this. The rule is the same: a window of which half is read within two round trips doubles.
struct WindowTuner {
    /// What the window may grow to, in bytes.
    let limit: UInt64
    /// What it is now.
    private(set) var window: UInt64
    /// The bytes read since then.
    private var epoch: (start: UInt64, read: UInt64)?

    init(window: UInt64, limit: UInt64) {
        self.window = window
        self.limit = limit
    }

    /// Notes that `count` bytes were read.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - now: The time in nanoseconds.
    ///   - roundTrip: The smoothed round-trip time in nanoseconds.
    /// - Returns: The credit to give beyond `count`.
    mutating func consumed(_ count: UInt64, now: UInt64, roundTrip: UInt64) -> UInt64 {
        guard window < limit else { return 0 }
        guard let begun = epoch, now <= begun.start &+ 2 &* roundTrip else {
            epoch = (now, count)
            return 0
        }
        epoch = (begun.start, begun.read &+ count)
        guard begun.read &+ count >= window / 2 else { return 0 }
        let grown = min(limit, 2 &* window)
        defer { window = grown }
        epoch = nil
        return grown - window
    }
}
