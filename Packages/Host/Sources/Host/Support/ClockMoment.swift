/// A moment of a clock whose type is not known.
struct ClockMoment: Sendable {
    fileprivate let duration: @Sendable () -> Duration

    /// The time since the moment.
    func elapsed() -> Duration { duration() }
}

extension Clock where Duration == Swift.Duration {
    /// The present moment.
    func now() -> ClockMoment {
        let start = now
        return ClockMoment { start.duration(to: self.now) }
    }
}
