internal import CNgtcp2Shims
internal import Libp2pTLS

/// Everything a connection is opened with, on either side.
struct ConnectionOpening {
    /// What only a server knows about a client's first packet.
    struct Accepted {
        /// The client's first destination connection ID: of the packet before the Retry, if there was one.
        var original: ConnectionID
        /// The token that goes with ``ConnectionOpening/source``, for the transport parameters.
        var resetToken: [UInt8]
        /// The source connection ID of the Retry that the client has answered; `nil` without one.
        var retrySource: ConnectionID?
    }

    var handle: ConnectionHandle
    var session: TLSSession
    var entropy: any ConnectionEntropy
    var parameters: ConnectionParameters
    /// Where this side's packets are addressed to: the client's random first ID, or the client's source ID.
    var destination: ConnectionID
    /// This side's connection ID.
    var source: ConnectionID
    /// A client sends it in its first packet; a server has checked it. Empty for none.
    var token: [UInt8] = []
    var remote: NetworkAddress
    var local: NetworkAddress
    /// `nil` on a client.
    var accepted: Accepted?
    var qlogSink: QlogSink?

    var isServer: Bool { accepted != nil }

    /// The same as the C library wants it, without the token.
    func config(now: UInt64) -> lp2p_config {
        var config = lp2p_config(parameters, now: now)
        config.qlog = qlogSink == nil ? 0 : 1
        config.takes_tickets = session.takesTickets ? 1 : 0
        config.original_dcid = lp2p_cid(accepted?.original ?? destination)
        guard let accepted else { return config }
        if accepted.resetToken.count == Int(LP2P_RESET_TOKEN_LENGTH) {
            config.has_reset_token = 1
            withUnsafeMutableBytes(of: &config.reset_token) { $0.copyBytes(from: accepted.resetToken) }
        }
        if let retrySource = accepted.retrySource {
            config.has_retry_scid = 1
            config.retry_scid = lp2p_cid(retrySource)
            config.token_is_retry = 1
        }
        return config
    }
}
