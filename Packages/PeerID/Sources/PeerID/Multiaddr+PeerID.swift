public import Multiaddr

extension Multiaddr {
    /// The peer that the address leads to: its last `/p2p` component that stands behind every relay.
    ///
    /// In `/ip4/…/p2p/RELAY/p2p-circuit/p2p/TARGET` that is `TARGET`; `/ip4/…/p2p/RELAY/p2p-circuit` leads to nobody
    /// in particular.
    public var peerID: PeerID? {
        guard let bytes = peerIDBytes else { return nil }
        return try? PeerID(bytes: bytes)
    }

    /// The address with `/p2p/ID` for the given peer: in place of the component that ``peerID`` reads, else at the end.
    ///
    /// A `unix` path takes the rest of an address, so there the ID becomes a part of the path.
    public func withPeerID(_ id: PeerID) -> Multiaddr {
        guard let component = try? Component.p2p(id.bytes) else {
            // Not input: every PeerID was checked when it was made, and both packages accept the same multihashes.
            preconditionFailure("a peer ID is a valid /p2p value")
        }
        guard let position = peerIDPosition else { return encapsulating(component) }
        var result = Multiaddr.empty
        for (index, old) in components.enumerated() {
            result = result.encapsulating(index == position ? component : old)
        }
        return result
    }

    /// The address without the `/p2p` component that ``peerID`` reads; itself when there is none, and the empty address
    /// when there is nothing else.
    public var withoutPeerID: Multiaddr {
        guard let position = peerIDPosition else { return self }
        var result = Multiaddr.empty
        for (index, component) in components.enumerated() where index != position {
            result = result.encapsulating(component)
        }
        return result
    }

    /// The index of the last `/p2p` component with no relay behind it.
    private var peerIDPosition: Int? {
        var position: Int?
        for (index, component) in components.enumerated() {
            if component.proto == .p2p { position = index }
            if component.proto == .p2pCircuit { position = nil }
        }
        return position
    }
}
