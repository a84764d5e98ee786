internal import SwiftASN1

/// The parts of an X.509 certificate (RFC 5280 §4.1) that libp2p's checks need, as slices of the DER given.
///
/// Parsing is strict DER throughout; nothing is interpreted beyond what the checks and the debugging view use.
struct ParsedCertificate {
    /// One entry of the certificate's extension list.
    struct Extension {
        var oid: ASN1ObjectIdentifier
        var isCritical: Bool
        var value: ArraySlice<UInt8>
    }

    /// An AlgorithmIdentifier: the object identifier, and the DER of the parameters where there are any.
    struct Algorithm {
        var oid: ASN1ObjectIdentifier
        var parameters: ArraySlice<UInt8>?
        var encoded: ArraySlice<UInt8>
    }

    /// The bytes that the certificate's signature is made over.
    var toBeSigned: ArraySlice<UInt8>
    /// The serial number, big-endian two's complement.
    var serialNumber: ArraySlice<UInt8>
    var signatureAlgorithm: Algorithm
    var issuer: ASN1Node
    /// Unix seconds, inclusive.
    var notBefore: Int64
    /// Unix seconds, inclusive.
    var notAfter: Int64
    var subject: ASN1Node
    /// The whole SubjectPublicKeyInfo, which the libp2p signature covers.
    var publicKeyInfo: ArraySlice<UInt8>
    var publicKeyAlgorithm: Algorithm
    var extensions: [Extension]
    var signature: ArraySlice<UInt8>

    /// Parses a certificate.
    ///
    /// Throws ``TLSError/Code/malformedCertificate``, or ``TLSError/Code/duplicateExtension`` when an extension stands
    /// there twice (RFC 5280 §4.2).
    init(der: [UInt8]) throws(TLSError) {
        do {
            self = try Self.parse(der)
        } catch let error as TLSError {
            throw error
        } catch {
            throw TLSError(.malformedCertificate, "The certificate is not strict X.509 DER.", cause: error)
        }
    }

    private init(
        toBeSigned: ArraySlice<UInt8>,
        outer: Algorithm,
        signature: ArraySlice<UInt8>,
        fields: inout ASN1NodeCollection.Iterator
    ) throws {
        self.toBeSigned = toBeSigned
        self.signature = signature
        signatureAlgorithm = outer

        let version = try DER.explicitlyTagged(&fields, tagNumber: 0, tagClass: .contextSpecific) { node in
            try Int(derEncoded: node)
        }
        guard version == 2 else { throw Self.malformed("It is X.509 version \(version + 1) and must be version 3.") }
        serialNumber = try ArraySlice<UInt8>(derEncoded: &fields)
        let inner = try Self.algorithm(Self.next(&fields))
        guard inner.encoded == outer.encoded else {
            throw Self.malformed("Its two signature algorithm fields differ.")
        }
        issuer = try Self.next(&fields)
        (notBefore, notAfter) = try DER.sequence(Self.next(&fields), identifier: .sequence) { nodes in
            (try Self.time(Self.next(&nodes)), try Self.time(Self.next(&nodes)))
        }
        subject = try Self.next(&fields)
        guard issuer.identifier == .sequence, subject.identifier == .sequence else {
            throw Self.malformed("Its issuer or subject is not a name.")
        }
        let keyInfo = try Self.next(&fields)
        publicKeyInfo = keyInfo.encodedBytes
        publicKeyAlgorithm = try DER.sequence(keyInfo, identifier: .sequence) { nodes in
            let algorithm = try Self.algorithm(Self.next(&nodes))
            let key = try ASN1BitString(derEncoded: &nodes)
            guard key.paddingBits == 0, !key.bytes.isEmpty else { throw Self.malformed("Its public key is no bytes.") }
            return algorithm
        }
        // Unique identifiers ([1] and [2]) are deprecated and libp2p's specification lets an endpoint refuse them.
        extensions =
            try DER.optionalExplicitlyTagged(&fields, tagNumber: 3, tagClass: .contextSpecific) { node in
                try Self.extensions(node)
            } ?? []
    }

    private static func parse(_ der: [UInt8]) throws -> ParsedCertificate {
        try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
            let toBeSigned = try next(&nodes)
            let algorithm = try algorithm(next(&nodes))
            let signature = try ASN1BitString(derEncoded: &nodes)
            guard signature.paddingBits == 0 else { throw malformed("Its signature is not whole bytes.") }
            return try DER.sequence(toBeSigned, identifier: .sequence) { fields in
                try ParsedCertificate(
                    toBeSigned: toBeSigned.encodedBytes,
                    outer: algorithm,
                    signature: signature.bytes,
                    fields: &fields
                )
            }
        }
    }

    private static func extensions(_ node: ASN1Node) throws -> [Extension] {
        let list = try DER.sequence(of: ExtensionNode.self, identifier: .sequence, rootNode: node).map(\.value)
        guard !list.isEmpty else { throw malformed("Its extension list is empty.") }
        var seen: Set<ASN1ObjectIdentifier> = []
        for entry in list where !seen.insert(entry.oid).inserted {
            throw TLSError(
                .duplicateExtension,
                "The certificate has the extension \(entry.oid) twice; an extension may stand there once."
            )
        }
        return list
    }

    /// The next element of a SEQUENCE.
    private static func next(_ nodes: inout ASN1NodeCollection.Iterator) throws -> ASN1Node {
        guard let node = nodes.next() else { throw malformed("It ends too early.") }
        return node
    }

    private static func algorithm(_ node: ASN1Node) throws -> Algorithm {
        try DER.sequence(node, identifier: .sequence) { nodes in
            let oid = try ASN1ObjectIdentifier(derEncoded: &nodes)
            return Algorithm(oid: oid, parameters: nodes.next()?.encodedBytes, encoded: node.encodedBytes)
        }
    }

    private static func time(_ node: ASN1Node) throws -> Int64 {
        if node.identifier == .utcTime {
            let time = try UTCTime(derEncoded: node)
            return CalendarTime(
                year: time.year,
                month: time.month,
                day: time.day,
                hours: time.hours,
                minutes: time.minutes,
                seconds: time.seconds
            ).unixSeconds
        }
        let time = try GeneralizedTime(derEncoded: node)
        guard time.rawFractionalSeconds.isEmpty else { throw malformed("Its validity has fractions of seconds.") }
        return CalendarTime(
            year: time.year,
            month: time.month,
            day: time.day,
            hours: time.hours,
            minutes: time.minutes,
            seconds: time.seconds
        ).unixSeconds
    }

    private static func malformed(_ detail: String) -> TLSError {
        TLSError(.malformedCertificate, "The certificate cannot be used. \(detail)")
    }
}

/// Adapts one extension to SwiftASN1's list parser.
private struct ExtensionNode: DERParseable {
    var value: ParsedCertificate.Extension

    init(derEncoded node: ASN1Node) throws {
        value = try DER.sequence(node, identifier: .sequence) { nodes in
            let oid = try ASN1ObjectIdentifier(derEncoded: &nodes)
            let isCritical = try DER.decodeDefault(&nodes, defaultValue: false)
            let value = try ASN1OctetString(derEncoded: &nodes)
            return ParsedCertificate.Extension(oid: oid, isCritical: isCritical, value: value.bytes)
        }
    }
}
