import FuzzSupport
import Multiaddr
import PeerID

/// Key messages: what is accepted has one canonical message that reads back as the same key.
@Sendable func fuzzKeyProtobuf(_ input: [UInt8]) {
    if let key = try? PublicKey(protobuf: input) {
        promise((try? PublicKey(protobuf: key.protobuf)) == key, "a public key survives")
        promise((try? PublicKey(type: key.type, rawBytes: key.rawBytes)) == key, "a public key's bytes survive")
        promise(key.peerID.inlinePublicKey == nil || key.peerID.inlinePublicKey == key, "an inline key is the key")
        promise(!key.isValidSignature(input, for: input), "nobody signed this")
    }
    if let key = try? PrivateKey(protobuf: input) {
        promise((try? PrivateKey(protobuf: key.protobuf)) == key, "a private key survives")
        promise((try? PublicKey(protobuf: key.publicKey.protobuf)) == key.publicKey, "its public half survives")
        if let signature = try? key.sign(input) {
            promise(key.publicKey.isValidSignature(signature, for: input), "an accepted key signs")
        }
    }
}

/// One key of each type, made once; none of them ever signs.
private let keys: [PublicKey] = [
    try? PrivateKey.rsa().publicKey,
    PrivateKey.ed25519().publicKey,
    try? PrivateKey.secp256k1().publicKey,
    try? PrivateKey.ecdsa(.p256).publicKey,
    try? PrivateKey.ecdsa(.p384).publicKey,
    try? PrivateKey.ecdsa(.p521).publicKey,
].compactMap(\.self)

/// Signatures that nobody made.
@Sendable func fuzzSignature(_ input: [UInt8]) {
    guard let first = input.first else { return }
    let key = keys[Int(first) % keys.count]
    promise(!key.isValidSignature(Array(input.dropFirst()), for: [1, 2, 3]), "nobody signed this")
}

/// Peer IDs as bytes, as text and in an address.
@Sendable func fuzzPeerID(_ input: [UInt8]) {
    if let id = try? PeerID(bytes: input) {
        promise(id.bytes == input, "a peer ID has one binary form")
        check(id)
    }
    let text = String(decoding: input, as: UTF8.self)
    if let id = try? PeerID(parsing: text) {
        check(id)
        promise((try? Multiaddr(parsing: "/p2p/" + text))?.peerID == id, "an address reads what a peer ID does")
    } else {
        promise((try? Multiaddr.Component(.p2p, text: text)) == nil, "an address reads no more than a peer ID does")
    }
}

private func check(_ id: PeerID) {
    promise((try? PeerID(parsing: id.description)) == id, "base58btc reads back")
    for base in Multibase.allCases {
        promise((try? PeerID(parsing: id.cid(in: base))) == id, "a CID reads back")
    }
    if let key = id.inlinePublicKey { promise(key.peerID == id && id.matches(key), "an inline key has this ID") }
    promise((try? Multiaddr.Component.p2p(id.bytes)) != nil, "a peer ID fits an address")
}
