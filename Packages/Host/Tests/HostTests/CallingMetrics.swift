import Metrics
import Synchronization

/// A metrics backend that asks the host about itself from each report, as one may that adds the number of peers to its
/// lines. It deadlocks, or traps, when the host reports something while its state is locked.
final class CallingMetrics: MetricsFactory, Sendable {
    private let state = Mutex((ask: nil as (@Sendable () -> Void)?, labels: Set<String>()))

    /// What was reported since somebody was to be asked.
    var labels: Set<String> { state.withLock { $0.labels } }

    /// From now on each report asks.
    func onReport(_ ask: @escaping @Sendable () -> Void) {
        state.withLock { $0.ask = ask }
    }

    fileprivate func report(_ label: String) {
        let ask = state.withLock { state in
            if state.ask != nil { state.labels.insert(label) }
            return state.ask
        }
        ask?()
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { Handler(label, self) }
    func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        Handler(label, self)
    }
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { Handler(label, self) }
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Handler(label, self)
    }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { Handler(label, self) }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}

private final class Handler: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    private let label: String
    private let metrics: CallingMetrics

    init(_ label: String, _ metrics: CallingMetrics) {
        self.label = label
        self.metrics = metrics
    }

    func increment(by amount: Int64) { metrics.report(label) }
    func increment(by amount: Double) { metrics.report(label) }
    func decrement(by amount: Double) { metrics.report(label) }
    func set(_ value: Int64) { metrics.report(label) }
    func set(_ value: Double) { metrics.report(label) }
    func record(_ value: Int64) { metrics.report(label) }
    func record(_ value: Double) { metrics.report(label) }
    func recordNanoseconds(_ duration: Int64) { metrics.report(label) }
    func reset() {}
}
