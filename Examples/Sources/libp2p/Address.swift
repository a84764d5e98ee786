import ArgumentParser
import ExampleSupport
import Multiaddr
import PeerID

extension Libp2p {
    struct Address: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            commandName: "addr",
            abstract: "Look into multiaddresses.",
            subcommands: [Parse.self]
        )
    }
}

extension Libp2p.Address {
    struct Parse: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Take an address apart.")

        @Flag(help: "Print one JSON object instead of text.")
        var json = false

        @Argument(help: "The address, in text.", transform: anyAddress)
        var address: Multiaddr

        func run() async throws {
            let report = AddressReport(address)
            if json { return try Output.json(report) }
            Output.line("address: \(report.address)")
            Output.line("bytes: \(report.bytes)")
            for component in report.components {
                Output.line("component: \(component.name) (\(component.code)) \(component.value ?? "")".trimmedEnd)
            }
            Output.line("quic: \(report.quic.map { "host \($0.host), port \($0.port), \($0.version)" } ?? "no")")
            Output.line("peer: \(report.peer ?? "none")")
        }
    }
}

private func anyAddress(_ text: String) throws -> Multiaddr {
    do throws(MultiaddrError) {
        return try Multiaddr(parsing: text)
    } catch {
        throw ValidationError("bad address '\(text)': \(error.message)")
    }
}

private struct AddressReport: Encodable {
    struct Component: Encodable {
        var name: String
        var code: UInt64
        var value: String?
    }

    struct Quic: Encodable {
        var host: String
        var port: UInt16
        var version: String
    }

    var type = "address"
    var address: String
    var bytes: String
    var components: [Component]
    var quic: Quic?
    var peer: String?

    init(_ parsed: Multiaddr) {
        address = parsed.description
        bytes = hexadecimal(parsed.bytes)
        components = parsed.components.map {
            Component(name: $0.proto.name ?? "unknown", code: $0.proto.rawValue, value: $0.text)
        }
        quic = parsed.quicEndpoint.map {
            Quic(host: $0.host.description, port: $0.port, version: $0.version == .v1 ? "version 1" : "draft 29")
        }
        peer = parsed.peerID?.description
    }
}

extension String {
    fileprivate var trimmedEnd: String { hasSuffix(" ") ? String(dropLast()) : self }
}
