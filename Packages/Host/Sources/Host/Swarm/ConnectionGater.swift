public import Multiaddr
public import PeerID

/// Who may be dialled and who may connect. Each question is answered at once, so an answer must not take long.
public struct ConnectionGater: Sendable {
    /// Whether a peer may be dialled at all.
    public var allowsDialingPeer: @Sendable (PeerID) -> Bool
    /// Whether an address may be dialled.
    public var allowsDialingAddress: @Sendable (Multiaddr) -> Bool
    /// Whether a connection may be used, now that the peer proved who it is. Refused ones are closed with the code
    /// "gated".
    public var allowsConnection: @Sendable (ConnectionInfo) -> Bool

    /// A gater that allows what is not asked for.
    public init(
        allowsDialingPeer: @escaping @Sendable (PeerID) -> Bool = { _ in true },
        allowsDialingAddress: @escaping @Sendable (Multiaddr) -> Bool = { _ in true },
        allowsConnection: @escaping @Sendable (ConnectionInfo) -> Bool = { _ in true }
    ) {
        self.allowsDialingPeer = allowsDialingPeer
        self.allowsDialingAddress = allowsDialingAddress
        self.allowsConnection = allowsConnection
    }
}
