import Host
import NetStream
import Synchronization

/// What came of a soak.
struct SoakFigures: Sendable {
    /// Requests of each kind.
    var requests: [String: Int] = [:]
    /// Those of them that came to what they were meant to.
    var answeredByKind: [String: Int] = [:]
    /// The others, each by its kind and its typed error.
    var failures: [String: Int] = [:]
    /// Requests that were not done in time.
    var hung = 0
    /// How long the slowest request took.
    var slowest: Duration = .zero
    /// Those that are not done yet.
    var running = SoakRequests()
    /// What must not happen: an error without a type, a wrong answer, a connection or anything else left over.
    var surprises: [String] = []
    var kills = 0
    /// Peers outside that were killed without a word.
    var silentKills = 0
    var disconnects = 0
    var hosts = WeakHosts()
    /// Streams that hosts opened to ask for something.
    var streams = WeakStreams()
    /// Streams on which they were asked.
    var inboundStreams = WeakStreams()
    /// Tasks that handle a stream. As long as one goes on, its host's `run()` does.
    var handlers = SoakTasks()
    /// How it was once nobody asked for anything any more; `nil` before.
    var rest: SoakRest.State?

    var total: Int { requests.values.reduce(0, +) }
    var answered: Int { answeredByKind.values.reduce(0, +) }
    /// Of each kind of request the part that was answered.
    var answeredParts: [String: Double] {
        requests.reduce(into: [:]) { $0[$1.key] = Double(answeredByKind[$1.key] ?? 0) / Double($1.value) }
    }
    var failed: Int { failures.values.reduce(0, +) }
}

/// Tasks of one sort.
struct SoakTasks: Sendable {
    var begun = 0
    var ended = 0

    var underWay: Int { begun - ended }
}

/// Requests that are under way.
struct SoakRequests: Sendable {
    private var requests: [UInt64: (kind: String, start: ContinuousClock.Instant)] = [:]
    private var nextID: UInt64 = 0

    mutating func begin(_ kind: String, at start: ContinuousClock.Instant) -> UInt64 {
        nextID += 1
        requests[nextID] = (kind, start)
        return nextID
    }

    mutating func end(_ id: UInt64) { requests[id] = nil }

    /// What they are, each with how long it takes already, the longest first.
    var described: [String] {
        requests.values.sorted { $0.start < $1.start }.map { "\($0.kind) for \($0.start.duration(to: .now))" }
    }
}

/// The figures while many tasks write them.
final class SoakRecord: Sendable {
    private let figures = Mutex(SoakFigures())

    func withLock<Result: Sendable>(_ body: (inout SoakFigures) -> Result) -> Result {
        figures.withLock { figures in body(&figures) }
    }
}

/// Hosts that were made, as far as they are still there.
struct WeakHosts: Sendable {
    private struct Entry: Sendable {
        weak let host: BasicHost?
    }

    private var entries: [Entry] = []
    private(set) var made = 0
    /// Those of them whose `run()` has returned.
    var ended = 0

    mutating func note(_ host: BasicHost) {
        made += 1
        entries.append(Entry(host: host))
        if entries.count > 1000 { entries.removeAll { $0.host == nil } }
    }

    /// Forgets those that are gone: a weak reference keeps some memory of what it led to.
    mutating func forgetGone() { entries = entries.filter { $0.host != nil } }

    /// Hosts that somebody still holds.
    var alive: Int { entries.count { $0.host != nil } }
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

    /// Forgets those that are gone: a weak reference keeps some memory of what it led to.
    mutating func forgetGone() { entries = entries.filter { $0.stream != nil } }

    /// Streams that somebody still holds.
    var alive: Int { entries.count { $0.stream != nil } }
}
