import ArgumentParser
import ExampleSupport
import FoundationEssentials
import Libp2pTLS
import PeerID

extension Libp2p {
    struct Certificate: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            commandName: "cert",
            abstract: "Look into libp2p's TLS certificates.",
            subcommands: [Inspect.self]
        )
    }
}

extension Libp2p.Certificate {
    struct Inspect: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Say what a certificate holds and which peer it proves. Fails when it proves none."
        )

        @Option(help: "The peer that it has to prove.", transform: peerID)
        var peer: PeerID?

        @Flag(help: "Print one JSON object instead of text.")
        var json = false

        @Argument(help: "The certificate, in PEM or DER; '-' is standard input.")
        var file: String

        func run() async throws {
            let der = try derBytes(await content(of: file))
            let now = Int64(Date().timeIntervalSince1970)
            let information: CertificateInformation
            do throws(TLSError) {
                information = try CertificateInformation(certificateDER: der, at: now)
            } catch {
                throw ExampleError("\(file) holds no certificate: \(error.message)")
            }
            var verdict = "libp2p: proves no peer"
            var proved: PeerID?
            var problem: TLSError?
            do throws(TLSError) {
                let verified = try CertificateVerifier.verify(certificateDER: der, at: now, expecting: peer)
                proved = verified.publicKey.peerID
                verdict = "libp2p: proves \(verified.publicKey.peerID) (\(verified.publicKey.type))"
            } catch {
                problem = error
            }
            if json {
                try Output.json(CertificateReport(information, peer: proved, problem: problem?.message))
            } else {
                Output.line(information.description)
                Output.line(verdict)
            }
            if let problem { throw ExampleError("the certificate is not valid for libp2p: \(problem.message)") }
        }
    }
}

private func peerID(_ text: String) throws -> PeerID {
    do throws(PeerIDError) {
        return try PeerID(parsing: text)
    } catch {
        throw ValidationError("'\(text)' is no peer ID: \(error.message)")
    }
}

/// The bytes of a file or of standard input; no certificate is longer than the limit.
private func content(of path: String) async throws -> [UInt8] {
    let limit = 2 * CertificateVerifier.maximumCertificateSize
    var bytes: [UInt8] = []
    for try await chunk in path == "-" ? Payload.standardInput : try Payload.file(path) {
        bytes += chunk
        guard bytes.count <= limit else { throw ExampleError("\(path) is longer than any certificate") }
    }
    return bytes
}

/// The certificate in DER: the first one of a PEM file.
private func derBytes(_ content: [UInt8]) throws -> [UInt8] {
    let text = String(decoding: content, as: UTF8.self)
    guard let begin = text.firstRange(of: "-----BEGIN CERTIFICATE-----") else { return content }
    guard let end = text[begin.upperBound...].firstRange(of: "-----END CERTIFICATE-----"),
        let data = Data(
            base64Encoded: String(text[begin.upperBound..<end.lowerBound]),
            options: .ignoreUnknownCharacters
        )
    else { throw ExampleError("the PEM text is cut off or damaged") }
    return Array(data)
}

private struct CertificateReport: Encodable {
    var type = "certificate"
    var subject: String
    var issuer: String
    var serialNumber: String
    var notBefore: Int64
    var notAfter: Int64
    var isCurrentlyValid: Bool
    var signatureAlgorithm: String
    var hasLibp2pExtension: Bool
    var peer: String?
    var problem: String?

    init(_ information: CertificateInformation, peer: PeerID?, problem: String?) {
        subject = information.subject
        issuer = information.issuer
        serialNumber = information.serialNumber
        notBefore = information.notBefore
        notAfter = information.notAfter
        isCurrentlyValid = information.isCurrentlyValid
        signatureAlgorithm = information.signatureAlgorithm
        hasLibp2pExtension = information.hasLibp2pExtension
        self.peer = peer?.description
        self.problem = problem
    }
}
