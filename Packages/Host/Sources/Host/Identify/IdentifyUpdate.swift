import Multiaddr
import PeerID

/// What the fields say that are in an identify message. A peer's answer has them all, a push may have only those that
/// changed; the specification says of the missing ones to ignore them.
struct IdentifyUpdate: Sendable {
    var peer: PeerID
    var publicKey: PublicKey
    var protocolVersion: String?
    var agentVersion: String?
    /// `nil` when none are named: a list that is empty looks the same as one that is missing.
    var protocols: [String]?
    var listenAddresses: [Multiaddr]?
    var observedAddress: Multiaddr?
    var record: PeerRecord?

    /// What is known of the peer after this.
    ///
    /// - Parameter former: What was known before; `nil` when the message stands for itself, as an answer does.
    func applied(to former: IdentifyInfo?) -> IdentifyInfo {
        IdentifyInfo(
            peer: peer,
            publicKey: publicKey,
            protocolVersion: protocolVersion ?? former?.protocolVersion ?? "",
            agentVersion: agentVersion ?? former?.agentVersion ?? "",
            protocols: protocols ?? former?.protocols ?? [],
            listenAddresses: record?.addresses ?? listenAddresses ?? former?.listenAddresses ?? [],
            observedAddress: observedAddress ?? former?.observedAddress,
            record: record ?? former?.record
        )
    }
}
