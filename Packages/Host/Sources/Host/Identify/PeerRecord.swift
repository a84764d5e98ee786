public import Multiaddr
public import PeerID
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A peer's own word about where it is reached (libp2p RFC 3).
public struct PeerRecord: Sendable, Hashable {
    /// The domain of the signature.
    public static let domain = "libp2p-peer-record"
    /// The payload type: multicodec `libp2p-peer-record`, 0x0301.
    public static let payloadType: [UInt8] = [0x03, 0x01]
    /// Most addresses of a record that are kept.
    public static let addressLimit = 500

    /// Whose record it is.
    public var peer: PeerID
    /// Grows with each new record of a peer.
    public var sequence: UInt64
    /// Where the peer is reached.
    public var addresses: [Multiaddr]

    /// Makes a record from its parts.
    public init(peer: PeerID, sequence: UInt64, addresses: [Multiaddr]) {
        self.peer = peer
        self.sequence = sequence
        self.addresses = addresses
    }

    /// Signs the record.
    ///
    /// - Throws: ``HostError/Code/invalidEnvelope`` when the key is not the peer's own; `PeerIDError` when it cannot sign.
    public func signed(by key: PrivateKey) throws -> SignedEnvelope {
        guard key.peerID == peer else {
            throw HostError(.invalidEnvelope, "a peer record is signed with the peer's own key")
        }
        return try SignedEnvelope(payload: bytes, type: Self.payloadType, domain: Self.domain, signedBy: key)
    }

    /// Signs the record, or as much of it as fits: the addresses in their order, without those for which there is no room.
    ///
    /// - Parameters:
    ///   - key: The peer's own key.
    ///   - limit: The most bytes of the envelope.
    /// - Throws: What ``signed(by:)`` throws. An envelope without addresses may be larger than the limit.
    func signed(by key: PrivateKey, limit: Int) throws -> SignedEnvelope {
        let whole = try signed(by: key)
        guard whole.bytes.count > limit else { return whole }
        var record = self
        record.addresses = []
        // Signatures of some kinds differ in length by a few bytes, and so do lengths.
        var room = limit - (try record.signed(by: key).bytes.count) - 8
        record.addresses = addresses.filter { address in
            var one = PeerRecord(peer: peer, sequence: 0, addresses: [address])
            let size = one.bytes.count
            one.addresses = []
            guard size - one.bytes.count <= room else { return false }
            room -= size - one.bytes.count
            return true
        }
        return try record.signed(by: key)
    }

    /// Opens and checks a signed record. Signer and record are the same peer.
    ///
    /// - Throws: ``HostError/Code/malformedEnvelope`` or ``HostError/Code/invalidEnvelope``.
    public init(opening bytes: [UInt8]) throws(HostError) {
        let envelope = try SignedEnvelope(opening: bytes, domain: Self.domain, type: Self.payloadType)
        do {
            let message = try Libp2p_Peerrecord_PeerRecord(serializedBytes: envelope.payload)
            peer = try PeerID(bytes: Array(message.peerID))
            sequence = message.seq
            // Addresses of protocols unknown here are no error.
            addresses = message.addresses.prefix(Self.addressLimit).compactMap {
                try? Multiaddr(bytes: Array($0.multiaddr))
            }
        } catch {
            throw HostError(.malformedEnvelope, "the envelope does not hold a peer record", cause: error)
        }
        guard envelope.publicKey.peerID == peer else {
            throw HostError(.invalidEnvelope, "the record of \(peer) is signed by \(envelope.publicKey.peerID)")
        }
    }

    /// The protobuf of the record alone.
    var bytes: [UInt8] {
        var message = Libp2p_Peerrecord_PeerRecord()
        message.peerID = Data(peer.bytes)
        message.seq = sequence
        message.addresses = addresses.map { address in
            var info = Libp2p_Peerrecord_PeerRecord.AddressInfo()
            info.multiaddr = Data(address.bytes)
            return info
        }
        return encoded(message)
    }
}
