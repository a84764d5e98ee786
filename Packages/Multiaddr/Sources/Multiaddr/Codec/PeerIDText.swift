/// The text forms of a peer ID: a bare base58btc multihash, or a CIDv1 of the codec `libp2p-key` in any multibase.
enum PeerIDText {
    /// The most characters of either form. The longest, a CIDv1 in base16 of an inline key, has 93.
    static let maximumLength = 128

    static func decode(_ text: Span<UInt8>, _ range: Range<Int>, into out: inout [UInt8]) throws(MultiaddrError) {
        guard !range.isEmpty else {
            throw MultiaddrError(.missingValue, "the peer ID is empty", offset: range.lowerBound)
        }
        guard range.count <= maximumLength else {
            throw MultiaddrError(
                .tooLong,
                "a peer ID of \(range.count) characters; at most \(maximumLength) are read",
                offset: range.lowerBound
            )
        }
        if isBareMultihash(text, range) {
            return try RadixAlphabet.base58btc.decode(text, range, into: &out)
        }
        let cid = try CIDv1(text, range)
        guard cid.codec == CIDv1.libp2pKey else {
            throw MultiaddrError(
                .invalidCID,
                "a peer ID's CID has the codec libp2p-key (0x72), not 0x\(String(cid.codec, radix: 16))",
                offset: range.lowerBound
            )
        }
        out += cid.multihash.bytes
    }

    /// Peer-ids specification, "Decoding": text that begins with `1` or `Qm` is a bare multihash.
    private static func isBareMultihash(_ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
        if text[range.lowerBound] == UInt8(ascii: "1") { return true }
        return range.count > 1 && text[range.lowerBound] == UInt8(ascii: "Q")
            && text[range.lowerBound + 1] == UInt8(ascii: "m")
    }
}
