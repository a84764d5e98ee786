import Host
import NetStream
import Synchronization

/// What came of a soak.
struct SoakFigures: Sendable {
    /// Requests of each kind.
    var requests: [String: Int] = [:]
    /// Those of them that came to what they were meant to.
    var answered = 0
    /// The others, each by its kind and its typed error.
    var failures: [String: Int] = [:]
    /// What must not happen: an error without a type, a wrong answer, a connection left over.
    var surprises: [String] = []
    var kills = 0
    var disconnects = 0
    var started: [WeakHost] = []
    var streams = WeakStreams()

    var total: Int { requests.values.reduce(0, +) }
    var failed: Int { failures.values.reduce(0, +) }

    /// Hosts that somebody still holds.
    var hostsAlive: Int { started.count { $0.host != nil } }
}

/// The figures while many tasks write them.
final class SoakRecord: Sendable {
    private let figures = Mutex(SoakFigures())

    func withLock<Result: Sendable>(_ body: (inout SoakFigures) -> Result) -> Result {
        figures.withLock { figures in body(&figures) }
    }
}

/// A host, if it is still there.
struct WeakHost: Sendable {
    weak let host: BasicHost?
    init(_ host: BasicHost) { self.host = host }
}

/// Streams that were opened, as far as they are still there.
struct WeakStreams: Sendable {
    private struct Entry: Sendable {
        weak let stream: NetStream?
    }

    private var entries: [Entry] = []
    private(set) var opened = 0

    mutating func note(_ stream: NetStream) {
        opened += 1
        entries.append(Entry(stream: stream))
        if entries.count > 10_000 { entries.removeAll { $0.stream == nil } }
    }

    /// Streams that somebody still holds.
    var alive: Int { entries.count { $0.stream != nil } }
}

/// SplitMix64: small, and the same everywhere for the same seed.
struct SoakGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
