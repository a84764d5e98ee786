public import QuicCore

/// Figures of one connection.
public struct QuicConnectionStatistics: Sendable, Hashable {
    /// Round-trip times, congestion window, lost packets, and what the path carries.
    public var path: PathStatistics
    /// Bytes and datagrams each way.
    public var traffic: ConnectionTraffic
    /// How many streams there have been.
    public var streams: StreamCounts
    /// The connection IDs.
    public var connectionIDs: ConnectionIDCounts
    /// What became of unreliable datagrams.
    public var datagrams: DatagramCounts
    /// Unreliable datagrams that arrived and gave way to newer ones because nobody read them.
    public var unreadDatagrams: UInt64
    /// The most bytes that an unreliable datagram can have at the moment; 0 if the peer takes none.
    public var maxDatagramSize: Int
    /// What protects the packets: GnuTLS or ipsec-mb. See `QuicConfiguration.packetProtection`.
    public var packetProtection: QuicConfiguration.PacketProtection
}

extension ConnectionDriver {
    /// The figures, while the connection is open.
    var statistics: QuicConnectionStatistics? {
        guard core.isOpen else { return nil }
        return QuicConnectionStatistics(
            path: core.pathStatistics,
            traffic: core.traffic,
            streams: core.streamCounts,
            connectionIDs: core.connectionIDCounts,
            datagrams: core.datagramCounts,
            unreadDatagrams: unreadDatagrams,
            maxDatagramSize: core.maxDatagramSize,
            packetProtection: core.packetProtection
        )
    }
}
