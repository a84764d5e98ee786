public import Multiaddr
public import PeerID

/// What a peer tells about itself with `/ipfs/id/1.0.0`.
public struct IdentifyInfo: Sendable, Hashable {
    /// Who it is, proved by the connection.
    public var peer: PeerID
    /// Its key, proved by the connection.
    public var publicKey: PublicKey
    /// The family of protocols it belongs to, such as `ipfs/0.1.0`.
    public var protocolVersion: String
    /// The name and version of its software.
    public var agentVersion: String
    /// The protocols it speaks.
    public var protocols: [String]
    /// Where it says it listens. From the signed record when it came with one.
    public var listenAddresses: [Multiaddr]
    /// The address it sees us at.
    public var observedAddress: Multiaddr?
    /// Its signed record, checked: signer, record and connection are the same peer.
    public var record: PeerRecord?
}
