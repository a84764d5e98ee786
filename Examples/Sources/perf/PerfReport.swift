import ExampleSupport
import Host
import Synchronization

/// Counts what moved and prints it in the form that libp2p's test plans read: a line a second with what
/// moved since the last one, then one with the sums. On a terminal there is a bar as well.
final class PerfReport: Sendable {
    private struct Counts {
        var upload: UInt64 = 0
        var download: UInt64 = 0

        mutating func add(_ upload: Int, _ download: Int) {
            self.upload += UInt64(upload)
            self.download += UInt64(download)
        }
    }

    private struct State {
        var total = Counts()
        var recent = Counts()
        /// What the bar does not show yet.
        var undrawn = 0
        var since: ContinuousClock.Instant
    }

    private let started = ContinuousClock.now
    private let state: Mutex<State>
    private let progress: Progress

    /// A report of so many bytes up and down. Its time begins now, so connecting is part of it.
    init(upload: UInt64, download: UInt64) {
        let (total, overflow) = upload.addingReportingOverflow(download)
        state = Mutex(State(since: started))
        progress = Progress(total: overflow ? nil : Int(exactly: total), always: false)
    }

    /// Some more bytes were handed to the stream, or arrived. Only counts: a terminal may hold its writer up.
    func add(_ step: PerfProgress) {
        let (upload, download) =
            switch step {
            case .uploaded(let count): (count, 0)
            case .downloaded(let count): (0, count)
            }
        state.withLock { state in
            state.total.add(upload, download)
            state.recent.add(upload, download)
            state.undrawn += upload + download
        }
    }

    /// Keeps the bar up to date until the task is cancelled.
    func drawing() async {
        while !Task.isCancelled {
            draw()
            try? await ContinuousClock().sleep(for: .milliseconds(100))
        }
    }

    private func draw() {
        let count = state.withLock { state in
            defer { state.undrawn = 0 }
            return state.undrawn
        }
        if count > 0 { progress.advance(count) }
    }

    /// Prints what moved in each second, also when nothing did, until the task is cancelled.
    func everySecond() async {
        var next = started
        while true {
            next += .seconds(1)
            do {
                try await ContinuousClock().sleep(until: next)
            } catch {
                return
            }
            let now = ContinuousClock.now
            let (counts, since) = state.withLock { state in
                defer { (state.recent, state.since) = (Counts(), now) }
                return (state.recent, state.since)
            }
            line("intermediary", counts, seconds: (now - since) / .seconds(1))
        }
    }

    /// Prints the sums.
    func finish() {
        draw()
        let total = state.withLock { $0.total }
        line("final", total, seconds: (ContinuousClock.now - started) / .seconds(1))
    }

    private func line(_ type: String, _ counts: Counts, seconds: Double) {
        Output.line(
            #"{"type":"\#(type)","timeSeconds":\#(fixed(seconds, 6)),"#
                + #""uploadBytes":\#(counts.upload),"downloadBytes":\#(counts.download)}"#
        )
    }
}
