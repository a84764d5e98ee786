import Multiaddr
import PeerID
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Builds and reads the messages of identify. No I/O.
enum IdentifyMessage {
    /// Most bytes of a message that this side sends.
    static let sendLimit = 4096
    /// Most bytes of a message that is accepted.
    static let receiveLimit = 8192
    /// Most messages of one answer that are accepted.
    static let messageLimit = 10
    /// Most protocols of a peer that are kept.
    static let protocolLimit = 1024
    /// Most addresses of a peer that are kept.
    static let addressLimit = 500
    /// Most bytes of a version text that are kept.
    static let textLimit = 256

    /// What this side tells.
    struct Content: Sendable {
        var protocolVersion: String
        var agentVersion: String
        var publicKey: PublicKey
        var listenAddresses: [Multiaddr]
        var observedAddress: Multiaddr?
        var protocols: [String]
        var signedRecord: [UInt8]?
    }

    /// Most bytes of a signed record that this side sends: one message, with the tag and the length of the field.
    static let recordLimit = sendLimit - 4

    /// The messages that tell `content`, each at most ``sendLimit`` bytes and at most ``messageLimit`` of them. One
    /// normally; what does not fit into the last is left out.
    static func encode(_ content: Content) -> [[UInt8]] {
        var parts: [Libp2p_Identify_Identify] = []
        var current = Libp2p_Identify_Identify()
        var size = 0
        // Room for tag and length of a field.
        func make(room: Int) -> Bool {
            let needed = room + 4
            if size + needed > sendLimit {
                guard parts.count < messageLimit - 1, needed <= sendLimit else { return false }
                parts.append(current)
                current = Libp2p_Identify_Identify()
                size = 0
            }
            size += needed
            return true
        }
        if make(room: content.protocolVersion.utf8.count) { current.protocolVersion = content.protocolVersion }
        if make(room: content.agentVersion.utf8.count) { current.agentVersion = content.agentVersion }
        let key = content.publicKey.protobuf
        if make(room: key.count) { current.publicKey = Data(key) }
        if let observed = content.observedAddress, make(room: observed.bytes.count) {
            current.observedAddr = Data(observed.bytes)
        }
        // Before what may be long: it says where the peer is reached, and cannot be cut here.
        if let record = content.signedRecord, make(room: record.count) { current.signedPeerRecord = Data(record) }
        for name in content.protocols where make(room: name.utf8.count) { current.protocols.append(name) }
        for address in content.listenAddresses where make(room: address.bytes.count) {
            current.listenAddrs.append(Data(address.bytes))
        }
        return (parts + [current]).map { encoded($0) }
    }

    /// Reads the messages of an answer or a push as one: repeated fields add up, of single ones the last counts.
    ///
    /// - Throws: ``HostError/Code/identifyFailed`` when they are malformed or speak of another peer.
    static func decode(_ messages: [[UInt8]], from peer: PeerID, key: PublicKey) throws(HostError) -> IdentifyUpdate {
        var whole = Libp2p_Identify_Identify()
        do {
            for message in messages { try whole.merge(serializedBytes: message) }
        } catch {
            throw HostError(.identifyFailed, "the identify message of \(peer) is not a protobuf", cause: error)
        }
        if whole.hasPublicKey, !whole.publicKey.isEmpty, Array(whole.publicKey) != key.protobuf {
            // Another encoding of the same key is fine.
            guard let told = try? PublicKey(protobuf: Array(whole.publicKey)), told.peerID == peer else {
                throw HostError(.identifyFailed, "\(peer) identifies itself with somebody else's key")
            }
        }
        var record: PeerRecord?
        if whole.hasSignedPeerRecord, !whole.signedPeerRecord.isEmpty {
            let opened: PeerRecord
            do {
                opened = try PeerRecord(opening: Array(whole.signedPeerRecord))
            } catch {
                throw HostError(.identifyFailed, "the signed record of \(peer) is not valid", cause: error)
            }
            guard opened.peer == peer else {
                throw HostError(.identifyFailed, "\(peer) shows the signed record of \(opened.peer)")
            }
            record = opened
        }
        let told = whole.listenAddrs.prefix(addressLimit).compactMap { try? Multiaddr(bytes: Array($0)) }
        let protocols = whole.protocols.prefix(protocolLimit).filter {
            Multistream.problem(with: Array($0.utf8)) == nil
        }
        return IdentifyUpdate(
            peer: peer,
            publicKey: key,
            protocolVersion: whole.hasProtocolVersion ? bounded(whole.protocolVersion) : nil,
            agentVersion: whole.hasAgentVersion ? bounded(whole.agentVersion) : nil,
            protocols: whole.protocols.isEmpty ? nil : protocols,
            listenAddresses: whole.listenAddrs.isEmpty ? nil : told,
            observedAddress: whole.hasObservedAddr ? try? Multiaddr(bytes: Array(whole.observedAddr)) : nil,
            record: record
        )
    }

    private static func bounded(_ text: String) -> String {
        guard text.utf8.count > textLimit else { return text }
        // Between two characters: half of one would be read as another, which is longer.
        var size = 0
        let scalars = text.unicodeScalars.prefix { scalar in
            size += UTF8.width(scalar)
            return size <= textLimit
        }
        return String(String.UnicodeScalarView(scalars))
    }
}
