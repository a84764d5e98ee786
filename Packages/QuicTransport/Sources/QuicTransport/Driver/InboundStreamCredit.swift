/// How many streams the peer may still open.
///
/// The credit follows the application: at first some streams, one more for each that was accepted, never more open at once
/// than the limit. A peer whose streams nobody accepts is held at the initial credit, even if it closes them.
///
/// It is given in steps, because each grant is a packet: while the peer can open half of its initial streams, further ones are
/// gathered until they are a quarter. A peer that has less gets all there is, at once. So it can open fewer at once than the
/// initial credit, by a quarter at most, while it has not used up half of it.
struct InboundStreamCredit {
    private let initial: Int
    private let limit: Int
    private let step: Int
    private var granted: Int
    private var opened = 0
    private var accepted = 0
    private var finished = 0

    init(initial: Int, limit: Int) {
        self.initial = initial
        self.limit = limit
        step = max(1, initial / 4)
        granted = initial
    }

    /// The peer has opened its streams up to this number, the first being 1. Returns how many more streams to allow.
    mutating func streamsOpened(upTo number: Int) -> Int {
        opened = max(opened, number)
        return grant()
    }

    /// The application has taken a stream. Returns how many more streams to allow.
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
        let more = min(initial + accepted, limit + finished) - granted
        guard more > 0, more >= step || granted - opened < initial / 2 else { return 0 }
        granted += more
        return more
    }
}
