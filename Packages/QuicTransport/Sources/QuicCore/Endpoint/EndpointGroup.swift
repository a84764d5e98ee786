internal import Synchronization

/// What the endpoints of one listening port share, one endpoint for each event loop: how many they are, the limits on
/// handshakes and on answers to strangers, and which of them has the connection that a stateless reset ends.
///
/// Only the beginnings and ends of connections and the packets of strangers come here, never the packets of a connection
/// that is known, so that a lock costs nothing that can be measured.
public final class EndpointGroup: Sendable {
    /// How many endpoints there are. Their connection IDs name them from 0 on.
    public let count: Int

    private struct State {
        var halfOpen = 0
        var halfOpenBySource: [NetworkAddress.Source: Int] = [:]
        /// New handshakes from addresses that are not validated.
        var handshakeRate: RateBudget
        var replies = RateBudget.replies
        var resetTokens: [StatelessResetToken: UInt8] = [:]
    }

    private let limits: QuicConfiguration.Endpoint
    private let state: Mutex<State>

    /// Makes a group in which nothing is taken.
    ///
    /// - Parameters:
    ///   - count: How many endpoints share the port, 1 to 256.
    ///   - configuration: Their settings.
    public init(count: Int = 1, configuration: QuicConfiguration) {
        self.count = count
        limits = configuration.endpoint
        let rate = if case .aboveRate(let rate) = limits.retry { rate } else { 1 }
        state = Mutex(State(handshakeRate: RateBudget(perSecond: rate, burst: rate)))
    }

    // MARK: handshakes

    /// Takes a place for a half-open handshake, if there is one.
    func takeHalfOpen(_ source: NetworkAddress.Source) -> Bool {
        state.withLock { state in
            let ofSource = state.halfOpenBySource[source, default: 0]
            guard state.halfOpen < limits.maxHalfOpen, ofSource < limits.maxHalfOpenPerSource else { return false }
            state.halfOpen += 1
            state.halfOpenBySource[source] = ofSource + 1
            return true
        }
    }

    /// Gives the place back.
    func giveBackHalfOpen(_ source: NetworkAddress.Source) {
        state.withLock { state in
            state.halfOpen -= 1
            let ofSource = state.halfOpenBySource[source, default: 1] - 1
            state.halfOpenBySource[source] = ofSource > 0 ? ofSource : nil
        }
    }

    /// The half-open handshakes of each source that has some.
    var halfOpenBySource: [NetworkAddress.Source: Int] { state.withLock { $0.halfOpenBySource } }

    /// Whether a client without a valid token has to show first that it receives what is sent to its address.
    ///
    /// Above half of either limit on half-open handshakes it has to: whoever makes addresses up can take one half of the
    /// places, and the other half is left for those who are where they say.
    func mustProveAddress(_ source: NetworkAddress.Source, now: UInt64) -> Bool {
        switch limits.retry {
        case .never: return false
        case .always: return true
        case .aboveRate:
            return state.withLock { state in
                if state.halfOpen >= (limits.maxHalfOpen + 1) / 2 { return true }
                if state.halfOpenBySource[source, default: 0] >= (limits.maxHalfOpenPerSource + 1) / 2 { return true }
                return !state.handshakeRate.take(now: now)
            }
        }
    }

    // MARK: answers

    /// Takes one out of the ration of answers to datagrams that belong to no connection.
    func takeReply(now: UInt64) -> Bool { state.withLock { $0.replies.take(now: now) } }

    // MARK: stateless resets

    /// Notes which endpoint has the connection that a token resets. One endpoint alone need not ask.
    func claim(_ token: StatelessResetToken, for owner: UInt8) {
        guard count > 1 else { return }
        state.withLock { state in
            // It was there first.
            if state.resetTokens[token] == nil { state.resetTokens[token] = owner }
        }
    }

    /// Forgets a token of an endpoint.
    func release(_ token: StatelessResetToken, of owner: UInt8) {
        guard count > 1 else { return }
        state.withLock { state in
            if state.resetTokens[token] == owner { state.resetTokens[token] = nil }
        }
    }

    /// The endpoint whose connection a token resets.
    func owner(of token: StatelessResetToken) -> UInt8? {
        guard count > 1 else { return nil }
        return state.withLock { $0.resetTokens[token] }
    }
}
