/// Mends what ngtcp2 hands out as one qlog record.
///
/// The library writes a record's head with the packet's first frame that it logs. A packet coalesced for padding only (RFC
/// 9000 §14.1) has no such frame, so its end is put after the record of the packet before, which has been handed out
/// already, and both come again as one piece that is not JSON. Seen with 1.11.
enum QlogRecord {
    private static let newLine = UInt8(ascii: "\n")
    private static let frames = Array(#""frames":["#.utf8)

    /// Calls `body` with the new record in `piece`: all of it, or what came after the record that it repeats, with that
    /// record's head, which is the same for both (time, kind of event).
    static func withRecord(in piece: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let end = piece.firstIndex(of: newLine), end + 1 < piece.count else { return body(piece) }
        // Nothing to mend it with: better a record less than a file that nobody can read.
        guard let head = endOfHead(in: piece[..<end]) else { return }
        var record = Array(piece[..<head])
        record.append(contentsOf: piece[(end + 1)...])
        record.withUnsafeBytes(body)
    }

    /// Where the list of frames begins.
    private static func endOfHead(in piece: Slice<UnsafeRawBufferPointer>) -> Int? {
        var start = piece.startIndex
        while start + frames.count <= piece.endIndex {
            if piece[start..<start + frames.count].elementsEqual(frames) { return start + frames.count }
            start += 1
        }
        return nil
    }
}
