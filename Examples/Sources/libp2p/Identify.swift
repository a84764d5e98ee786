import ArgumentParser
import ExampleSupport
import Host
import Multiaddr
import PeerID

extension Libp2p {
    struct Identify: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            commandName: "id",
            abstract: "Ask a peer who it is, what it speaks and where it listens."
        )

        @OptionGroup var dial: DialOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withPeer(dial, common) { [common] host, peer in
                let info = try await host.identify(peer)
                if common.json {
                    try Output.json(IdentifyReport(info))
                } else {
                    for line in IdentifyReport(info).lines { Output.line(line) }
                }
            }
        }
    }
}

/// What a peer told, to be printed. Its texts are a stranger's: what would steer a terminal is shown as `?`.
private struct IdentifyReport: Encodable {
    var type = "identify"
    var peer: String
    var keyType: String
    var agentVersion: String
    var protocolVersion: String
    var observedAddress: String?
    var recordSequence: UInt64?
    var listenAddresses: [String]
    var protocols: [String]

    init(_ info: IdentifyInfo) {
        peer = info.peer.description
        keyType = info.publicKey.type.description
        agentVersion = printable(info.agentVersion)
        protocolVersion = printable(info.protocolVersion)
        observedAddress = info.observedAddress?.description
        recordSequence = info.record?.sequence
        listenAddresses = info.listenAddresses.map(\.description)
        protocols = info.protocols.map(printable)
    }

    var lines: [String] {
        [
            "peer: \(peer)", "key: \(keyType)", "agent: \(agentVersion)", "protocol version: \(protocolVersion)",
            "sees us at: \(observedAddress ?? "does not say")",
            "signed record: \(recordSequence.map { "number \($0)" } ?? "none")",
        ] + listenAddresses.map { "listens on: \($0)" } + protocols.map { "speaks: \($0)" }
    }
}

private func printable(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: "?"
                default: scalar
                }
            }
        )
    )
}
