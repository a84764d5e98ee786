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

    /// Some more bytes were handed to the stream, or arrived.
    func add(_ step: PerfProgress) {
        let (upload, download) =
            switch step {
            case .uploaded(let count): (count, 0)
            case .downloaded(let count): (0, count)
            }
        progress.advance(upload + download)
        state.withLock { state in
            state.total.add(upload, download)
            state.recent.add(upload, download)
        }
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
