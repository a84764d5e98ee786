public import Multiaddr
internal import QuicCore

/// A connection has moved to another path, which is validated.
public struct QuicPathChange: Sendable, Hashable {
    /// Where this side was.
    public var oldLocal: Multiaddr
    /// Where the peer was.
    public var oldRemote: Multiaddr
    /// Where this side is.
    public var newLocal: Multiaddr
    /// Where the peer is.
    public var newRemote: Multiaddr

    init(from old: NetworkPath, to new: NetworkPath, version: QuicVersion) {
        oldLocal = old.local.quicAddress(version: version)
        oldRemote = old.remote.quicAddress(version: version)
        newLocal = new.local.quicAddress(version: version)
        newRemote = new.remote.quicAddress(version: version)
    }
}
