internal import Metrics
internal import QuicCore

/// The metrics of a transport, under stable names.
struct TransportMetrics: Sendable {
    /// Inbound connections handed up.
    private let accepted = Counter(label: "libp2p_quic_connections_accepted")
    /// Inbound connections refused because too many waited.
    private let refused = Counter(label: "libp2p_quic_connections_refused")
    /// Outbound connections that were established.
    private let dialed = Counter(label: "libp2p_quic_connections_dialed")
    /// Dials that failed.
    private let dialFailures = Counter(label: "libp2p_quic_dial_failures")

    /// Connections that have moved to another path.
    private let pathChanges = Counter(label: "libp2p_quic_path_changes")

    func pathChanged() { pathChanges.increment() }

    func connectionAccepted() { accepted.increment() }

    func connectionRefused() { refused.increment() }

    func connectionDialed() { dialed.increment() }

    func dialFailed() { dialFailures.increment() }

    /// Counts the end of a connection by its cause.
    func ended(_ end: ConnectionTermination) {
        Counter(
            label: "libp2p_quic_connections_ended",
            dimensions: [("cause", "\(end.cause)"), ("by_peer", end.byPeer ? "true" : "false")]
        ).increment()
    }
}
