import CAllocationCount
import Multiaddr

/// Prints nanoseconds and allocations per operation: the best of seven rounds.
func measure(_ name: String, _ operation: () throws -> Int) rethrows {
    let count = 20_000
    var best = Double.infinity
    var sink = 0
    var allocations = 0.0
    for _ in 0..<7 {
        let before = allocation_count()
        let time = try ContinuousClock().measure { for _ in 0..<count { sink &+= try operation() } }
        allocations = Double(allocation_count() - before) / Double(count)
        best = min(best, Double(time.components.attoseconds) / 1e9 / Double(count))
    }
    let padding = String(repeating: " ", count: max(1, 44 - name.count))
    let rounded = Double(Int(allocations * 100 + 0.5)) / 100
    print("\(name)\(padding)\(Int(best + 0.5)) ns  \(rounded) allocations  (\(sink & 1))")
}

let plainText = "/ip4/127.0.0.1/udp/4001/quic-v1"
let peerText = plainText + "/p2p/12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"
let ip6Text = "/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21/udp/1234/quic-v1"
let peer = try Multiaddr(parsing: peerText)
let ip6 = try Multiaddr(parsing: ip6Text)
let bytes = peer.bytes
let hash = peer.peerIDBytes ?? []
let base58 = Base58BTC.encode(hash)

try measure("parse /ip4/udp/quic-v1") { try Multiaddr(parsing: plainText).bytes.count }
try measure("parse /ip4/udp/quic-v1/p2p") { try Multiaddr(parsing: peerText).bytes.count }
try measure("parse /ip6/udp/quic-v1") { try Multiaddr(parsing: ip6Text).bytes.count }
try measure("read binary /ip4/udp/quic-v1/p2p") { try Multiaddr(bytes: bytes).bytes.count }
measure("print /ip4/udp/quic-v1/p2p") { peer.description.utf8.count }
measure("print /ip6/udp/quic-v1") { ip6.description.utf8.count }
measure("isQuic") { peer.isQuic ? 1 : 0 }
measure("quicEndpoint") { Int(peer.quicEndpoint?.port ?? 0) }
measure("peerIDBytes") { peer.peerIDBytes?.count ?? 0 }
measure("base58btc encode 38 bytes") { Base58BTC.encode(hash).utf8.count }
try measure("base58btc decode 52 characters") { try Base58BTC.decode(base58).count }
