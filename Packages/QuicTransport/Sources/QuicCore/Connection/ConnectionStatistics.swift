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

/// How many streams a connection has had.
public struct StreamCounts: Sendable, Hashable {
    /// Opened by this side.
    public internal(set) var opened: UInt64 = 0
    /// Opened by the peer.
    public internal(set) var accepted: UInt64 = 0
    /// Over in both directions.
    public internal(set) var closed: UInt64 = 0
    /// Resets of a half by either side; a STOP_SENDING of the peer, which is answered by one, included.
    public internal(set) var reset: UInt64 = 0
}

/// What became of unreliable datagrams (RFC 9221).
public struct DatagramCounts: Sendable, Hashable {
    /// Sent.
    public internal(set) var sent: UInt64 = 0
    /// Of those, acknowledged by the peer.
    public internal(set) var acknowledged: UInt64 = 0
    /// Of those, taken for lost.
    public internal(set) var lost: UInt64 = 0
    /// Not sent because the path began to carry less while they waited.
    public internal(set) var dropped: UInt64 = 0
    /// Received.
    public internal(set) var received: UInt64 = 0
    /// Those that a server got as early data besides, and dropped: somebody may have sent them again.
    public internal(set) var droppedEarly: UInt64 = 0
}

/// The connection IDs of a connection (RFC 9000 §5.1).
public struct ConnectionIDCounts: Sendable, Hashable {
    /// IDs of this side that the peer was given, that of the handshake included.
    public internal(set) var issued: UInt64 = 1
    /// Those of them that the peer has retired.
    public internal(set) var retired: UInt64 = 0
    /// How often another ID of the peer was put to use.
    public internal(set) var changes: UInt64 = 0
    /// IDs of the peer that were not used yet.
    public internal(set) var available: UInt64 = 0
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

    /// Packets that were lost: not acknowledged although one that was sent three or more later is (RFC 9002 §6.1.1).
    /// Packets of the handshake are not counted.
    public var lostPackets: UInt64
    /// The largest UDP payload that the path is believed to carry.
    public var maxPayloadSize: Int
    /// How often the path was found to carry less than before, or so it seemed.
    public var payloadSizeReductions: UInt64

    init(_ stats: lp2p_conn_stats, _ pathSize: PathSizeGuard) {
        latestRoundTrip = .nanoseconds(Int64(clamping: stats.latest_rtt))
        // The library says UINT64_MAX before the first sample.
        minimumRoundTrip = stats.min_rtt == .max ? .zero : .nanoseconds(Int64(clamping: stats.min_rtt))
        smoothedRoundTrip = .nanoseconds(Int64(clamping: stats.smoothed_rtt))
        roundTripVariation = .nanoseconds(Int64(clamping: stats.rtt_variance))
        congestionWindow = stats.congestion_window
        bytesInFlight = stats.bytes_in_flight
        lostPackets = stats.lost_packets
        maxPayloadSize = pathSize.limit ?? stats.max_udp_payload
        payloadSizeReductions = pathSize.reductions
    }
}
