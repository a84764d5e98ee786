internal import QuicCore

/// Counters of one socket since it was opened, or of all sockets of a transport since it was made.
public struct QuicTransportStatistics: Sendable, Hashable {
    /// Inbound connections whose peer was verified.
    public var accepted: UInt64 = 0
    /// Inbound connections whose early data (0-RTT) was taken.
    public var earlyDataAccepted: UInt64 = 0
    /// Inbound connections turned away by a limit.
    public var rejected: UInt64 = 0
    /// Outbound connections begun.
    public var dialed: UInt64 = 0
    /// Connections there are now, both directions, closing ones included.
    public var active = 0
    /// Inbound connections whose handshake is not finished.
    public var pending = 0
    /// Connection IDs by which these connections are found now.
    public var connectionIDs = 0
    /// Version Negotiation packets sent.
    public var versionNegotiations: UInt64 = 0
    /// Retry packets sent, which ask clients to prove their address.
    public var retries: UInt64 = 0
    /// Clients that proved their address with a token, from a Retry or from an earlier connection.
    public var validatedByToken: UInt64 = 0
    /// Retry tokens that were altered, expired or from another address.
    public var invalidTokens: UInt64 = 0
    /// Stateless resets sent.
    public var statelessResets: UInt64 = 0
    /// Stateless resets received for a connection there was.
    public var statelessResetsReceived: UInt64 = 0
    /// Packets that were routed by their address, because they bore no connection ID of ours. Only stateless resets are,
    /// so this is ``statelessResetsReceived`` by another name.
    public var fallbackRoutings: UInt64 = 0
    /// Datagrams that the kernel gave to the socket of another event loop than their connection's, and that were handed
    /// to that loop: after a peer has moved, or on connections dialed from a listener's port. Only with several
    /// `QuicConfiguration.UDP.loops`.
    public var passedBetweenLoops: UInt64 = 0
    /// Those of them that were lost because that loop could not keep up, or had closed.
    public var lostBetweenLoops: UInt64 = 0
    /// Datagrams that cannot be read: their header, or an Initial that does not decrypt.
    public var invalidPackets: UInt64 = 0
    /// Datagrams dropped, whatever the reason.
    public var dropped: UInt64 = 0
    /// UDP payload bytes received.
    public var bytesReceived: UInt64 = 0
    /// UDP payload bytes sent.
    public var bytesSent: UInt64 = 0
    /// Datagrams received.
    public var packetsReceived: UInt64 = 0
    /// Datagrams sent.
    public var packetsSent: UInt64 = 0

    /// Adds what another socket counted.
    mutating func add(_ other: QuicTransportStatistics) {
        accepted += other.accepted
        earlyDataAccepted += other.earlyDataAccepted
        rejected += other.rejected
        dialed += other.dialed
        active += other.active
        pending += other.pending
        connectionIDs += other.connectionIDs
        versionNegotiations += other.versionNegotiations
        retries += other.retries
        validatedByToken += other.validatedByToken
        invalidTokens += other.invalidTokens
        statelessResets += other.statelessResets
        statelessResetsReceived += other.statelessResetsReceived
        fallbackRoutings += other.fallbackRoutings
        passedBetweenLoops += other.passedBetweenLoops
        lostBetweenLoops += other.lostBetweenLoops
        invalidPackets += other.invalidPackets
        dropped += other.dropped
        bytesReceived += other.bytesReceived
        bytesSent += other.bytesSent
        packetsReceived += other.packetsReceived
        packetsSent += other.packetsSent
    }
}

extension EndpointDriver {
    /// Everything that is counted on this socket.
    var counts: QuicTransportStatistics {
        let routing = core.statistics
        let registry = core.registry.statistics
        let socket = socketStatistics
        return QuicTransportStatistics(
            accepted: routing.accepted,
            earlyDataAccepted: routing.earlyDataAccepted,
            rejected: routing.rejected,
            dialed: routing.dialed,
            active: connectionCount,
            pending: core.halfOpenCount,
            connectionIDs: registry.totalIDs,
            versionNegotiations: routing.versionNegotiations,
            retries: routing.retries,
            validatedByToken: routing.validatedByToken,
            invalidTokens: routing.invalidTokens,
            statelessResets: routing.statelessResets,
            statelessResetsReceived: routing.statelessResetsReceived,
            fallbackRoutings: registry.fallbackRoutings,
            passedBetweenLoops: passing.passedOn,
            lostBetweenLoops: passing.lost,
            invalidPackets: routing.malformed + UInt64(socket.emptyDatagrams + socket.unreadableDatagrams),
            dropped: routing.dropped,
            bytesReceived: UInt64(socket.bytesReceived),
            bytesSent: UInt64(socket.bytesSent),
            packetsReceived: UInt64(socket.datagramsReceived),
            packetsSent: UInt64(socket.datagramsSent)
        )
    }
}
