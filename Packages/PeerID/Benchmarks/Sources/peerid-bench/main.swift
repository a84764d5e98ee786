// What the operations of PeerID cost. One line each: name, median nanoseconds of processor time per operation, operations measured.
// Run: swift run -c release --package-path Packages/PeerID/Benchmarks peerid-bench

import Glibc
import Multiaddr
import PeerID

/// Keeps the optimiser from dropping what is measured.
@inline(never) func keep<T>(_ value: T) {}

/// Nanoseconds of processor time that this process has used: other processes do not count.
func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

func measure(_ name: String, batch: Int, _ operation: () throws -> Void) rethrows {
    var samples: [Double] = []
    try operation()
    for _ in 0..<15 {
        let start = processorTime()
        for _ in 0..<batch { try operation() }
        samples.append((processorTime() - start) / Double(batch))
    }
    samples.sort()
    let padding = String(repeating: " ", count: max(1, 34 - name.utf8.count))
    print("\(name)\(padding)\(Int(samples[samples.count / 2].rounded())) ns\t(15 × \(batch))")
}

let message = Array("libp2p-tls-handshake:".utf8) + [UInt8](repeating: 7, count: 91)
let keys: [(String, PrivateKey, Int)] = [
    ("ed25519", .ed25519(), 500),
    ("secp256k1", try .secp256k1(), 500),
    ("ecdsa P-256", try .ecdsa(.p256), 200),
    ("ecdsa P-384", try .ecdsa(.p384), 50),
    ("ecdsa P-521", try .ecdsa(.p521), 50),
    ("rsa 2048", try .rsa(), 20),
]
for (name, key, batch) in keys {
    let signature = try key.sign(message)
    let publicKey = key.publicKey
    let encoded = publicKey.protobuf
    try measure("\(name) sign", batch: batch) { keep(try key.sign(message)) }
    measure("\(name) verify", batch: batch) { keep(publicKey.isValidSignature(signature, for: message)) }
    try measure("\(name) decode public key", batch: batch) { keep(try PublicKey(protobuf: encoded)) }
    measure("\(name) peer ID from key", batch: 2000) { keep(PeerID(publicKey: publicKey)) }
}
measure("ed25519 generate", batch: 200) { keep(PrivateKey.ed25519()) }
let id = keys[0].1.peerID
let text = id.description
let cid = id.cid
try measure("parse base58btc", batch: 5000) { keep(try PeerID(parsing: text)) }
try measure("parse CIDv1", batch: 5000) { keep(try PeerID(parsing: cid)) }
measure("print base58btc", batch: 5000) { keep(id.description) }
measure("print CIDv1", batch: 5000) { keep(id.cid) }
let address = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/4001/quic-v1").withPeerID(id)
measure("read the peer of an address", batch: 5000) { keep(address.peerID) }
