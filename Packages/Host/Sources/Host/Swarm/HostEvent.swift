public import Multiaddr
public import NetStream
public import PeerID

/// Something that happened to a host.
public enum HostEvent: Sendable {
    /// The host listens on an address, given with its `/p2p`.
    case listening(Multiaddr)
    /// The host stopped listening on an address, given with its `/p2p`.
    case stoppedListening(Multiaddr)
    /// A connection was made.
    case connected(ConnectionInfo)
    /// A connection ended. Its handlers may take longer to end.
    case disconnected(ConnectionInfo, reason: ConnectionCloseReason)
    /// A peer told about itself, at the start of a connection or later.
    case identified(IdentifyInfo)
    /// A peer could not be identified. The connection lives on.
    case identifyFailed(PeerID, HostError)
    /// A dial failed. The peer is `nil` when the address named none.
    case dialFailed(PeerID?, HostError)
    /// Connections are closed because there are more than the high water; ``disconnected(_:reason:)`` follows for each.
    case trimmed([ConnectionInfo])
    /// Another thing is thought of the network now.
    case blackHole(BlackHoleKind, BlackHoleState)
}

/// A connection of a host.
public struct ConnectionInfo: Sendable, Hashable {
    /// The connection's number, unique within its host.
    public let id: UInt64
    /// The peer at the other end.
    public let peer: PeerID
    /// Who opened it.
    public let direction: Direction
    /// This side's address, without `/p2p`.
    public let localAddress: Multiaddr
    /// The peer's address, without `/p2p`.
    public let remoteAddress: Multiaddr
}
