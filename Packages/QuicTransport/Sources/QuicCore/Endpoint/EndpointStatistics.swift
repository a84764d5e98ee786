/// Counters of one endpoint since it was made.
public struct EndpointStatistics: Sendable, Hashable {
    /// Inbound connections whose peer was verified.
    public internal(set) var accepted: UInt64 = 0
    /// Outbound connections begun.
    public internal(set) var dialed: UInt64 = 0
    /// Inbound connections turned away by a limit.
    public internal(set) var rejected: UInt64 = 0
    /// Version Negotiation packets sent.
    public internal(set) var versionNegotiations: UInt64 = 0
    /// Stateless resets sent.
    public internal(set) var statelessResets: UInt64 = 0
    /// Datagrams received.
    public internal(set) var datagramsReceived: UInt64 = 0
    /// UDP payload bytes received.
    public internal(set) var bytesReceived: UInt64 = 0
    /// Datagrams dropped, whatever the reason.
    public internal(set) var dropped: UInt64 = 0
    /// Datagrams whose header cannot be read.
    public internal(set) var malformed: UInt64 = 0
}

/// Rations the answers to datagrams that belong to no connection: a sender of junk cannot make this side send as much.
struct ReplyBudget {
    /// Answers a second in the long run, and at once.
    static let perSecond: UInt64 = 500
    static let burst: UInt64 = 500

    private var tokens = Self.burst
    private var refilled: UInt64 = 0

    /// Takes one answer out of the budget.
    mutating func take(now: UInt64) -> Bool {
        let interval = 1_000_000_000 / Self.perSecond
        if now > refilled {
            let fresh = (now - refilled) / interval
            if fresh > 0 {
                tokens = min(Self.burst, tokens + min(fresh, Self.burst))
                refilled = now
            }
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}
