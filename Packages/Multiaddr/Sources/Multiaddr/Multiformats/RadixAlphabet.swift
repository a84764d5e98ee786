/// Encodings that treat the bytes as one large number: base58btc and base36.
///
/// Their cost grows with the square of the length, so every decoder here has a bound.
struct RadixAlphabet: Sendable {
    let name: StaticString
    let characters: StaticString
    let radix: UInt64
    /// How many digits fit into 64 bits, and the radix to that power.
    let chunk: Int
    let chunkValue: UInt64
    /// The digit of each character, 0xff for none.
    let digits: [UInt8]

    /// The most characters that are decoded; they make at most 3 KiB.
    static let maximumLength = 4096

    static let base58btc = RadixAlphabet(
        name: "base58btc",
        characters: "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
        foldsCase: false
    )
    static let base36 = RadixAlphabet(
        name: "base36",
        characters: "0123456789abcdefghijklmnopqrstuvwxyz",
        foldsCase: true
    )

    private init(name: StaticString, characters: StaticString, foldsCase: Bool) {
        self.name = name
        self.characters = characters
        radix = UInt64(characters.utf8CodeUnitCount)
        var chunk = 0
        var value: UInt64 = 1
        while true {
            let (next, overflow) = value.multipliedReportingOverflow(by: radix)
            if overflow { break }
            value = next
            chunk += 1
        }
        self.chunk = chunk
        chunkValue = value
        digits = decodingTable(characters, foldsCase: foldsCase)
    }

    private var zero: UInt8 { characters.withUTF8Buffer { $0[0] } }

    /// Decodes a range of text and appends the bytes.
    func decode(_ text: Span<UInt8>, _ range: Range<Int>, into out: inout [UInt8]) throws(MultiaddrError) {
        // 96 characters make at most 71 bytes; peer identities take 52.
        if range.count <= 96 {
            var limbs = InlineArray<10, UInt64>(repeating: 0)
            var span = limbs.mutableSpan
            try decode(text, range, limbs: &span, into: &out)
        } else {
            guard range.count <= RadixAlphabet.maximumLength else {
                throw MultiaddrError(
                    .tooLong,
                    "\(name) text of \(range.count) characters; at most \(RadixAlphabet.maximumLength) are decoded",
                    offset: range.lowerBound
                )
            }
            var limbs = [UInt64](repeating: 0, count: range.count / chunk + 2)
            var span = limbs.mutableSpan
            try decode(text, range, limbs: &span, into: &out)
        }
    }

    private func decode(
        _ text: Span<UInt8>,
        _ range: Range<Int>,
        limbs: inout MutableSpan<UInt64>,
        into out: inout [UInt8]
    ) throws(MultiaddrError) {
        var start = range.lowerBound
        let zero = zero
        while start < range.upperBound, text[start] == zero { start += 1 }
        let zeros = start - range.lowerBound
        var used = 0
        var index = start
        while index < range.upperBound {
            var value: UInt64 = 0
            var scale: UInt64 = 1
            let end = min(index + chunk, range.upperBound)
            while index < end {
                let digit = digits[Int(text[index])]
                guard digit != 0xff else {
                    throw MultiaddrError(
                        .invalidEncoding,
                        "a character that is not in the \(name) alphabet",
                        offset: index
                    )
                }
                value = value &* radix &+ UInt64(digit)
                scale = scale &* radix
                index += 1
            }
            var carry = value
            var limb = 0
            while limb < used {
                let (high, low) = limbs[limb].multipliedFullWidth(by: scale)
                let (sum, overflow) = low.addingReportingOverflow(carry)
                limbs[limb] = sum
                carry = high &+ (overflow ? 1 : 0)
                limb += 1
            }
            if carry != 0 {
                limbs[used] = carry
                used += 1
            }
        }
        for _ in 0..<zeros { out.append(0) }
        var leading = true
        var limb = used
        while limb > 0 {
            limb -= 1
            var shift = 56
            while shift >= 0 {
                let byte = UInt8(truncatingIfNeeded: limbs[limb] >> UInt64(shift))
                if byte != 0 { leading = false }
                if !leading { out.append(byte) }
                shift -= 8
            }
        }
    }

    /// Encodes a range of bytes and appends the characters.
    func encode(_ bytes: Span<UInt8>, _ range: Range<Int>, into out: inout [UInt8]) {
        if range.count <= 80 {
            var limbs = InlineArray<10, UInt64>(repeating: 0)
            var span = limbs.mutableSpan
            encode(bytes, range, limbs: &span, into: &out)
        } else {
            var limbs = [UInt64](repeating: 0, count: range.count / 8 + 1)
            var span = limbs.mutableSpan
            encode(bytes, range, limbs: &span, into: &out)
        }
    }

    private func encode(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>,
        limbs: inout MutableSpan<UInt64>,
        into out: inout [UInt8]
    ) {
        var start = range.lowerBound
        while start < range.upperBound, bytes[start] == 0 { start += 1 }
        let zero = zero
        for _ in 0..<(start - range.lowerBound) { out.append(zero) }
        var used = 0
        var end = range.upperBound
        while end > start {
            let begin = max(start, end - 8)
            var value: UInt64 = 0
            var index = begin
            while index < end {
                value = value << 8 | UInt64(bytes[index])
                index += 1
            }
            limbs[used] = value
            used += 1
            end = begin
        }
        // Digits come least significant first; they are turned round at the end.
        let mark = out.count
        characters.withUTF8Buffer { alphabet in
            while used > 0 {
                var remainder: UInt64 = 0
                var limb = used
                while limb > 0 {
                    limb -= 1
                    let (quotient, rest) = chunkValue.dividingFullWidth((remainder, limbs[limb]))
                    limbs[limb] = quotient
                    remainder = rest
                }
                while used > 0, limbs[used - 1] == 0 { used -= 1 }
                var count = 0
                while used > 0 ? count < chunk : remainder != 0 {
                    // Division by a constant is several times faster than by a variable.
                    let quotient = radix == 58 ? remainder / 58 : radix == 36 ? remainder / 36 : remainder / radix
                    out.append(alphabet[Int(remainder &- quotient &* radix)])
                    remainder = quotient
                    count += 1
                }
            }
        }
        out[mark...].reverse()
    }
}

/// The value of each byte in an alphabet of at most 64 ASCII characters, 0xff for none.
func decodingTable(_ characters: StaticString, foldsCase: Bool) -> [UInt8] {
    var table = [UInt8](repeating: 0xff, count: 256)
    characters.withUTF8Buffer { alphabet in
        for (value, character) in alphabet.enumerated() {
            table[Int(character)] = UInt8(value)
            guard foldsCase else { continue }
            switch character {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): table[Int(character) - 32] = UInt8(value)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): table[Int(character) + 32] = UInt8(value)
            default: break
            }
        }
    }
    return table
}
