internal import QuicCore

/// The bytes that streams carry: a ring of random bytes in memory that stays where it is, read from a different place by
/// each stream. Nothing has to be copied for sending or kept for checking.
final class BytePattern {
    /// A prime, so that no packet size divides it: a piece that is out of place does not fit.
    static let length = 65_521
    private let memory: UnsafeMutableRawBufferPointer

    init(seed: UInt64) {
        memory = .allocate(byteCount: Self.length, alignment: 16)
        var generator = SeededGenerator(seed: seed)
        for index in memory.indices { memory[index] = UInt8(truncatingIfNeeded: generator.next() >> 32) }
    }

    deinit { memory.deallocate() }

    /// Segments with `count` bytes of the ring, from a place on.
    func segments(from start: Int, count: Int) -> [SendSegment] {
        var result: [SendSegment] = []
        var place = start % Self.length
        var left = count
        while left > 0 {
            let length = min(left, Self.length - place)
            if let base = memory.baseAddress {
                result.append(SendSegment(owner: self, base: base + place, count: length))
            }
            left -= length
            place = 0
        }
        return result
    }

    /// Whether these are the bytes of the ring from a place on.
    func matches(_ bytes: ArraySlice<UInt8>, from start: Int) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var place = start % Self.length
            var offset = 0
            while offset < bytes.count {
                let length = min(bytes.count - offset, Self.length - place)
                guard areEqual(bytes, offset, place, length) else { return false }
                offset += length
                place = 0
            }
            return true
        }
    }

    /// Word by word: this is most of what a simulation does with its bytes.
    private func areEqual(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ place: Int, _ length: Int) -> Bool {
        var done = 0
        while done + 8 <= length {
            let left = bytes.loadUnaligned(fromByteOffset: offset + done, as: UInt64.self)
            guard left == memory.loadUnaligned(fromByteOffset: place + done, as: UInt64.self) else { return false }
            done += 8
        }
        while done < length {
            guard bytes[offset + done] == memory[place + done] else { return false }
            done += 1
        }
        return true
    }
}
