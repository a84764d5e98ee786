internal import SwiftASN1

/// What a certificate says, for people who debug; nothing here is verified. See ``CertificateVerifier`` for that.
public struct CertificateInformation: Sendable, Hashable {
    /// The subject's name, such as `O=libp2p.io, serialNumber=1`; empty where the certificate names none.
    public var subject: String
    /// The issuer's name.
    public var issuer: String
    /// The serial number in hexadecimal, without leading zeros.
    public var serialNumber: String
    /// First second of validity, in seconds since 1970 (UTC).
    public var notBefore: Int64
    /// Last second of validity, in seconds since 1970 (UTC).
    public var notAfter: Int64
    /// The object identifier of the signature's algorithm, in dotted form.
    public var signatureAlgorithm: String
    /// Whether the libp2p extension is there.
    public var hasLibp2pExtension: Bool
    /// Whether the time given lies in the validity.
    public var isCurrentlyValid: Bool
    /// Whether the private key at hand is the one of the certificate; `nil` for a certificate of somebody else.
    public var matchesPrivateKey: Bool?

    /// Reads a certificate.
    ///
    /// - Parameters:
    ///   - certificateDER: the certificate in DER, at most ``CertificateVerifier/maximumCertificateSize`` bytes.
    ///   - unixSeconds: the time for ``isCurrentlyValid``, in seconds since 1970 (UTC).
    /// - Throws: ``TLSError`` with ``TLSError/Code/certificateTooLarge``, ``TLSError/Code/malformedCertificate`` or
    ///   ``TLSError/Code/duplicateExtension``.
    public init(certificateDER: [UInt8], at unixSeconds: Int64) throws(TLSError) {
        try self.init(certificateDER: certificateDER, at: unixSeconds, privateKeyInfo: nil)
    }

    /// - Parameter privateKeyInfo: the SubjectPublicKeyInfo derived from the private key at hand.
    init(certificateDER: [UInt8], at unixSeconds: Int64, privateKeyInfo: [UInt8]?) throws(TLSError) {
        guard certificateDER.count <= CertificateVerifier.maximumCertificateSize else {
            throw TLSError(
                .certificateTooLarge,
                "The certificate has \(certificateDER.count) bytes, which is too many."
            )
        }
        let certificate = try ParsedCertificate(der: certificateDER)
        subject = Self.text(certificate.subject)
        issuer = Self.text(certificate.issuer)
        serialNumber = Self.hexadecimal(certificate.serialNumber)
        notBefore = certificate.notBefore
        notAfter = certificate.notAfter
        signatureAlgorithm = "\(certificate.signatureAlgorithm.oid)"
        hasLibp2pExtension = certificate.extensions.contains { $0.oid == SignedKeyExtension.oid }
        isCurrentlyValid = (notBefore...max(notBefore, notAfter)).contains(unixSeconds)
        matchesPrivateKey = privateKeyInfo.map { $0[...] == certificate.publicKeyInfo }
    }

    /// A name in the order of the certificate; parts that are no text are shown as `?`.
    private static func text(_ name: ASN1Node) -> String {
        guard case .constructed(let sets) = name.content else { return "" }
        return sets.compactMap { set -> String? in
            guard case .constructed(let pairs) = set.content else { return nil }
            return pairs.compactMap(attribute).joined(separator: "+")
        }.joined(separator: ", ")
    }

    private static func attribute(_ pair: ASN1Node) -> String? {
        guard case .constructed(let parts) = pair.content else { return nil }
        var iterator = parts.makeIterator()
        guard let type = iterator.next(), let value = iterator.next(),
            let oid = try? ASN1ObjectIdentifier(derEncoded: type)
        else { return nil }
        let text: String =
            if case .primitive(let bytes) = value.content, let text = String(validating: bytes, as: UTF8.self) {
                text
            } else {
                "?"
            }
        return "\(names[oid] ?? "\(oid)")=\(text)"
    }

    private static let names: [ASN1ObjectIdentifier: String] = [
        [2, 5, 4, 3]: "CN", [2, 5, 4, 5]: "serialNumber", [2, 5, 4, 6]: "C", [2, 5, 4, 7]: "L", [2, 5, 4, 8]: "ST",
        [2, 5, 4, 10]: "O", [2, 5, 4, 11]: "OU",
    ]

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
        let text = bytes.drop { $0 == 0 }.map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        return text.isEmpty ? "00" : text
    }
}

extension CertificateInformation: CustomStringConvertible {
    /// Several lines for a terminal or a log.
    public var description: String {
        func time(_ seconds: Int64) -> String { CalendarTime(unixSeconds: seconds)?.text ?? "\(seconds)" }
        var lines = [
            "subject: \(subject)",
            "issuer: \(issuer)",
            "serial number: \(serialNumber)",
            "valid: \(time(notBefore)) to \(time(notAfter))\(isCurrentlyValid ? "" : " (not now)")",
            "signature algorithm: \(signatureAlgorithm)",
            "libp2p extension: \(hasLibp2pExtension ? "present" : "missing")",
        ]
        if let matchesPrivateKey { lines.append("matches private key: \(matchesPrivateKey ? "yes" : "no")") }
        return lines.joined(separator: "\n")
    }
}
