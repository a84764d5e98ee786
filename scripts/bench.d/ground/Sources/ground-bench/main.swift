import CGroundBench
import Glibc
import Libp2pTLS
import Multiaddr
import PeerID

// Usage: ground-bench [--count]: times every operation, or counts it under callgrind. scripts/bench runs it.

var operations: [Operation] = []

@MainActor
func add(_ name: String, batch: Int, yardstick: (() -> Void)? = nil, _ run: @escaping () throws -> Void) {
    operations.append(Operation(name: name, batch: batch, run: run, yardstick: yardstick))
}

// MARK: Multiaddr

let plainText = "/ip4/127.0.0.1/udp/4001/quic-v1"
let peerText = plainText + "/p2p/12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"
let ip6Text = "/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21/udp/1234/quic-v1"
let address = try Multiaddr(parsing: peerText)
let bytes = address.bytes
let ip6 = try Multiaddr(parsing: ip6Text)

add("parse /ip4/…/udp/4001/quic-v1", batch: 5000) { keep(try Multiaddr(parsing: plainText)) }
add("parse /ip4/…/udp/4001/quic-v1/p2p/12D3…", batch: 5000) { keep(try Multiaddr(parsing: peerText)) }
add("parse /ip6/2601:…/udp/1234/quic-v1", batch: 5000) { keep(try Multiaddr(parsing: ip6Text)) }
add("read the binary form with /p2p", batch: 5000) { keep(try Multiaddr(bytes: bytes)) }
add("print with /p2p", batch: 5000) { keep(address.description) }
add("print /ip6", batch: 5000) { keep(ip6.description) }
add("isQuic", batch: 5000) { keep(address.isQuic) }
add("quicEndpoint", batch: 5000) { keep(address.quicEndpoint) }

// MARK: PeerID

let message = Array("libp2p-tls-handshake:".utf8) + [UInt8](repeating: 7, count: 91)
let kinds: [(String, PrivateKey, ground_kind, Int)] = [
    ("Ed25519", .ed25519(), GROUND_ED25519, 300),
    ("secp256k1", try .secp256k1(), GROUND_SECP256K1, 300),
    ("ECDSA P-256", try .ecdsa(.p256), GROUND_P256, 100),
    ("ECDSA P-384", try .ecdsa(.p384), GROUND_P384, 40),
    ("ECDSA P-521", try .ecdsa(.p521), GROUND_P521, 40),
    ("RSA 2048", try .rsa(), GROUND_RSA2048, 40),
]
let id = kinds[0].1.peerID
let idText = id.description
let idCID = id.cid

add("parse a peer ID, base58btc", batch: 5000) { keep(try PeerID(parsing: idText)) }
add("parse a peer ID, CIDv1", batch: 5000) { keep(try PeerID(parsing: idCID)) }
add("print a peer ID, base58btc", batch: 5000) { keep(id.description) }
for (name, key, kind, batch) in kinds {
    let publicKey = key.publicKey
    let encoded = publicKey.protobuf
    let signature = try key.sign(message)
    guard let other = ground_key_make(kind, message, message.count) else {
        preconditionFailure("the C library makes no \(name) key")
    }
    add("\(name): peer ID from key", batch: 2000) { keep(PeerID(publicKey: publicKey)) }
    add("\(name): read public key", batch: 200) { keep(try PublicKey(protobuf: encoded)) }
    add("\(name): sign", batch: batch, yardstick: { keep(ground_sign(other, message, message.count)) }) {
        keep(try key.sign(message))
    }
    add("\(name): verify", batch: batch, yardstick: { keep(ground_verify(other, message, message.count)) }) {
        keep(publicKey.isValidSignature(signature, for: message))
    }
}
add("Ed25519: generate", batch: 200) { keep(PrivateKey.ed25519()) }

// MARK: Libp2pTLS

let now = TLSConfiguration.systemTime()
for (name, key, _, _) in kinds where name != "ECDSA P-384" && name != "ECDSA P-521" {
    let der = try TLSContext(identity: key).certificateDER
    add("make a certificate, \(name) identity", batch: 40) { keep(try TLSContext(identity: key)) }
    add("verify a certificate, \(name) identity", batch: 60) {
        keep(try CertificateVerifier.verify(certificateDER: der, at: now))
    }
}

let counts = CommandLine.arguments.dropFirst() == ["--count"]
for operation in operations {
    if counts { try Measurement.count(operation) } else { try Measurement.time(operation) }
    fflush(nil)
}
