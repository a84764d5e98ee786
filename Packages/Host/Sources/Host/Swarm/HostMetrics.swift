import Metrics

/// The host's counters, by swift-metrics.
struct HostMetrics: Sendable {
    let connectionsOpened = Counter(label: "libp2p_host_connections_opened")
    let connectionsClosed = Counter(label: "libp2p_host_connections_closed")
    let connectionsRefused = Counter(label: "libp2p_host_connections_refused")
    let connections = Meter(label: "libp2p_host_connections")
    let dialsFailed = Counter(label: "libp2p_host_dials_failed")
    let streamsHandled = Counter(label: "libp2p_host_streams_handled")
    let streamsOpened = Counter(label: "libp2p_host_streams_opened")
    let streamsRefused = Counter(label: "libp2p_host_streams_refused")
    let negotiationsFailed = Counter(label: "libp2p_host_negotiations_failed")
    let pingTime = Timer(label: "libp2p_host_ping_seconds")
}
