import CGnuTLS
import Synchronization

/// What generating or importing an RSA or ECDSA key gives: the `Data` fields of both messages and what signs.
struct GnuTLSKeyParts {
    var secret: SecretBytes
    var publicKey: [UInt8]
    var key: GnuTLSPrivateKey
}

/// Owner of one `gnutls_pubkey_t`, freed when the value dies. Made for one verification and never shared.
struct PublicKeyHandle: ~Copyable {
    let pointer: gnutls_pubkey_t

    init() throws(PeerIDError) {
        var pointer: gnutls_pubkey_t?
        let status = gnutls_pubkey_init(&pointer)
        guard status >= 0, let pointer else { throw GnuTLS.error(.malformedKey, "cannot make a public key", status) }
        self.pointer = pointer
    }

    /// Whether the signature fits a SHA-256 hash.
    func isValid(_ signature: [UInt8], hash: [UInt8], algorithm: gnutls_sign_algorithm_t) -> Bool {
        signature.withUnsafeBytes { signature in
            hash.withUnsafeBytes { hash in
                var signature = gnutls_datum_t(lending: signature)
                var hash = gnutls_datum_t(lending: hash)
                return gnutls_pubkey_verify_hash2(pointer, algorithm, 0, &hash, &signature) >= 0
            }
        }
    }

    deinit { gnutls_pubkey_deinit(pointer) }
}

/// Owner of one `gnutls_privkey_t`, freed in `deinit` (GnuTLS wipes the private numbers).
///
/// Sendable: the pointer is a constant, and every use of it is inside ``withHandle(_:)``, under the lock, because
/// GnuTLS does not promise that one private key may be used by two threads at once.
final class GnuTLSPrivateKey: @unchecked Sendable {
    private let pointer: gnutls_privkey_t
    private let lock = Mutex(())
    private let algorithm: gnutls_sign_algorithm_t

    /// An empty key object, to be generated or imported into.
    init(algorithm: gnutls_sign_algorithm_t) throws(PeerIDError) {
        var pointer: gnutls_privkey_t?
        let status = gnutls_privkey_init(&pointer)
        guard status >= 0, let pointer else {
            throw GnuTLS.error(.generationFailed, "cannot make a private key", status)
        }
        self.pointer = pointer
        self.algorithm = algorithm
    }

    /// Calls GnuTLS with the key, one caller at a time. The pointer may not leave `body`.
    func withHandle(_ body: (gnutls_privkey_t) -> Int32) -> Int32 {
        lock.withLock { _ in body(pointer) }
    }

    /// Signs a SHA-256 hash.
    func sign(hash: [UInt8]) throws(PeerIDError) -> [UInt8] {
        var signature = gnutls_datum_t()
        defer { cgnutls_datum_free(&signature) }
        let status = withHandle { key in
            hash.withUnsafeBytes { hash in
                var hash = gnutls_datum_t(lending: hash)
                return gnutls_privkey_sign_hash2(key, algorithm, 0, &hash, &signature)
            }
        }
        guard status >= 0 else { throw GnuTLS.error(.signingFailed, "cannot sign", status) }
        return [UInt8](signature.bytes)
    }

    deinit { gnutls_privkey_deinit(pointer) }
}

/// A number that GnuTLS allocated while exporting a private key; wiped and freed when the value dies.
struct SecretDatum: ~Copyable {
    var datum = gnutls_datum_t()

    var bytes: UnsafeRawBufferPointer { datum.bytes }

    deinit {
        var datum = datum
        cgnutls_secret_datum_free(&datum)
    }
}

enum GnuTLS {
    /// Wraps a negative status of GnuTLS.
    static func error(_ code: PeerIDError.Code, _ what: String, _ status: Int32) -> PeerIDError {
        let reason = gnutls_strerror(status).map { String(cString: $0) } ?? "error \(status)"
        return PeerIDError(code: code, message: "GnuTLS \(what): \(reason)")
    }
}

extension gnutls_datum_t {
    /// Points GnuTLS at bytes that it only reads. They must stay where they are during the call.
    init(lending bytes: UnsafeRawBufferPointer) {
        self.init(data: UnsafeMutablePointer(mutating: bytes.bound), size: UInt32(bytes.count))
    }

    /// The bytes the datum points at.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: Int(size)) }
}

extension UnsafeRawBufferPointer {
    /// The part of the buffer at `range`.
    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }
}

extension SecretBytes {
    /// DER written into guarded memory of `capacity` bytes, then cut to its length.
    static func der(capacity: Int, _ write: (inout DERWriter) -> Void) -> SecretBytes {
        var length = 0
        let scratch = SecretBytes(count: capacity) { buffer in
            var writer = DERWriter(buffer)
            write(&writer)
            length = writer.written.count
        }
        return scratch.withUnsafeBytes { SecretBytes(copying: $0.slice($0.count - length..<$0.count).bytes) }
    }
}
