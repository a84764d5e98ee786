internal import CGnuTLS

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Calls `body` with a GnuTLS datum that views `bytes`; the datum must not be kept.
///
/// GnuTLS declares the pointer of a datum mutable but does not write through the ones that it takes as input.
func withDatum<Result>(_ bytes: some Collection<UInt8>, _ body: (UnsafePointer<gnutls_datum_t>) -> Result) -> Result {
    let array = ContiguousArray(bytes)
    return array.withUnsafeBufferPointer { buffer in
        var datum = gnutls_datum_t(
            data: UnsafeMutablePointer(mutating: buffer.baseAddress),
            size: UInt32(clamping: buffer.count)
        )
        return body(&datum)
    }
}

/// Copies what a GnuTLS call allocated for us, and frees it.
func takeDatum(_ datum: gnutls_datum_t) -> [UInt8] {
    defer { free(datum.data) }
    return Array(UnsafeBufferPointer(start: datum.data, count: Int(datum.size)))
}

/// Copies a datum that GnuTLS keeps.
func copyDatum(_ datum: gnutls_datum_t) -> [UInt8] {
    Array(UnsafeBufferPointer(start: datum.data, count: Int(datum.size)))
}

extension TLSError {
    /// The error of a failed GnuTLS call.
    init(_ code: Code = .gnutls, gnutls result: Int32, _ doing: String) {
        self.init(code, "\(doing) failed: \(String(cString: gnutls_strerror(result))) (GnuTLS \(result)).")
        gnutlsCode = result
    }
}

/// Throws when a GnuTLS call returned an error.
func check(_ result: Int32, _ doing: @autoclosure () -> String, code: TLSError.Code = .gnutls) throws(TLSError) {
    if result < 0 { throw TLSError(code, gnutls: result, doing()) }
}
