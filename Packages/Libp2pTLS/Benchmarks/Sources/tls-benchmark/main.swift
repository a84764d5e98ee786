import Glibc
import Libp2pTLS
import PeerID

/// Prints the CPU time per operation, the best of five rounds: the machine's other work does not count.
func measure(_ name: String, count: Int, _ operation: () throws -> Void) rethrows {
    var best = Double.infinity
    for _ in 0..<5 {
        let start = clock()
        for _ in 0..<count { try operation() }
        best = min(best, Double(clock() - start) / Double(CLOCKS_PER_SEC) / Double(count))
    }
    let padding = String(repeating: " ", count: max(1, 48 - name.count))
    print("\(name)\(padding)\(Int(best * 1e6 + 0.5)) µs CPU")
}

/// Resident memory in KiB.
func residentKiB() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var pages: (Int, Int) = (0, 0)
    _ = withUnsafeMutablePointer(to: &pages.0) { size in
        withUnsafeMutablePointer(to: &pages.1) { resident in
            withVaList([size, resident]) { vfscanf(file, "%ld %ld", $0) }
        }
    }
    return pages.1 * Int(getpagesize()) / 1024
}

let now = TLSConfiguration.systemTime()
let identities: [(String, PrivateKey)] = [
    ("Ed25519", .ed25519()), ("secp256k1", try .secp256k1()), ("ECDSA P-256", try .ecdsa()), ("RSA-2048", try .rsa()),
]
for (name, identity) in identities {
    try measure("make certificate, \(name) identity", count: 200) { _ = try TLSContext(identity: identity) }
}
for (name, identity) in identities {
    let der = try TLSContext(identity: identity).certificateDER
    try measure("verify certificate, \(name) identity", count: 500) {
        _ = try CertificateVerifier.verify(certificateDER: der, at: now)
    }
}
let der = try TLSContext(identity: identities[0].1).certificateDER
try measure("read certificate information", count: 2000) {
    _ = try CertificateInformation(certificateDER: der, at: now)
}
for kind in [CertificateKeyKind.p256, .ed25519] {
    let context = try TLSContext(identity: .ed25519(), configuration: .init(certificateKey: kind))
    try measure("mutual handshake, both ends, \(kind) certificates", count: 200) {
        let client = try context.makeClientSession(expecting: context.localPeer)
        let server = try context.makeServerSession()
        guard handshake(client, server) else { fatalError("the handshake failed") }
    }
}
let context = try TLSContext(identity: .ed25519())
let before = residentKiB()
for _ in 0..<5000 {
    let client = try context.makeClientSession(expecting: nil)
    let server = try context.makeServerSession()
    guard handshake(client, server) else { fatalError("the handshake failed") }
}
print("memory gained over 5000 more handshakes: \(residentKiB() - before) KiB")
