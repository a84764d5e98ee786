/// How many streams the peer may still open.
///
/// The credit follows the application: at first some streams, one more for each that was accepted, never more open at once
/// than the limit. A peer whose streams nobody accepts is held at the initial credit, even if it closes them.
struct InboundStreamCredit {
    private let initial: Int
    private let limit: Int
    private var granted: Int
    private var accepted = 0
    private var finished = 0

    init(initial: Int, limit: Int) {
        self.initial = initial
        self.limit = limit
        granted = initial
    }

    /// The application has taken a stream.
    mutating func streamAccepted() -> Int {
        accepted += 1
        return grant()
    }

    /// A stream is over, for the application too. Returns how many more streams to allow.
    mutating func streamFinished() -> Int {
        finished += 1
        return grant()
    }

    private mutating func grant() -> Int {
        let target = min(initial + accepted, limit + finished)
        guard target > granted else { return 0 }
        defer { granted = target }
        return target - granted
    }
}
