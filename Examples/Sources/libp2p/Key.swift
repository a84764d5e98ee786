import ArgumentParser
import ExampleSupport
import PeerID

extension Libp2p {
    struct Key: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Make key files and look into them.",
            subcommands: [Generate.self, Inspect.self]
        )
    }
}

/// What a key can be made of.
private enum KeyKind: String, ExpressibleByArgument, CaseIterable {
    case ed25519, secp256k1, ecdsa, rsa
}

/// What is said about a key: never the private part.
private struct KeyReport: Encodable {
    var type = "key"
    var keyType: String
    var peer: String
    var cid: String
    var publicKey: String

    init(_ key: PrivateKey) {
        keyType = key.type.description
        peer = key.peerID.description
        cid = key.peerID.cid
        publicKey = hexadecimal(key.publicKey.protobuf)
    }

    func write(json: Bool) throws {
        guard !json else { return try Output.json(self) }
        for line in ["key: \(keyType)", "peer: \(peer)", "cid: \(cid)", "public key: \(publicKey)"] {
            Output.line(line)
        }
    }
}

extension Libp2p.Key {
    struct Generate: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Make a key and write it to a new file that only you can read."
        )

        @Option(name: .customLong("type"), help: "ed25519, secp256k1, ecdsa (P-256) or rsa.")
        private var kind = KeyKind.ed25519

        @Option(help: "The size of an RSA key, 2048 to 8192.")
        var bits: Int?

        @Flag(help: "Print one JSON object instead of text.")
        var json = false

        @Argument(help: "The file. It must not exist.")
        var file: String

        func validate() throws {
            guard let bits else { return }
            guard kind == .rsa else { throw ValidationError("--bits is for --type rsa") }
            guard (2048...8192).contains(bits), bits.isMultiple(of: 8) else {
                throw ValidationError("--bits has to be a multiple of 8 from 2048 to 8192")
            }
        }

        func run() async throws {
            var made: PrivateKey?
            let makeKey = { () throws(PeerIDError) -> PrivateKey in
                let key: PrivateKey =
                    switch kind {
                    case .ed25519: .ed25519()
                    case .secp256k1: try .secp256k1()
                    case .ecdsa: try .ecdsa()
                    case .rsa: try .rsa(bits: bits ?? 2048)
                    }
                made = key
                return key
            }
            let key = try KeyFile.loadOrCreate(path: file, makeKey: makeKey)
            guard let made, made == key else {
                throw ExampleError("\(file) holds a key already; it was left as it is")
            }
            try KeyReport(key).write(json: json)
        }
    }

    struct Inspect: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Say whose key is in a file. Nothing secret is printed."
        )

        @Flag(help: "Print one JSON object instead of text.")
        var json = false

        @Argument(help: "The key file.")
        var file: String

        func run() async throws {
            try KeyReport(KeyFile.load(path: file) { complain("\($0)") }).write(json: json)
        }
    }
}
