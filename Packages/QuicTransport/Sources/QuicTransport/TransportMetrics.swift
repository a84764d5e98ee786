internal import Metrics
internal import QuicCore

/// The metrics of a transport, under stable names.
struct TransportMetrics: Sendable {
    /// Inbound connections handed up.
    private let accepted: Counter
    /// Inbound connections refused because too many waited.
    private let refused: Counter
    /// Outbound connections that were established.
    private let dialed: Counter
    /// Dials that failed.
    private let dialFailures: Counter
    /// Connections that have moved to another path.
    private let pathChanges: Counter
    /// Event loops know nothing of a factory that is that of a task.
    private let factory: any MetricsFactory

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        accepted = Counter(label: "libp2p_quic_connections_accepted", factory: factory)
        refused = Counter(label: "libp2p_quic_connections_refused", factory: factory)
        dialed = Counter(label: "libp2p_quic_connections_dialed", factory: factory)
        dialFailures = Counter(label: "libp2p_quic_dial_failures", factory: factory)
        pathChanges = Counter(label: "libp2p_quic_path_changes", factory: factory)
        self.factory = factory
    }

    func pathChanged() { pathChanges.increment() }

    func connectionAccepted() { accepted.increment() }

    func connectionRefused() { refused.increment() }

    func connectionDialed() { dialed.increment() }

    func dialFailed() { dialFailures.increment() }

    /// Counts the end of a connection by its cause.
    func ended(_ end: ConnectionTermination) {
        Counter(
            label: "libp2p_quic_connections_ended",
            dimensions: [("cause", "\(end.cause)"), ("by_peer", end.byPeer ? "true" : "false")],
            factory: factory
        ).increment()
    }
}
