/// A content identifier of version 1: a codec and a multihash. libp2p writes peer identities so.
///
/// See <https://github.com/multiformats/cid> and the peer-ids specification of libp2p.
public struct CIDv1: Sendable, Hashable, LosslessStringConvertible {
    /// The codec `libp2p-key`.
    public static let libp2pKey: UInt64 = 0x72
    /// The most characters that ``init(parsing:)`` reads.
    public static let maximumTextLength = 1024

    /// The multicodec of what is hashed.
    public let codec: UInt64
    /// The hash.
    public let multihash: Multihash

    /// A CID of a codec and a hash.
    public init(codec: UInt64 = CIDv1.libp2pKey, multihash: Multihash) {
        self.codec = codec
        self.multihash = multihash
    }

    /// Reads the text form in any base of ``Multibase``.
    ///
    /// - Throws: ``MultiaddrError`` with `unknownMultibase`, `invalidEncoding`, `invalidCID`, `invalidMultihash` or
    ///   `tooLong`.
    public init(parsing text: String) throws(MultiaddrError) {
        try self.init(text.utf8.span, 0..<text.utf8.count)
    }

    /// Reads the text form; nil where ``init(parsing:)`` throws.
    public init?(_ description: String) {
        guard let cid = try? CIDv1(parsing: description) else { return nil }
        self = cid
    }

    /// Reads the binary form, which must take all of the bytes.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidCID`, `invalidMultihash` or `truncated`.
    public init(bytes: [UInt8]) throws(MultiaddrError) {
        let span = bytes.span
        let (version, versionLength) = try Varint.decode(span, 0..<bytes.count)
        guard version == 1 else {
            throw MultiaddrError(.invalidCID, "a CID of version \(version); only version 1 is read here", offset: 0)
        }
        let (codec, codecLength) = try Varint.decode(span, versionLength..<bytes.count)
        let start = versionLength + codecLength
        let (code, digest) = try Multihash.read(span, start..<bytes.count)
        self.codec = codec
        multihash = try Multihash(code: code, digest: Array(bytes[digest]))
    }

    init(_ text: Span<UInt8>, _ range: Range<Int>) throws(MultiaddrError) {
        guard range.count <= CIDv1.maximumTextLength else {
            throw MultiaddrError(
                .tooLong,
                "a CID of \(range.count) characters; at most \(CIDv1.maximumTextLength) are read",
                offset: range.lowerBound
            )
        }
        var bytes: [UInt8] = []
        _ = try Multibase.decode(text, range, into: &bytes)
        do {
            try self.init(bytes: bytes)
        } catch {
            // Offsets inside the decoded bytes say nothing about the text.
            throw MultiaddrError(error.code, error.message, offset: range.lowerBound, cause: error.cause)
        }
    }

    /// The binary form.
    public var bytes: [UInt8] {
        var out = Varint.encode(1)
        Varint.append(codec, to: &out)
        out += multihash.bytes
        return out
    }

    /// The text form in a base of choice.
    public func text(in base: Multibase) -> String { Multibase.encode(bytes, as: base) }

    /// The text form in base32, the default of the specification.
    public var description: String { text(in: .base32) }
}
