import ArgumentParser
import ExampleSupport
import Host
import Multiaddr
import NetStream
import PeerID
import QuicCore
import QuicTransport

extension InteropNode {
    /// What this implementation says where draft 29 is wanted of it, which the installed library does not speak.
    struct Versions: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Ask for draft 29 in each way there is, and print one JSON object with what came of each."
        )

        @Argument(help: "A listener that speaks draft 29 only, as /ip4/…/udp/…/quic-v1.", transform: quicAddress)
        var address: Multiaddr

        func run() async throws {
            let logger = makeLogger("interop-node")
            try await stoppingOnSignals(logger: logger) {
                let key = PrivateKey.ed25519()
                var results = Results()
                _ = await results.attempt(VersionCheck.configuration.rawValue) { try refuseConfiguration(for: key) }
                let quic = try makeTransport(identity: key, logger: logger)
                let target = address
                _ = await results.attempt(VersionCheck.address.rawValue) {
                    let endpoint = target.quicEndpoint
                    let draft = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/\(endpoint?.port ?? 0)/quic")
                    return try await refuse(draft, with: quic, as: .unsupportedVersion, naming: ["/quic", "draft 29"])
                }
                _ = await results.attempt(VersionCheck.dial.rawValue) {
                    try await refuse(target, with: quic, as: .versionNegotiation, naming: [])
                }
                await quic.close()
                try Output.json(results)
                guard results.passed else { throw ExampleError("draft 29 is not refused as it should be") }
            }
        }
    }
}

/// A transport that is to speak draft 29 cannot be made, and says which version and which library.
private func refuseConfiguration(for key: PrivateKey) throws -> String {
    var configuration = QuicConfiguration.defaults
    configuration.versions = [.v1, .draft29]
    do {
        _ = try QuicTransport(identity: key, configuration: configuration)
    } catch {
        try expect(error.code == .unsupportedVersion, "refused with another code: \(error)")
        for needed in [QuicVersion.draft29.description, "ngtcp2 \(QuicVersion.libraryVersion)"] {
            try expect("\(error)".contains(needed), "refused without naming \(needed): \(error)")
        }
        return "\(error)"
    }
    throw ExampleError("a transport that speaks draft 29 could be made")
}

/// Dials what cannot be dialed, and looks at the error.
private func refuse(
    _ address: Multiaddr,
    with transport: QuicTransport,
    as code: QuicError.Code,
    naming words: [String]
) async throws -> String {
    do {
        let connection = try await transport.dialQuic(address)
        await connection.close(code: .none, reason: "")
    } catch {
        try expect(error.code == code, "refused with another code than \(code): \(error)")
        for word in words { try expect("\(error)".contains(word), "refused without naming \(word): \(error)") }
        return "\(error)"
    }
    throw ExampleError("\(address) could be dialed")
}
