internal import CNgtcp2Shims

/// Counters of what a connection has sent and received.
public struct ConnectionTraffic: Sendable, Hashable {
    /// UDP payload bytes sent.
    public internal(set) var bytesSent: UInt64 = 0
    /// UDP payload bytes received.
    public internal(set) var bytesReceived: UInt64 = 0
    /// Datagrams sent.
    public internal(set) var datagramsSent: UInt64 = 0
    /// Datagrams received.
    public internal(set) var datagramsReceived: UInt64 = 0
}

/// What the congestion controller knows of the path.
public struct PathStatistics: Sendable, Hashable {
    /// The last round-trip sample.
    public var latestRoundTrip: Duration
    /// The smallest round-trip sample.
    public var minimumRoundTrip: Duration
    /// The smoothed round-trip time (RFC 9002 §5.3).
    public var smoothedRoundTrip: Duration
    /// The variation of the round-trip time.
    public var roundTripVariation: Duration
    /// The congestion window in bytes.
    public var congestionWindow: UInt64
    /// Bytes sent and neither acknowledged nor lost.
    public var bytesInFlight: UInt64

    init(_ stats: lp2p_conn_stats) {
        latestRoundTrip = .nanoseconds(Int64(clamping: stats.latest_rtt))
        // The library says UINT64_MAX before the first sample.
        minimumRoundTrip = stats.min_rtt == .max ? .zero : .nanoseconds(Int64(clamping: stats.min_rtt))
        smoothedRoundTrip = .nanoseconds(Int64(clamping: stats.smoothed_rtt))
        roundTripVariation = .nanoseconds(Int64(clamping: stats.rtt_variance))
        congestionWindow = stats.congestion_window
        bytesInFlight = stats.bytes_in_flight
    }
}
