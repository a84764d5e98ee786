/// Counters of one endpoint since it was made.
public struct EndpointStatistics: Sendable, Hashable {
    /// Inbound connections whose peer was verified.
    public internal(set) var accepted: UInt64 = 0
    /// Inbound connections whose early data (0-RTT) was taken.
    public internal(set) var earlyDataAccepted: UInt64 = 0
    /// Outbound connections begun.
    public internal(set) var dialed: UInt64 = 0
    /// Inbound connections turned away by a limit.
    public internal(set) var rejected: UInt64 = 0
    /// Retry packets sent, which ask clients to prove their address.
    public internal(set) var retries: UInt64 = 0
    /// Clients that proved their address with a token, from a Retry or from an earlier connection.
    public internal(set) var validatedByToken: UInt64 = 0
    /// Retry tokens that were altered, expired or from another address.
    public internal(set) var invalidTokens: UInt64 = 0
    /// Version Negotiation packets sent.
    public internal(set) var versionNegotiations: UInt64 = 0
    /// Stateless resets sent.
    public internal(set) var statelessResets: UInt64 = 0
    /// Stateless resets received for a connection there was.
    public internal(set) var statelessResetsReceived: UInt64 = 0
    /// Datagrams received.
    public internal(set) var datagramsReceived: UInt64 = 0
    /// UDP payload bytes received.
    public internal(set) var bytesReceived: UInt64 = 0
    /// Datagrams dropped, whatever the reason.
    public internal(set) var dropped: UInt64 = 0
    /// Datagrams that cannot be read: their header, or an Initial that does not decrypt.
    public internal(set) var malformed: UInt64 = 0
}
