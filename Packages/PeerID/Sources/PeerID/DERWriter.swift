/// Writes DER from the end to the start of a fixed buffer, so that every length is known when its turn comes and secret
/// bytes are never moved about by a growing array.
struct DERWriter {
    private let buffer: UnsafeMutableRawBufferPointer
    private var start: Int

    /// Writes into the end of `buffer`, which must be large enough; writing past its start stops the process.
    init(_ buffer: UnsafeMutableRawBufferPointer) {
        self.buffer = buffer
        start = buffer.count
    }

    /// Everything written so far.
    var written: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[start...]) }

    /// Puts bytes in front of what is written.
    mutating func prepend(_ bytes: UnsafeRawBufferPointer) {
        start -= bytes.count
        UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + bytes.count]).copyMemory(from: bytes)
    }

    /// Puts bytes in front of what is written.
    mutating func prepend(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { prepend($0) }
    }

    /// Puts bytes in front of what is written, with zeros before them up to `size`.
    mutating func prepend(_ bytes: UnsafeRawBufferPointer, paddedTo size: Int) {
        prepend(bytes)
        for _ in 0..<max(0, size - bytes.count) { prepend([0]) }
    }

    /// Writes an element around what `content` writes.
    mutating func element(_ tag: UInt8, _ content: (inout DERWriter) -> Void) {
        let end = start
        content(&self)
        let length = end - start
        switch length {
        case ..<0x80: prepend([tag, UInt8(length)])
        case ..<0x100: prepend([tag, 0x81, UInt8(length)])
        default: prepend([tag, 0x82, UInt8(length >> 8), UInt8(length & 0xff)])
        }
    }

    /// Writes a non-negative INTEGER from its magnitude, which may have leading zeros.
    mutating func unsigned(_ magnitude: UnsafeRawBufferPointer) {
        let significant = UnsafeRawBufferPointer(rebasing: magnitude.drop { $0 == 0 })
        element(DERReader.integer) { writer in
            writer.prepend(significant)
            if (significant.first ?? 0x80) >= 0x80 { writer.prepend([0]) }
        }
    }

    /// Writes a BIT STRING of whole bytes around what `content` writes.
    mutating func bitString(_ content: (inout DERWriter) -> Void) {
        element(DERReader.bitString) { writer in
            content(&writer)
            writer.prepend([0])
        }
    }
}
