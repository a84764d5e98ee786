/// A cursor over DER (ITU-T X.690), for the few structures that keys are made of.
///
/// Only the one valid encoding of anything is accepted: minimal lengths, minimal integers, no indefinite form, nothing
/// left over. So bytes that were read are the bytes that would be written. No value is copied: results are ranges.
struct DERReader {
    /// Where the next element starts.
    private(set) var offset: Int
    /// Where the enclosing element ends.
    let end: Int

    /// Reads the elements inside `range`.
    init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    var isAtEnd: Bool { offset == end }

    static let integer: UInt8 = 0x02
    static let bitString: UInt8 = 0x03
    static let octetString: UInt8 = 0x04
    static let null: UInt8 = 0x05
    static let objectIdentifier: UInt8 = 0x06
    static let sequence: UInt8 = 0x30
    /// Context-specific and constructed: `[number]` around a whole element.
    static func explicit(_ number: UInt8) -> UInt8 { 0xa0 | number }

    /// The tag of the next element, if there is one.
    func peek(_ bytes: RawSpan) -> UInt8? {
        offset < end ? bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self) : nil
    }

    /// Steps over an element with this tag and returns where its content is.
    mutating func read(_ tag: UInt8, _ bytes: RawSpan) throws(PeerIDError) -> Range<Int> {
        guard end - offset >= 2 else { throw DERReader.malformed("ends where an element should start") }
        let found = bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
        guard found == tag else {
            throw DERReader.malformed("has tag \(found) where \(tag) belongs, at byte \(offset)")
        }
        var start = offset + 2
        var length = Int(bytes.unsafeLoad(fromByteOffset: offset + 1, as: UInt8.self))
        if length >= 0x80 {
            // Two bytes of length reach 65535, beyond every key that is accepted.
            let lengthBytes = length - 0x80
            guard 1...2 ~= lengthBytes, end - start >= lengthBytes else {
                throw DERReader.malformed("has an indefinite or oversized length at byte \(offset)")
            }
            length = 0
            for index in start..<start + lengthBytes {
                length = length << 8 | Int(bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self))
            }
            guard length >= (lengthBytes == 1 ? 0x80 : 0x100) else {
                throw DERReader.malformed("has a length that is not minimal at byte \(offset)")
            }
            start += lengthBytes
        }
        guard length <= end - start else {
            throw DERReader.malformed("announces more bytes than there are at byte \(offset)")
        }
        offset = start + length
        return start..<offset
    }

    /// Reads an element and gives a cursor over what is inside.
    mutating func enter(_ tag: UInt8, _ bytes: RawSpan) throws(PeerIDError) -> DERReader {
        DERReader(try read(tag, bytes))
    }

    /// A non-negative INTEGER: the range of its magnitude, without a leading zero. Zero gives one zero byte.
    mutating func readUnsigned(_ bytes: RawSpan) throws(PeerIDError) -> Range<Int> {
        let content = try read(DERReader.integer, bytes)
        guard let first = content.first else { throw DERReader.malformed("has an empty integer") }
        let lead = bytes.unsafeLoad(fromByteOffset: first, as: UInt8.self)
        guard lead < 0x80 else { throw DERReader.malformed("has a negative integer") }
        guard lead == 0, content.count > 1 else { return content }
        guard bytes.unsafeLoad(fromByteOffset: first + 1, as: UInt8.self) >= 0x80 else {
            throw DERReader.malformed("has an integer that is not minimal")
        }
        return first + 1..<content.upperBound
    }

    /// A BIT STRING of whole bytes: the range of the bytes.
    mutating func readBitString(_ bytes: RawSpan) throws(PeerIDError) -> Range<Int> {
        let content = try read(DERReader.bitString, bytes)
        guard let first = content.first, bytes.unsafeLoad(fromByteOffset: first, as: UInt8.self) == 0 else {
            throw DERReader.malformed("has a bit string that is not made of whole bytes")
        }
        return first + 1..<content.upperBound
    }

    /// Nothing may follow what was read.
    func finish() throws(PeerIDError) {
        guard isAtEnd else { throw DERReader.malformed("has \(end - offset) bytes too many") }
    }

    static func malformed(_ what: String) -> PeerIDError {
        PeerIDError(code: .malformedKey, message: "the key's DER \(what); it is damaged or not DER")
    }
}

extension RawSpan {
    /// Whether the bytes at `range` are exactly `expected`.
    func holds(_ expected: [UInt8], at range: Range<Int>) -> Bool {
        guard range.count == expected.count else { return false }
        return zip(range, expected).allSatisfy { unsafeLoad(fromByteOffset: $0, as: UInt8.self) == $1 }
    }
}
