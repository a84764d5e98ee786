import CoreMetrics
import ExampleSupport
import Synchronization

/// Collects what swift-metrics is told, and writes it in Prometheus's text format (version 0.0.4).
///
/// Timers and aggregating recorders become summaries without quantiles: how often, and how much in all. Bounded: with
/// dimensions that grow without end, series beyond the limit are counted but not kept.
final class PrometheusMetrics: MetricsFactory {
    /// The most series that are kept.
    static let seriesLimit = 4096

    private struct State {
        var series: [SeriesName: Series] = [:]
        var refused = 0
    }

    private let state = Mutex(State())

    /// Everything, sorted by name.
    func text() -> String {
        let (all, refused) = state.withLock { ($0.series, $0.refused) }
        var lines: [String] = []
        var last = ""
        for (name, series) in all.sorted(by: { $0.key < $1.key }) {
            if name.metric != last { lines.append("# TYPE \(name.metric) \(series.kind.rawValue)") }
            last = name.metric
            let (count, sum) = series.values
            switch series.kind {
            case .counter, .gauge: lines.append("\(name.metric)\(name.labels) \(number(sum))")
            case .summary:
                lines.append("\(name.metric)_sum\(name.labels) \(number(sum))")
                lines.append("\(name.metric)_count\(name.labels) \(count)")
            }
        }
        lines.append("# TYPE metrics_series_refused counter")
        lines.append("metrics_series_refused \(refused)")
        return lines.joined(separator: "\n") + "\n"
    }

    private func series(_ label: String, _ dimensions: [(String, String)], _ kind: Series.Kind) -> Series {
        let name = SeriesName(label, dimensions)
        return state.withLock { state in
            if let known = state.series[name], known.kind == kind { return known }
            let new = Series(kind)
            guard state.series[name] == nil, state.series.count < Self.seriesLimit else {
                state.refused += 1
                return new
            }
            state.series[name] = new
            return new
        }
    }

    private func number(_ value: Double) -> String {
        value == value.rounded() && value.magnitude < 1e15 ? String(Int64(value)) : String(value)
    }

    // MARK: swift-metrics

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter)
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        series(label, dimensions, aggregate ? .summary : .gauge)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .summary)
    }

    // Series live as long as the process.
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}

/// A metric's name and labels as Prometheus wants them.
private struct SeriesName: Hashable, Comparable {
    let metric: String
    let labels: String

    init(_ label: String, _ dimensions: [(String, String)]) {
        metric = Self.name(label)
        let pairs = dimensions.map { #"\#(Self.name($0.0))="\#(Self.escaped($0.1))""# }
        labels = pairs.isEmpty ? "" : "{" + pairs.joined(separator: ",") + "}"
    }

    static func < (left: Self, right: Self) -> Bool { (left.metric, left.labels) < (right.metric, right.labels) }

    private static func name(_ text: String) -> String {
        let characters = text.unicodeScalars.map { scalar -> Character in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_": Character(scalar)
            default: "_"
            }
        }
        let name = String(characters)
        return name.first?.isNumber ?? true ? "_" + name : name
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}

/// One line, or two, of the text.
private final class Series: CounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    enum Kind: String { case counter, gauge, summary }

    let kind: Kind
    private let state = Mutex((count: UInt64(0), sum: 0.0))

    init(_ kind: Kind) { self.kind = kind }

    var values: (count: UInt64, sum: Double) { state.withLock { $0 } }

    func increment(by amount: Int64) { add(Double(amount)) }
    func increment(by amount: Double) { add(amount) }
    func decrement(by amount: Double) { add(-amount) }
    func reset() { state.withLock { $0 = (0, 0) } }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { state.withLock { $0 = ($0.count + 1, value) } }
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) { kind == .gauge ? set(value) : add(value) }
    func recordNanoseconds(_ duration: Int64) { add(Double(duration) / 1e9) }

    private func add(_ amount: Double) {
        state.withLock { $0 = ($0.count + 1, $0.sum + amount) }
    }
}
