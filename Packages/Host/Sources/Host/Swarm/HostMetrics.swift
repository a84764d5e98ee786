import Metrics
import NetStream

/// The host's figures, by swift-metrics. Names and dimensions are stable and listed in "Watching a node".
struct HostMetrics: Sendable {
    let connections: Meter
    let streams: Meter
    let handshakeTime: Timer
    let negotiationTime: Timer
    let pingTime: Timer
    let bytesRead: Counter
    let bytesWritten: Counter
    let connectionsTrimmed: Counter
    let eventsDropped: Counter
    let streamsHandled: Counter
    let streamsOpened: Counter
    private let handshakes: [Direction: Counter]
    let connectionsOpened: Counter
    private let connectionsClosed: [Direction: Counter]
    private let factory: any MetricsFactory

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
        connections = Meter(label: "libp2p_host_connections", factory: factory)
        streams = Meter(label: "libp2p_host_streams", factory: factory)
        handshakeTime = Timer(label: "libp2p_host_handshake_seconds", factory: factory)
        negotiationTime = Timer(label: "libp2p_host_negotiation_seconds", factory: factory)
        pingTime = Timer(label: "libp2p_host_ping_seconds", factory: factory)
        bytesRead = Counter(label: "libp2p_host_bytes_read", factory: factory)
        bytesWritten = Counter(label: "libp2p_host_bytes_written", factory: factory)
        connectionsTrimmed = Counter(label: "libp2p_host_connections_trimmed", factory: factory)
        eventsDropped = Counter(label: "libp2p_host_events_dropped", factory: factory)
        streamsHandled = Counter(label: "libp2p_host_streams_handled", factory: factory)
        streamsOpened = Counter(label: "libp2p_host_streams_opened", factory: factory)
        func both(_ label: String) -> [Direction: Counter] {
            var counters: [Direction: Counter] = [:]
            for direction in Direction.allCases {
                counters[direction] = Counter(
                    label: label,
                    dimensions: [("direction", "\(direction)")],
                    factory: factory
                )
            }
            return counters
        }
        handshakes = both("libp2p_host_handshakes")
        connectionsOpened = Counter(label: "libp2p_host_connections_opened", factory: factory)
        connectionsClosed = both("libp2p_host_connections_closed")
    }

    func handshook(_ direction: Direction) { handshakes[direction]?.increment() }
    func closed(_ direction: Direction) { connectionsClosed[direction]?.increment() }

    // Failures are rare enough for their counters to be looked up. Causes are codes, of which there are few.

    func dialFailed(_ error: HostError) { count("libp2p_host_dials_failed", [("cause", "\(error.code)")]) }

    func connectionRefused(_ error: HostError) {
        count("libp2p_host_connections_refused", [("cause", "\(error.code)")])
    }

    func streamRefused(_ error: HostError) { count("libp2p_host_streams_refused", [("cause", "\(error.code)")]) }

    func negotiationFailed(_ direction: Direction, _ error: any Error) {
        let cause = HostError.wrapping(error, as: .streamFailed, "").code
        count("libp2p_host_negotiations_failed", [("direction", "\(direction)"), ("cause", "\(cause)")])
    }

    func gated(_ stage: GaterStage) { count("libp2p_host_gated", [("stage", stage.rawValue)]) }

    /// Counts what a limit did not allow.
    func refused(_ error: ResourceLimitExceeded) {
        count(
            "libp2p_host_limits_exceeded",
            [("scope", error.scope.label), ("resource", error.resource.description)]
        )
    }

    private func count(_ label: String, _ dimensions: [(String, String)]) {
        Counter(label: label, dimensions: dimensions, factory: factory).increment()
    }
}
