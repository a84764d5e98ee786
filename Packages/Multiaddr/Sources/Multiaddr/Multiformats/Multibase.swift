/// The base58 alphabet of Bitcoin, in which peer identities are written.
public enum Base58BTC {
    /// The most characters that ``decode(_:)`` reads. Its cost grows with the square of the length.
    public static let maximumDecodedCharacters = RadixAlphabet.maximumLength

    /// The text of some bytes. The cost grows with the square of the length: this is for keys and hashes.
    public static func encode(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 138 / 100 + 1)
        RadixAlphabet.base58btc.encode(bytes.span, 0..<bytes.count, into: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// The bytes of a text.
    ///
    /// - Throws: ``MultiaddrError`` with `invalidEncoding` or, above ``maximumDecodedCharacters``, `tooLong`.
    public static func decode(_ text: String) throws(MultiaddrError) -> [UInt8] {
        var out: [UInt8] = []
        try RadixAlphabet.base58btc.decode(text.utf8.span, 0..<text.utf8.count, into: &out)
        return out
    }
}

/// Text that says in its first character how it is encoded, see <https://github.com/multiformats/multibase>.
public enum Multibase: Sendable, Hashable, CaseIterable {
    /// Hexadecimal, prefix `f`.
    case base16
    /// Hexadecimal in upper case, prefix `F`.
    case base16upper
    /// RFC 4648 base32 in lower case without padding, prefix `b`.
    case base32
    /// RFC 4648 base32 in upper case without padding, prefix `B`.
    case base32upper
    /// RFC 4648 base32 in lower case with padding, prefix `c`.
    case base32pad
    /// RFC 4648 base32 in upper case with padding, prefix `C`.
    case base32padupper
    /// Base36 in lower case, prefix `k`.
    case base36
    /// Base36 in upper case, prefix `K`.
    case base36upper
    /// Bitcoin's base58, prefix `z`.
    case base58btc
    /// RFC 4648 base64 without padding, prefix `m`.
    case base64
    /// RFC 4648 base64 with padding, prefix `M`.
    case base64pad
    /// RFC 4648 base64url without padding, prefix `u`.
    case base64url
    /// RFC 4648 base64url with padding, prefix `U`.
    case base64urlpad

    /// The most characters, prefix included, that ``decode(_:)`` reads.
    public static let maximumDecodedCharacters = 1 << 20

    /// The character that stands for this encoding.
    public var prefix: Character { Character(Unicode.Scalar(prefixByte)) }

    /// The encoding of a prefix, or nil when there is none.
    public init?(prefix: Character) {
        guard let byte = prefix.asciiValue else { return nil }
        self.init(prefixByte: byte)
    }

    /// The text of some bytes, prefix included.
    public static func encode(_ bytes: [UInt8], as base: Multibase) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 2 + 9)
        base.append(bytes.span, 0..<bytes.count, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// The encoding and the bytes of a text. Case does not matter in the bases that have one.
    ///
    /// - Throws: ``MultiaddrError`` with `unknownMultibase`, `invalidEncoding` or `tooLong`.
    public static func decode(_ text: String) throws(MultiaddrError) -> (base: Multibase, bytes: [UInt8]) {
        guard text.utf8.count <= maximumDecodedCharacters else {
            throw MultiaddrError(
                .tooLong,
                "multibase text of \(text.utf8.count) bytes; at most \(maximumDecodedCharacters) are decoded",
                offset: 0
            )
        }
        var out: [UInt8] = []
        let base = try decode(text.utf8.span, 0..<text.utf8.count, into: &out)
        return (base, out)
    }

    var prefixByte: UInt8 {
        switch self {
        case .base16: UInt8(ascii: "f")
        case .base16upper: UInt8(ascii: "F")
        case .base32: UInt8(ascii: "b")
        case .base32upper: UInt8(ascii: "B")
        case .base32pad: UInt8(ascii: "c")
        case .base32padupper: UInt8(ascii: "C")
        case .base36: UInt8(ascii: "k")
        case .base36upper: UInt8(ascii: "K")
        case .base58btc: UInt8(ascii: "z")
        case .base64: UInt8(ascii: "m")
        case .base64pad: UInt8(ascii: "M")
        case .base64url: UInt8(ascii: "u")
        case .base64urlpad: UInt8(ascii: "U")
        }
    }

    private init?(prefixByte: UInt8) {
        for base in Multibase.allCases where base.prefixByte == prefixByte {
            self = base
            return
        }
        return nil
    }

    static func decode(
        _ text: Span<UInt8>,
        _ range: Range<Int>,
        into out: inout [UInt8]
    ) throws(MultiaddrError) -> Multibase {
        guard !range.isEmpty else {
            throw MultiaddrError(.unknownMultibase, "the text is empty, it has no prefix", offset: range.lowerBound)
        }
        guard let base = Multibase(prefixByte: text[range.lowerBound]) else {
            throw MultiaddrError(
                .unknownMultibase,
                "the first character names no encoding known here (base16, 32, 36, 58btc, 64)",
                offset: range.lowerBound
            )
        }
        let rest = range.lowerBound + 1..<range.upperBound
        switch base {
        case .base16, .base16upper: try BitAlphabet.base16.decode(text, rest, padded: false, into: &out)
        case .base32, .base32upper: try BitAlphabet.base32.decode(text, rest, padded: false, into: &out)
        case .base32pad, .base32padupper: try BitAlphabet.base32.decode(text, rest, padded: true, into: &out)
        case .base36, .base36upper: try RadixAlphabet.base36.decode(text, rest, into: &out)
        case .base58btc: try RadixAlphabet.base58btc.decode(text, rest, into: &out)
        case .base64: try BitAlphabet.base64.decode(text, rest, padded: false, into: &out)
        case .base64pad: try BitAlphabet.base64.decode(text, rest, padded: true, into: &out)
        case .base64url: try BitAlphabet.base64url.decode(text, rest, padded: false, into: &out)
        case .base64urlpad: try BitAlphabet.base64url.decode(text, rest, padded: true, into: &out)
        }
        return base
    }

    func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        out.append(prefixByte)
        switch self {
        case .base16: BitAlphabet.base16.encode(bytes, range, padded: false, into: &out)
        case .base16upper: BitAlphabet.base16upper.encode(bytes, range, padded: false, into: &out)
        case .base32: BitAlphabet.base32.encode(bytes, range, padded: false, into: &out)
        case .base32upper: BitAlphabet.base32upper.encode(bytes, range, padded: false, into: &out)
        case .base32pad: BitAlphabet.base32.encode(bytes, range, padded: true, into: &out)
        case .base32padupper: BitAlphabet.base32upper.encode(bytes, range, padded: true, into: &out)
        case .base36: RadixAlphabet.base36.encode(bytes, range, into: &out)
        case .base36upper:
            let mark = out.count
            RadixAlphabet.base36.encode(bytes, range, into: &out)
            for index in mark..<out.count where out[index] >= UInt8(ascii: "a") { out[index] -= 32 }
        case .base58btc: RadixAlphabet.base58btc.encode(bytes, range, into: &out)
        case .base64: BitAlphabet.base64.encode(bytes, range, padded: false, into: &out)
        case .base64pad: BitAlphabet.base64.encode(bytes, range, padded: true, into: &out)
        case .base64url: BitAlphabet.base64url.encode(bytes, range, padded: false, into: &out)
        case .base64urlpad: BitAlphabet.base64url.encode(bytes, range, padded: true, into: &out)
        }
    }
}
