/// A self-describing hash: the code of the function, the length of the digest and the digest.
///
/// The package computes no hashes; it carries them. See <https://github.com/multiformats/multihash>.
public struct Multihash: Sendable, Hashable {
    /// The code of the "function" that copies its input.
    public static let identity: UInt64 = 0x00
    /// The code of SHA-1.
    public static let sha1: UInt64 = 0x11
    /// The code of SHA2-256.
    public static let sha2x256: UInt64 = 0x12
    /// The code of SHA2-512.
    public static let sha2x512: UInt64 = 0x13
    /// The longest digest that is accepted, in bytes.
    public static let maximumDigestLength = 128

    /// The code of the hash function.
    public let code: UInt64
    /// The digest, possibly truncated.
    public let digest: [UInt8]

    /// A multihash of a code and a digest.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidMultihash` when the digest is longer than the function makes them,
    ///   or than ``maximumDigestLength``.
    public init(code: UInt64, digest: [UInt8]) throws(MultiaddrError) {
        try Multihash.check(code: code, length: UInt64(digest.count), offset: 0)
        self.code = code
        self.digest = digest
    }

    /// Reads a multihash that takes all of the bytes.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidMultihash`, `truncated` or a varint's code.
    public init(bytes: [UInt8]) throws(MultiaddrError) {
        let (code, digest) = try Multihash.read(bytes.span, 0..<bytes.count)
        self.code = code
        self.digest = Array(bytes[digest])
    }

    /// The binary form: code and length as varints, then the digest.
    public var bytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(digest.count + 4)
        Varint.append(code, to: &out)
        Varint.append(UInt64(digest.count), to: &out)
        out += digest
        return out
    }

    /// Checks a multihash that fills the range; answers its code and where its digest stands.
    static func read(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>
    ) throws(MultiaddrError) -> (code: UInt64, digest: Range<Int>) {
        let (code, codeLength) = try Varint.decode(bytes, range)
        let lengthStart = range.lowerBound + codeLength
        let (length, lengthLength) = try Varint.decode(bytes, lengthStart..<range.upperBound)
        let start = lengthStart + lengthLength
        try check(code: code, length: length, offset: lengthStart)
        guard length == UInt64(range.upperBound - start) else {
            throw MultiaddrError(
                .invalidMultihash,
                "the multihash says \(length) bytes of digest, but \(range.upperBound - start) follow",
                offset: lengthStart
            )
        }
        return (code, start..<range.upperBound)
    }

    private static func check(code: UInt64, length: UInt64, offset: Int) throws(MultiaddrError) {
        let longest: UInt64 =
            switch code {
            case sha1: 20
            case sha2x256: 32
            case sha2x512: 64
            default: UInt64(maximumDigestLength)
            }
        guard length <= longest else {
            throw MultiaddrError(
                .invalidMultihash,
                "a digest of \(length) bytes is longer than the \(longest) that function \(code) may have",
                offset: offset
            )
        }
    }
}
