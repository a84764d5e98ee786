public import Multiaddr
public import NetStream
public import PeerID

/// Who may be dialled and who may connect. Each question is answered at once, so an answer must not take long.
///
/// A dial is asked about its peer, then each of its addresses; an address with a name in it is asked about as it is, and
/// again as each of the addresses that the name stands for. Where the address did not say whom to expect, the question
/// about the peer follows when it has proved who it is. A connection that came in is asked about its addresses.
/// Then each connection, whoever opened it, is asked about with its peer, and at last as a whole. Connections that are
/// refused are closed with the libp2p code "gated" (0x1007); refusals are counted by the metric `libp2p_host_gated`.
public struct ConnectionGater: Sendable {
    /// Whether a peer may be dialled at all.
    public var allowsDialingPeer: @Sendable (PeerID) -> Bool
    /// Whether an address may be dialled. Of what a name in an address stands for, only what is allowed is dialled.
    public var allowsDialingAddress: @Sendable (Multiaddr) -> Bool
    /// Whether a connection may come in, by its local and its remote address, whoever the peer is.
    public var allowsAccepting: @Sendable (_ local: Multiaddr, _ remote: Multiaddr) -> Bool
    /// Whether a peer may be connected with, now that it proved who it is, by the remote address.
    public var allowsSecured: @Sendable (Direction, PeerID, Multiaddr) -> Bool
    /// Whether a connection may be used.
    public var allowsConnection: @Sendable (ConnectionInfo) -> Bool

    /// A gater that allows what is not asked for.
    public init(
        allowsDialingPeer: @escaping @Sendable (PeerID) -> Bool = { _ in true },
        allowsDialingAddress: @escaping @Sendable (Multiaddr) -> Bool = { _ in true },
        allowsAccepting: @escaping @Sendable (_ local: Multiaddr, _ remote: Multiaddr) -> Bool = { _, _ in true },
        allowsSecured: @escaping @Sendable (Direction, PeerID, Multiaddr) -> Bool = { _, _, _ in true },
        allowsConnection: @escaping @Sendable (ConnectionInfo) -> Bool = { _ in true }
    ) {
        self.allowsDialingPeer = allowsDialingPeer
        self.allowsDialingAddress = allowsDialingAddress
        self.allowsAccepting = allowsAccepting
        self.allowsSecured = allowsSecured
        self.allowsConnection = allowsConnection
    }

    /// At which stage a connection is refused, `nil` if it is not.
    ///
    /// - Parameters:
    ///   - info: The connection.
    ///   - isPeerAsked: Whether ``allowsDialingPeer`` allowed it before the dial.
    func refusal(of info: ConnectionInfo, isPeerAsked: Bool) -> GaterStage? {
        if info.direction == .outbound, !isPeerAsked, !allowsDialingPeer(info.peer) { return .dialPeer }
        if info.direction == .inbound, !allowsAccepting(info.localAddress, info.remoteAddress) { return .accept }
        if !allowsSecured(info.direction, info.peer, info.remoteAddress) { return .secured }
        return allowsConnection(info) ? nil : .upgraded
    }
}

/// Where a gater refuses.
enum GaterStage: String, Sendable, CaseIterable {
    case dialPeer = "dial_peer"
    case dialAddress = "dial_address"
    case accept
    case secured
    case upgraded
}
