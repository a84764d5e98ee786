internal import CGnuTLS
internal import PeerID
internal import SwiftASN1

/// A host's certificate and the ephemeral key in it, freshly made.
///
/// The certificate is signed by its own key and carries the signature of the host's identity in the libp2p extension,
/// so it can be thrown away and made anew at any time.
final class HostCertificate {
    /// The certificate in DER.
    let der: [UInt8]
    /// First second of validity, since 1970.
    let notBefore: Int64
    /// Last second of validity, since 1970.
    let notAfter: Int64
    /// The ephemeral key.
    let key: CertificatePrivateKey

    /// Makes a certificate.
    ///
    /// Throws ``TLSError/Code/certificateGeneration``.
    init(identity: PrivateKey, configuration: TLSConfiguration, at now: Int64) throws(TLSError) {
        key = try CertificatePrivateKey(kind: configuration.certificateKey)
        (notBefore, notAfter) = try Self.validity(configuration, at: now)
        let signedKey = try SignedKeyExtension(signing: key.publicKeyInfo, with: identity)
        let serial = try Self.randomSerial()
        let toBeSigned = try Self.toBeSigned(
            serial: serial,
            notBefore: notBefore,
            notAfter: notAfter,
            key: key,
            extensionValue: signedKey.der
        )
        let signature = try key.sign(toBeSigned)
        let algorithm = key.kind.algorithmIdentifier
        var serializer = DER.Serializer()
        serializer.appendConstructedNode(identifier: .sequence) { certificate in
            certificate.serializeRawBytes(toBeSigned)
            certificate.serializeRawBytes(algorithm)
            certificate.appendPrimitiveNode(identifier: .bitString) { $0 += [0] + signature }
        }
        der = serializer.serializedBytes
    }

    private static func validity(
        _ configuration: TLSConfiguration,
        at now: Int64
    ) throws(TLSError) -> (Int64, Int64) {
        let (notBefore, early) = now.subtractingReportingOverflow(configuration.backdateSeconds)
        let (notAfter, late) = now.addingReportingOverflow(Int64(configuration.validityDays) * 86_400)
        guard !early, !late, CalendarTime(unixSeconds: notBefore) != nil, CalendarTime(unixSeconds: notAfter) != nil
        else {
            throw TLSError(
                .certificateGeneration,
                "No certificate can express a validity around the time \(now): set the clock."
            )
        }
        return (notBefore, notAfter)
    }

    /// 128 bits, positive and not zero (RFC 5280 §4.1.2.2).
    private static func randomSerial() throws(TLSError) -> [UInt8] {
        var serial = [UInt8](repeating: 0, count: 16)
        let result = gnutls_rnd(GNUTLS_RND_NONCE, &serial, serial.count)
        try check(result, "Drawing a random serial number", code: .certificateGeneration)
        serial[0] = serial[0] & 0x3f | 0x40
        return serial
    }

    /// The TBSCertificate (RFC 5280 §4.1.2).
    private static func toBeSigned(
        serial: [UInt8],
        notBefore: Int64,
        notAfter: Int64,
        key: CertificatePrivateKey,
        extensionValue: [UInt8]
    ) throws(TLSError) -> [UInt8] {
        let algorithm = key.kind.algorithmIdentifier
        let name = distinguishedName(serial: serial)
        var serializer = DER.Serializer()
        do {
            try serializer.appendConstructedNode(identifier: .sequence) { body in
                try body.serialize(2, explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific)
                body.appendPrimitiveNode(identifier: .integer) { $0 += serial }
                body.serializeRawBytes(algorithm)
                body.serializeRawBytes(name)
                body.appendConstructedNode(identifier: .sequence) { validity in
                    validity.appendTime(notBefore)
                    validity.appendTime(notAfter)
                }
                body.serializeRawBytes(name)
                body.serializeRawBytes(key.publicKeyInfo)
                let extensions = ASN1Identifier(tagWithNumber: 3, tagClass: .contextSpecific)
                try body.appendConstructedNode(identifier: extensions) { tagged in
                    try tagged.appendConstructedNode(identifier: .sequence) { list in
                        try list.appendConstructedNode(identifier: .sequence) { entry in
                            // Not critical: some TLS stacks refuse critical extensions before libp2p sees them.
                            try entry.serialize(SignedKeyExtension.oid)
                            entry.appendOctetString(extensionValue)
                        }
                    }
                }
            }
        } catch {
            throw TLSError(.certificateGeneration, "The certificate could not be encoded.", cause: error)
        }
        return serializer.serializedBytes
    }

    /// `O=libp2p.io, serialNumber=…`: says nothing about the host and differs for each certificate.
    private static func distinguishedName(serial: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        let hexadecimal = serial.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        let attributes: [(type: [UInt8], value: [UInt8])] = [
            ([0x55, 4, 10], Array("libp2p.io".utf8)), ([0x55, 4, 5], hexadecimal),
        ]
        var serializer = DER.Serializer()
        serializer.appendConstructedNode(identifier: .sequence) { name in
            for attribute in attributes {
                name.appendConstructedNode(identifier: .set) { set in
                    set.appendConstructedNode(identifier: .sequence) { pair in
                        pair.appendPrimitiveNode(identifier: .objectIdentifier) { $0 += attribute.type }
                        pair.appendPrimitiveNode(identifier: .printableString) { $0 += attribute.value }
                    }
                }
            }
        }
        return serializer.serializedBytes
    }
}

extension DER.Serializer {
    /// Appends a time of a certificate; a time no certificate can express becomes the last one it can.
    fileprivate mutating func appendTime(_ unixSeconds: Int64) {
        let last = CalendarTime(year: 9999, month: 12, day: 31, hours: 23, minutes: 59, seconds: 59)
        let (isUTCTime, text) = (CalendarTime(unixSeconds: unixSeconds) ?? last).certificateText
        appendPrimitiveNode(identifier: isUTCTime ? .utcTime : .generalizedTime) { $0 += Array(text.utf8) }
    }
}
