import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A progress bar on standard error: redrawn in place on a terminal, a line for every tenth elsewhere.
public final class Progress: Sendable {
    private struct State {
        var done = 0
        var shown = -1
        var drawn: ContinuousClock.Instant?
    }

    private let total: Int?
    private let enabled: Bool
    private let onTerminal = isatty(STDERR_FILENO) == 1
    private let started = ContinuousClock.now
    private let state = Mutex(State())

    /// A bar for `total` bytes, or a counter when the total is not known. It shows on a terminal, and
    /// elsewhere only when `always` is true.
    public init(total: Int?, always: Bool) {
        self.total = total
        self.enabled = always || (total != nil && onTerminal)
    }

    /// `count` more bytes are done.
    public func advance(_ count: Int) {
        guard enabled else { return }
        let line: String? = state.withLock { state in
            state.done += count
            let now = ContinuousClock.now
            if onTerminal {
                let complete = state.done == total
                if !complete, let drawn = state.drawn, now - drawn < .milliseconds(100) { return nil }
                state.drawn = now
                return "\r\u{1B}[K" + text(state.done, at: now) + (complete ? "\n" : "")
            }
            let step = total.map { $0 == 0 ? 10 : state.done * 10 / $0 } ?? state.done >> 24
            guard step > state.shown else { return nil }
            state.shown = step
            return text(state.done, at: now) + "\n"
        }
        if let line { Output.write(Array(line.utf8), to: STDERR_FILENO) }
    }

    private func text(_ done: Int, at now: ContinuousClock.Instant) -> String {
        let seconds = max((now - started) / .seconds(1), 1e-9)
        let rate = fixed(Double(done) / 1_048_576 / seconds, 1) + " MiB/s"
        guard let total, total > 0 else { return "\(mebibytes(done)) MiB  \(rate)" }
        let filled = done * 30 / total
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: max(0, 30 - filled))
        return "[\(bar)] \(done * 100 / total) %  \(mebibytes(done)) of \(mebibytes(total)) MiB  \(rate)"
    }

    private func mebibytes(_ bytes: Int) -> String { fixed(Double(bytes) / 1_048_576, 1) }
}

/// `value` with `digits` digits after the point.
public func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
    var scale = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((value.magnitude * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(scaled)" }
    return "\(sign)\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}
