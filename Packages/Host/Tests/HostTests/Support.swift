import Foundation
import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

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

/// The error of a stream that an operation ends with. A reset may overtake the answer to a proposal, and then it is opening
/// the stream that fails.
func streamError(_ operation: () async throws -> Void) async -> NetStreamError? {
    do {
        try await operation()
        return nil
    } catch {
        return error as? NetStreamError ?? (error as? HostError)?.cause as? NetStreamError
    }
}

extension BasicHost {
    /// The first address listened on.
    var address: Multiaddr {
        get throws { try #require(listenAddresses.first) }
    }
}
