public import Multiaddr
public import PeerID

/// What another run of the program may want to know of a peer.
public struct StoredPeer: Sendable, Hashable {
    /// Who it is.
    public var peer: PeerID
    /// Where it was or may be reached, without `/p2p`; those that the program added last, and otherwise the newest.
    public var addresses: [Multiaddr]
    /// Which of the addresses the program added: nothing that the peer tells takes their place. `nil` where that was not kept:
    /// then all of them if ``isAdded``, else none.
    public var addedAddresses: Set<Multiaddr>?
    /// The program named it: it is kept until the program removes it.
    public var isAdded: Bool
    /// How long ago it was last met with; zero while it is connected.
    public var age: Duration
    /// Grows with each change of the peer. Means nothing to another run of the program.
    public var revision: UInt64

    /// Makes one from its parts.
    public init(
        peer: PeerID,
        addresses: [Multiaddr],
        addedAddresses: Set<Multiaddr>? = nil,
        isAdded: Bool,
        age: Duration,
        revision: UInt64 = 0
    ) {
        self.peer = peer
        self.addresses = addresses
        self.addedAddresses = addedAddresses
        self.isAdded = isAdded
        self.age = age
        self.revision = revision
    }
}
