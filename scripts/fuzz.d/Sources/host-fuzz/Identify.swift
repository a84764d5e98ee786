import FuzzSupport
import Multiaddr
import PeerID

@testable import Host

/// The peer that the messages come from. Its key is known, so that signatures can be made for what is fuzzed.
private enum Peer {
    static let key: PrivateKey = {
        guard let key = try? PrivateKey.ed25519(seed: [UInt8](repeating: 0, count: 32)) else {
            preconditionFailure("32 bytes are a seed")
        }
        return key
    }()
    static let other = PrivateKey.ed25519()
}

/// An envelope with a peer record in it. The first byte says whether the rest is the envelope, or a record that the peer signs
/// as it is: no fuzzer finds a signature.
@Sendable func fuzzSignedEnvelope(_ input: [UInt8]) {
    guard let mode = input.first else { return }
    let rest = Array(input.dropFirst())
    guard mode & 1 == 1 else { return checkRecord(rest) }
    let envelope = try? SignedEnvelope(
        payload: rest,
        type: PeerRecord.payloadType,
        domain: PeerRecord.domain,
        signedBy: Peer.key
    )
    guard let envelope else { return promise(false, "whatever there is can be signed") }
    checkRecord(envelope.bytes)
    let opened = try? SignedEnvelope(opening: envelope.bytes, domain: PeerRecord.domain, type: PeerRecord.payloadType)
    promise((opened != nil) == (envelope.bytes.count <= SignedEnvelope.byteLimit), "what is signed and fits opens")
}

private func checkRecord(_ bytes: [UInt8]) {
    let (domain, type) = (PeerRecord.domain, PeerRecord.payloadType)
    let envelope = try? SignedEnvelope(opening: bytes, domain: domain, type: type)
    let record = try? PeerRecord(opening: bytes)
    guard let envelope else { return promise(record == nil, "no record comes out of an envelope that does not open") }
    promise((try? SignedEnvelope(opening: envelope.bytes, domain: domain, type: type)) == envelope, "it opens again")
    promise((try? SignedEnvelope(opening: envelope.bytes, domain: "x", type: type)) == nil, "it is for one domain")
    promise((try? SignedEnvelope(opening: envelope.bytes, domain: domain, type: [0])) == nil, "it is of one type")
    guard let record else { return }
    promise(record.peer == envelope.publicKey.peerID, "the record is the signer's")
    promise(record.addresses.count <= PeerRecord.addressLimit, "addresses are bounded")
    guard record.peer == Peer.key.peerID else { return }
    let again = (try? record.signed(by: Peer.key)).flatMap { try? PeerRecord(opening: $0.bytes) }
    promise(again == record, "what was read is written and read the same")
}

/// The messages of an answer to identify, each with its length in front. The first byte says what the peer tells before
/// them: its key, another's key, its signed record, another's record.
@Sendable func fuzzIdentify(_ input: [UInt8]) {
    guard let told = input.first else { return }
    let peer = Peer.key
    var messages: [[UInt8]] = []
    func tell(_ field: UInt8, _ bytes: [UInt8]) {
        messages.append([field << 3 | 2] + Varint.encode(UInt64(bytes.count)) + bytes)
    }
    if told & 1 != 0 { tell(1, peer.publicKey.protobuf) }
    if told & 2 != 0 { tell(1, Peer.other.publicKey.protobuf) }
    for (bit, key) in [(UInt8(4), peer), (8, Peer.other)] where told & bit != 0 {
        let record = PeerRecord(peer: key.peerID, sequence: UInt64(told), addresses: ["/ip4/192.0.2.1/udp/1/quic-v1"])
        guard let envelope = try? record.signed(by: key) else { return promise(false, "a record can be signed") }
        tell(8, envelope.bytes)
    }
    var rest = input.dropFirst()
    while messages.count < IdentifyMessage.messageLimit, let (size, length) = try? Varint.decode(from: rest) {
        rest = rest.dropFirst(length)
        guard size <= IdentifyMessage.receiveLimit else { break }
        messages.append(Array(rest.prefix(Int(size))))
        rest = rest.dropFirst(Int(size))
    }
    guard let update = try? IdentifyMessage.decode(messages, from: peer.peerID, key: peer.publicKey) else { return }
    check(update)
    let info = update.applied(to: nil)
    // As a push it changes what it names, and nothing else.
    promise(update.applied(to: info) == info, "told twice is told once")
    promise(
        (info.record?.addresses ?? info.listenAddresses) == info.listenAddresses,
        "a record comes before what is only said"
    )
    retell(info)
}

private func check(_ update: IdentifyUpdate) {
    promise(update.peer == Peer.key.peerID && update.publicKey == Peer.key.publicKey, "the peer is the connection's")
    promise(update.record.map { $0.peer == update.peer } ?? true, "the record is the peer's")
    promise(update.protocols?.count ?? 0 <= IdentifyMessage.protocolLimit, "protocols are bounded")
    promise(update.listenAddresses?.count ?? 0 <= IdentifyMessage.addressLimit, "addresses are bounded")
    for text in [update.protocolVersion, update.agentVersion] {
        promise(text?.utf8.count ?? 0 <= IdentifyMessage.textLimit, "texts are bounded")
    }
    for name in update.protocols ?? [] {
        promise(Multistream.problem(with: Array(name.utf8)) == nil, "every protocol could be proposed")
    }
}

/// Tells the same to somebody else, as far as it fits.
private func retell(_ info: IdentifyInfo) {
    let messages = IdentifyMessage.encode(
        IdentifyMessage.Content(
            protocolVersion: info.protocolVersion,
            agentVersion: info.agentVersion,
            publicKey: info.publicKey,
            listenAddresses: info.listenAddresses,
            observedAddress: info.observedAddress,
            protocols: info.protocols,
            signedRecord: nil
        )
    )
    promise(messages.count <= IdentifyMessage.messageLimit, "few messages")
    promise(messages.allSatisfy { $0.count <= IdentifyMessage.sendLimit }, "no message is too long")
    guard let again = try? IdentifyMessage.decode(messages, from: info.peer, key: info.publicKey).applied(to: nil)
    else {
        return promise(false, "own messages can be read")
    }
    promise(again.protocolVersion == info.protocolVersion, "the protocol version is told as it is")
    promise(again.agentVersion == info.agentVersion, "the agent version is told as it is")
    // What does not fit into the last message is left out, and so is what is too long for any.
    func fits(_ address: Multiaddr) -> Bool { address.bytes.count + 4 <= IdentifyMessage.sendLimit }
    if messages.count < IdentifyMessage.messageLimit {
        promise(again.protocols == info.protocols, "all protocols are told")
        promise(again.listenAddresses == info.listenAddresses.filter(fits), "all addresses are told")
        promise(
            again.observedAddress == info.observedAddress.flatMap { fits($0) ? $0 : nil },
            "the observed address is told"
        )
    }
}
