import CGnuTLS

/// ECDSA on the NIST curves by GnuTLS, over SHA-256, signatures in ASN.1 DER.
///
/// Public keys are a DER SubjectPublicKeyInfo (RFC 5480) with a named curve and an uncompressed point; private keys are
/// a DER ECPrivateKey (SEC 1 C.4, RFC 5915) with the curve and the public key, as Go's x509 package writes them.
enum ECDSA {
    /// What differs from curve to curve.
    struct Form: Sendable {
        var curve: gnutls_ecc_curve_t
        /// Bytes of a coordinate and of the private number.
        var size: Int
        /// The content of the curve's OBJECT IDENTIFIER.
        var identifier: [UInt8]
        /// The DER of a SubjectPublicKeyInfo up to and with the 0x04 that marks an uncompressed point. What follows are
        /// the two coordinates, so this prefix and the length are the whole grammar of a public key.
        var prefix: [UInt8]

        /// Length of a SubjectPublicKeyInfo.
        var publicSize: Int { prefix.count + 2 * size }
    }

    static let p256 = Form(
        curve: GNUTLS_ECC_CURVE_SECP256R1,
        size: 32,
        identifier: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        prefix: [0x30, 0x59, 0x30, 0x13] + ecPublicKey
            + [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04]
    )
    static let p384 = Form(
        curve: GNUTLS_ECC_CURVE_SECP384R1,
        size: 48,
        identifier: [0x2b, 0x81, 0x04, 0x00, 0x22],
        prefix: [0x30, 0x76, 0x30, 0x10] + ecPublicKey
            + [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04]
    )
    static let p521 = Form(
        curve: GNUTLS_ECC_CURVE_SECP521R1,
        size: 66,
        identifier: [0x2b, 0x81, 0x04, 0x00, 0x23],
        prefix: [0x30, 0x81, 0x9b, 0x30, 0x10] + ecPublicKey
            + [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04]
    )
    static let forms = [p256, p384, p521]

    /// The algorithm identifier id-ecPublicKey, tag and length included.
    private static let ecPublicKey: [UInt8] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]

    /// ASN.1 signatures of P-521 are the largest: 2 × (66 + 1 + 2) and a header of 3.
    private static let maximumSignatureSize = 141

    // MARK: Public keys

    /// Accepts an uncompressed point on one of the three curves.
    static func checkPublic(_ bytes: [UInt8]) throws(PeerIDError) {
        guard let form = forms.first(where: { bytes.count == $0.publicSize && bytes.starts(with: $0.prefix) }) else {
            throw PeerIDError(
                code: .malformedKey,
                message: """
                    the ECDSA public key is not a DER SubjectPublicKeyInfo with an uncompressed point of P-256, P-384 \
                    or P-521
                    """
            )
        }
        let key = try importPublic(bytes, form)
        let status = gnutls_pubkey_verify_params(key.pointer)
        guard status >= 0 else { throw GnuTLS.error(.malformedKey, "finds the ECDSA public key off its curve", status) }
    }

    static func isValid(_ signature: [UInt8], for message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard isStrictDER(signature),
            let form = forms.first(where: { publicKey.count == $0.publicSize && publicKey.starts(with: $0.prefix) }),
            let key = try? importPublic(publicKey, form)
        else { return false }
        return key.isValid(signature, hash: Sodium.sha256(message), algorithm: GNUTLS_SIGN_ECDSA_SHA256)
    }

    private static func importPublic(_ bytes: [UInt8], _ form: Form) throws(PeerIDError) -> PublicKeyHandle {
        let key = try PublicKeyHandle()
        let status = bytes.withUnsafeBytes { bytes in
            let start = form.prefix.count
            var x = gnutls_datum_t(lending: bytes.slice(start..<start + form.size))
            var y = gnutls_datum_t(lending: bytes.slice(start + form.size..<start + 2 * form.size))
            return gnutls_pubkey_import_ecc_raw(key.pointer, form.curve, &x, &y)
        }
        guard status >= 0 else { throw GnuTLS.error(.malformedKey, "cannot read the ECDSA public key", status) }
        return key
    }

    /// GnuTLS reads signatures as BER; only the one DER form of each is accepted here.
    private static func isStrictDER(_ signature: [UInt8]) -> Bool {
        guard signature.count <= maximumSignatureSize else { return false }
        let bytes = signature.span.bytes
        var outer = DERReader(0..<signature.count)
        do throws(PeerIDError) {
            var numbers = try outer.enter(DERReader.sequence, bytes)
            try outer.finish()
            _ = try numbers.readUnsigned(bytes)
            _ = try numbers.readUnsigned(bytes)
            try numbers.finish()
            return true
        } catch {
            return false
        }
    }

    // MARK: Private keys

    static func generate(_ curve: ECDSACurve) throws(PeerIDError) -> GnuTLSKeyParts {
        let form =
            switch curve {
            case .p256: p256
            case .p384: p384
            case .p521: p521
            }
        let key = try GnuTLSPrivateKey(algorithm: GNUTLS_SIGN_ECDSA_SHA256)
        let status = key.withHandle {
            gnutls_privkey_generate($0, GNUTLS_PK_ECDSA, cgnutls_curve_to_bits(form.curve), 0)
        }
        guard status >= 0 else { throw GnuTLS.error(.generationFailed, "cannot generate an ECDSA key", status) }

        var x = SecretDatum()
        var y = SecretDatum()
        var k = SecretDatum()
        let flags = UInt32(GNUTLS_EXPORT_FLAG_NO_LZ.rawValue)
        let exported = key.withHandle {
            gnutls_privkey_export_ecc_raw2($0, nil, &x.datum, &y.datum, &k.datum, flags)
        }
        guard exported >= 0 else { throw GnuTLS.error(.generationFailed, "cannot export the ECDSA key", exported) }
        return parts(form, key, x: x.bytes, y: y.bytes, k: k.bytes)
    }

    /// Takes a DER ECPrivateKey. A private number with its leading zeros cut off, as some writers do, is accepted.
    static func importPrivate(_ der: UnsafeRawBufferPointer) throws(PeerIDError) -> GnuTLSKeyParts {
        let (form, number, point) = try parsePrivate(der.bytes)
        let x = der.slice(point.lowerBound + 1..<point.lowerBound + 1 + form.size)
        let y = der.slice(point.upperBound - form.size..<point.upperBound)
        let k = der.slice(number)
        let key = try GnuTLSPrivateKey(algorithm: GNUTLS_SIGN_ECDSA_SHA256)
        var xDatum = gnutls_datum_t(lending: x)
        var yDatum = gnutls_datum_t(lending: y)
        var kDatum = gnutls_datum_t(lending: k)
        let status = key.withHandle {
            gnutls_privkey_import_ecc_raw($0, form.curve, &xDatum, &yDatum, &kDatum)
        }
        guard status >= 0 else { throw GnuTLS.error(.malformedKey, "cannot read the ECDSA private key", status) }
        let verified = key.withHandle { gnutls_privkey_verify_params($0) }
        guard verified >= 0 else {
            throw GnuTLS.error(.keyMismatch, "finds that the halves of the ECDSA key do not belong together", verified)
        }
        return parts(form, key, x: x, y: y, k: k)
    }

    /// Finds the curve, the private number and the uncompressed public point.
    private static func parsePrivate(
        _ bytes: RawSpan
    ) throws(PeerIDError) -> (form: Form, number: Range<Int>, point: Range<Int>) {
        var outer = DERReader(0..<bytes.byteCount)
        var key = try outer.enter(DERReader.sequence, bytes)
        try outer.finish()
        let version = try key.readUnsigned(bytes)
        guard bytes.holds([1], at: version) else { throw DERReader.malformed("is not an ECPrivateKey of version 1") }
        var number = try key.read(DERReader.octetString, bytes)

        var parameters = try key.enter(DERReader.explicit(0), bytes)
        let identifier = try parameters.read(DERReader.objectIdentifier, bytes)
        try parameters.finish()
        guard let form = forms.first(where: { bytes.holds($0.identifier, at: identifier) }) else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the ECDSA key is on none of the curves P-256, P-384 and P-521"
            )
        }

        guard !key.isAtEnd else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the ECDSA private key lacks its public key; write it again with the public key included"
            )
        }
        var publicKey = try key.enter(DERReader.explicit(1), bytes)
        let point = try publicKey.readBitString(bytes)
        try publicKey.finish()
        try key.finish()
        guard point.count == 1 + 2 * form.size, bytes.holds([0x04], at: point.lowerBound..<point.lowerBound + 1) else {
            throw PeerIDError(code: .malformedKey, message: "the ECDSA key's public point is not in uncompressed form")
        }

        while number.count > form.size, bytes.holds([0], at: number.lowerBound..<number.lowerBound + 1) {
            number = number.lowerBound + 1..<number.upperBound
        }
        guard 1...form.size ~= number.count else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the ECDSA private number has \(number.count) bytes; the curve has \(form.size)"
            )
        }
        return (form, number, point)
    }

    /// Writes both encodings.
    private static func parts(
        _ form: Form,
        _ key: GnuTLSPrivateKey,
        x: UnsafeRawBufferPointer,
        y: UnsafeRawBufferPointer,
        k: UnsafeRawBufferPointer
    ) -> GnuTLSKeyParts {
        let size = form.size
        // The writer goes backwards: the last field comes first.
        let secret = SecretBytes.der(capacity: 3 * size + 64) { writer in
            writer.element(DERReader.sequence) { key in
                key.element(DERReader.explicit(1)) { field in
                    field.bitString { point in
                        point.prepend(y, paddedTo: size)
                        point.prepend(x, paddedTo: size)
                        point.prepend([0x04])
                    }
                }
                key.element(DERReader.explicit(0)) { field in
                    field.element(DERReader.objectIdentifier) { $0.prepend(form.identifier) }
                }
                key.element(DERReader.octetString) { $0.prepend(k, paddedTo: size) }
                key.element(DERReader.integer) { $0.prepend([1]) }
            }
        }
        let publicKey = [UInt8](unsafeUninitializedCapacity: form.publicSize) { out, count in
            var writer = DERWriter(UnsafeMutableRawBufferPointer(out))
            writer.prepend(y, paddedTo: size)
            writer.prepend(x, paddedTo: size)
            writer.prepend(form.prefix)
            count = form.publicSize
        }
        return GnuTLSKeyParts(secret: secret, publicKey: publicKey, key: key)
    }
}
