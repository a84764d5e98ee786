/// The body of a TLS 1.3 Certificate message (RFC 8446 §4.4.2).
struct CertificateMessage {
    /// The certificates in DER, the peer's own first.
    var chain: [[UInt8]]

    /// More than this many certificates are not copied: two are already one too many.
    private static let maximumChain = 100

    /// Parses the body of the message, without its four-byte header.
    ///
    /// Throws ``TLSError/Code/malformedCertificate`` for lengths that do not fit together.
    init(_ body: [UInt8]) throws(TLSError) {
        var rest = body[...]
        _ = try Self.take(&rest, lengthBytes: 1)
        var list = try Self.take(&rest, lengthBytes: 3)
        guard rest.isEmpty else { throw Self.malformed }
        chain = []
        while !list.isEmpty, chain.count < Self.maximumChain {
            chain.append(Array(try Self.take(&list, lengthBytes: 3)))
            _ = try Self.take(&list, lengthBytes: 2)
        }
    }

    /// Takes a vector with a length before it from the front.
    private static func take(
        _ bytes: inout ArraySlice<UInt8>,
        lengthBytes: Int
    ) throws(TLSError) -> ArraySlice<UInt8> {
        guard bytes.count >= lengthBytes else { throw malformed }
        let length = bytes.prefix(lengthBytes).reduce(0) { $0 << 8 | Int($1) }
        bytes = bytes.dropFirst(lengthBytes)
        guard bytes.count >= length else { throw malformed }
        defer { bytes = bytes.dropFirst(length) }
        return bytes.prefix(length)
    }

    private static var malformed: TLSError {
        TLSError(.malformedCertificate, "The peer's TLS Certificate message has lengths that do not fit together.")
    }
}
