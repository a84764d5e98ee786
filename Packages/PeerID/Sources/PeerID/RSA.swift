import CGnuTLS

/// RSA of 2048 to 8192 bits by GnuTLS, PKCS#1 v1.5 signatures over SHA-256.
///
/// Public keys are a DER SubjectPublicKeyInfo (RFC 3279 §2.3.1), private keys a DER RSAPrivateKey (PKCS#1, RFC 8017
/// A.1.2). Sizes are read off the DER and checked before any number reaches the arithmetic.
enum RSA {
    /// Allowed sizes of the modulus in bits; the same as go-libp2p's.
    static let allowedBits = 2048...8192

    /// rsaEncryption, the content of the OBJECT IDENTIFIER.
    private static let identifier: [UInt8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]

    // MARK: Public keys

    /// Where modulus and exponent are in a SubjectPublicKeyInfo that has passed every check.
    private static func parsePublic(_ bytes: RawSpan) throws(PeerIDError) -> (modulus: Range<Int>, exponent: Range<Int>)
    {
        var outer = DERReader(0..<bytes.byteCount)
        var info = try outer.enter(DERReader.sequence, bytes)
        try outer.finish()
        var algorithm = try info.enter(DERReader.sequence, bytes)
        let found = try algorithm.read(DERReader.objectIdentifier, bytes)
        guard bytes.holds(identifier, at: found) else { throw DERReader.malformed("is not that of an RSA key") }
        guard try algorithm.read(DERReader.null, bytes).isEmpty else {
            throw DERReader.malformed("has a NULL with content")
        }
        try algorithm.finish()
        var content = DERReader(try info.readBitString(bytes))
        try info.finish()
        var key = try content.enter(DERReader.sequence, bytes)
        try content.finish()
        let modulus = try key.readUnsigned(bytes)
        let exponent = try key.readUnsigned(bytes)
        try key.finish()
        try check(modulus: modulus, exponent: exponent, bytes)
        return (modulus, exponent)
    }

    /// Modulus of an allowed size and odd; exponent odd, at least 3, at most 2^31 - 1 (Go's limit).
    private static func check(modulus: Range<Int>, exponent: Range<Int>, _ bytes: RawSpan) throws(PeerIDError) {
        let bits = bitCount(modulus, bytes)
        guard allowedBits ~= bits else { throw sizeNotAllowed(bits) }
        guard isOdd(modulus, bytes) else {
            throw PeerIDError(code: .malformedKey, message: "the RSA modulus is even; the key is damaged or forged")
        }
        guard bitCount(exponent, bytes) <= 31, bitCount(exponent, bytes) >= 2, isOdd(exponent, bytes) else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the RSA public exponent is even, below 3 or above 2^31 - 1; use a key with the usual 65537"
            )
        }
    }

    static func checkPublic(_ bytes: [UInt8]) throws(PeerIDError) {
        _ = try parsePublic(bytes.span.bytes)
    }

    static func isValid(_ signature: [UInt8], for message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard let (modulus, exponent) = try? parsePublic(publicKey.span.bytes),
            // RFC 8017 §8.2.2: a signature is exactly as long as the modulus.
            signature.count == modulus.count,
            let key = try? PublicKeyHandle()
        else { return false }
        let status = publicKey.withUnsafeBytes { bytes in
            var modulus = gnutls_datum_t(lending: bytes.slice(modulus))
            var exponent = gnutls_datum_t(lending: bytes.slice(exponent))
            return gnutls_pubkey_import_rsa_raw(key.pointer, &modulus, &exponent)
        }
        guard status >= 0 else { return false }
        return key.isValid(signature, hash: Sodium.sha256(message), algorithm: GNUTLS_SIGN_RSA_SHA256)
    }

    // MARK: Private keys

    static func generate(bits: Int) throws(PeerIDError) -> GnuTLSKeyParts {
        guard allowedBits ~= bits else { throw sizeNotAllowed(bits) }
        let key = try GnuTLSPrivateKey(algorithm: GNUTLS_SIGN_RSA_SHA256)
        let status = key.withHandle { gnutls_privkey_generate($0, GNUTLS_PK_RSA, UInt32(bits), 0) }
        guard status >= 0 else { throw GnuTLS.error(.generationFailed, "cannot generate an RSA key", status) }

        return try export(key, bits: bits)
    }

    /// Writes both encodings of a key that is in GnuTLS.
    private static func export(_ key: GnuTLSPrivateKey, bits: Int) throws(PeerIDError) -> GnuTLSKeyParts {
        var n = SecretDatum()
        var e = SecretDatum()
        var d = SecretDatum()
        var p = SecretDatum()
        var q = SecretDatum()
        var u = SecretDatum()
        var dp = SecretDatum()
        var dq = SecretDatum()
        let exported = key.withHandle {
            gnutls_privkey_export_rsa_raw2(
                $0,
                &n.datum,
                &e.datum,
                &d.datum,
                &p.datum,
                &q.datum,
                &u.datum,
                &dp.datum,
                &dq.datum,
                0
            )
        }
        guard exported >= 0 else { throw GnuTLS.error(.generationFailed, "cannot export the RSA key", exported) }
        // Nine numbers, each with a header of at most 5 bytes; together less than five times the modulus.
        let secret = SecretBytes.der(capacity: bits / 8 * 5 + 128) { writer in
            writer.element(DERReader.sequence) { fields in
                // The writer goes backwards: the last field comes first.
                fields.unsigned(u.bytes)
                fields.unsigned(dq.bytes)
                fields.unsigned(dp.bytes)
                fields.unsigned(q.bytes)
                fields.unsigned(p.bytes)
                fields.unsigned(d.bytes)
                fields.unsigned(e.bytes)
                fields.unsigned(n.bytes)
                fields.element(DERReader.integer) { $0.prepend([0]) }
            }
        }
        let publicKey = encodePublic(modulus: n.bytes, exponent: e.bytes)
        return GnuTLSKeyParts(secret: secret, publicKey: publicKey, key: key)
    }

    /// Takes a DER RSAPrivateKey of two primes. All its numbers must agree: they are compared with what
    /// GnuTLS computes, and a test signature is made.
    static func importPrivate(_ der: UnsafeRawBufferPointer) throws(PeerIDError) -> GnuTLSKeyParts {
        let fields = try parsePrivate(der.bytes)
        let key = try GnuTLSPrivateKey(algorithm: GNUTLS_SIGN_RSA_SHA256)
        var numbers = fields.map { gnutls_datum_t(lending: der.slice($0)) }
        // PKCS#1 order: n, e, d, p, q, d mod (p-1), d mod (q-1), q^-1 mod p. GnuTLS wants the last one sixth.
        let status = numbers.withUnsafeMutableBufferPointer { number in
            key.withHandle {
                gnutls_privkey_import_rsa_raw(
                    $0,
                    &number[0],
                    &number[1],
                    &number[2],
                    &number[3],
                    &number[4],
                    &number[7],
                    &number[5],
                    &number[6]
                )
            }
        }
        guard status >= 0 else { throw GnuTLS.error(.malformedKey, "cannot read the RSA private key", status) }
        let verified = key.withHandle { gnutls_privkey_verify_params($0) }
        guard verified >= 0 else {
            throw GnuTLS.error(.keyMismatch, "finds that the numbers of the RSA key do not belong together", verified)
        }
        // GnuTLS computes the last three numbers itself; where they were given wrongly, this writes other bytes.
        let parts = try export(key, bits: fields[0].count * 8)
        guard parts.secret.isEqual(to: SecretBytes(copying: der.bytes)) else {
            throw PeerIDError(code: .keyMismatch, message: "the numbers of the RSA private key do not belong together")
        }
        let probe = [UInt8]("key test".utf8)
        guard let signature = try? key.sign(hash: Sodium.sha256(probe)),
            isValid(signature, for: probe, publicKey: parts.publicKey)
        else {
            throw PeerIDError(code: .keyMismatch, message: "the RSA private key does not fit its own public key")
        }
        return parts
    }

    /// Finds the eight numbers of an RSAPrivateKey in their order there, and checks sizes.
    private static func parsePrivate(_ bytes: RawSpan) throws(PeerIDError) -> [Range<Int>] {
        var outer = DERReader(0..<bytes.byteCount)
        var key = try outer.enter(DERReader.sequence, bytes)
        try outer.finish()
        let version = try key.readUnsigned(bytes)
        guard bytes.holds([0], at: version) else {
            throw DERReader.malformed("is not an RSAPrivateKey of version 0, with two primes")
        }
        var fields: [Range<Int>] = []
        for _ in 0..<8 { fields.append(try key.readUnsigned(bytes)) }
        try key.finish()
        let modulus = fields[0]
        try check(modulus: modulus, exponent: fields[1], bytes)
        // No private number may be longer than the modulus, and no prime much shorter than its square root: that bounds
        // the arithmetic of the checks that follow. Odd primes are what modular exponentiation relies on.
        let primesFit = fields[3...4].allSatisfy { prime in
            prime.count >= modulus.count / 4 && prime.count < modulus.count && isOdd(prime, bytes)
        }
        guard primesFit, fields[2...].allSatisfy({ $0.count <= modulus.count }) else {
            throw PeerIDError(code: .malformedKey, message: "the RSA private key's numbers do not fit its modulus")
        }
        return fields
    }

    private static func encodePublic(modulus: UnsafeRawBufferPointer, exponent: UnsafeRawBufferPointer) -> [UInt8] {
        var result: [UInt8] = []
        withUnsafeTemporaryAllocation(byteCount: modulus.count + exponent.count + 64, alignment: 1) { buffer in
            var writer = DERWriter(buffer)
            writer.element(DERReader.sequence) { info in
                info.bitString { content in
                    content.element(DERReader.sequence) { key in
                        key.unsigned(exponent)
                        key.unsigned(modulus)
                    }
                }
                info.element(DERReader.sequence) { algorithm in
                    algorithm.element(DERReader.null) { _ in }
                    algorithm.element(DERReader.objectIdentifier) { $0.prepend(identifier) }
                }
            }
            result = [UInt8](writer.written)
        }
        return result
    }

    // MARK: Numbers in DER, looked at without arithmetic

    private static func bitCount(_ number: Range<Int>, _ bytes: RawSpan) -> Int {
        let first = bytes.unsafeLoad(fromByteOffset: number.lowerBound, as: UInt8.self)
        return number.count * 8 - first.leadingZeroBitCount
    }

    private static func isOdd(_ number: Range<Int>, _ bytes: RawSpan) -> Bool {
        bytes.unsafeLoad(fromByteOffset: number.upperBound - 1, as: UInt8.self) & 1 == 1
    }

    private static func sizeNotAllowed(_ bits: Int) -> PeerIDError {
        PeerIDError(
            code: .keySizeNotAllowed,
            message: "RSA keys have \(allowedBits.lowerBound) to \(allowedBits.upperBound) bits, this one has \(bits)"
        )
    }
}
