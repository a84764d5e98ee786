import Foundation
import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

/// SplitMix64: small, and the same everywhere for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// A file of vectors.
func vectors<File: Decodable>(_ name: String, as type: File.Type = File.self) throws -> File {
    let folder = try #require(Bundle.module.url(forResource: "Vectors", withExtension: nil))
    return try JSONDecoder().decode(File.self, from: Data(contentsOf: folder.appendingPathComponent(name)))
}

/// Bytes from hexadecimal text.
func bytes(hex: String) -> [UInt8] {
    var result: [UInt8] = []
    var rest = hex[...]
    while rest.count >= 2 {
        result.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
    }
    return result
}

/// Runs an operation that must throw a `HostError` and gives its code.
func code(_ operation: () async throws -> Void) async -> HostError.Code? {
    do {
        try await operation()
        return nil
    } catch {
        return (error as? HostError)?.code
    }
}

/// Two hosts on one network. The first listens.
func withTwoHosts(
    _ first: HostConfiguration = .defaults,
    _ second: HostConfiguration = .defaults,
    memory: MemoryConfiguration = .defaults,
    _ body: @Sendable (_ server: BasicHost, _ client: BasicHost) async throws -> Void
) async throws {
    let network = MemoryNetwork()
    let (serverKey, clientKey) = (PrivateKey.ed25519(), PrivateKey.ed25519())
    let serverTransport = MemoryTransport(identity: serverKey, network: network, configuration: memory)
    let clientTransport = MemoryTransport(identity: clientKey, network: network, configuration: memory)
    try await withHost(
        identity: serverKey,
        transports: [serverTransport],
        listen: ["/memory/0"],
        configuration: first
    ) { server in
        try await withHost(identity: clientKey, transports: [clientTransport], configuration: second) { client in
            try await body(server, client)
        }
    }
}

extension BasicHost {
    /// The first address listened on.
    var address: Multiaddr {
        get throws { try #require(listenAddresses.first) }
    }
}
