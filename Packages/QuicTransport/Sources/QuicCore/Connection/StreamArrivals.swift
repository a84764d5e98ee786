/// What arrived on one stream since it was last drained.
///
/// Bytes are gathered in pieces of at most ``pieceSize``: one read batch can bring much more, and whoever reads the stream
/// takes a piece of moderate size as it is, where a larger one would have to be copied apart.
struct StreamArrivals {
    /// The most bytes of a piece.
    static let pieceSize = 64 << 10

    /// Pieces that are full, oldest first, and the one that is being filled.
    private var full: [[UInt8]] = []
    private var piece: [UInt8] = []
    /// How much the last drain carried: what to reserve for the next one.
    private var expected = 0

    /// The end of the stream arrived and was not reported yet.
    var hasUnreportedEnd = false
    /// All bytes and the end arrived: a reset that comes after them has nothing to take back (RFC 9000 §3.2).
    var isComplete = false
    /// The record stands in the connection's list of streams with news.
    var isDirty = false

    /// The bytes that wait to be drained.
    var count: Int { full.reduce(piece.count) { $0 + $1.count } }

    /// Copies bytes in, not more than a datagram's.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if piece.count + bytes.count > Self.pieceSize, !piece.isEmpty {
            full.append(piece)
            piece = []
            expected = Self.pieceSize
        }
        if piece.isEmpty { piece.reserveCapacity(max(min(expected, Self.pieceSize), bytes.count)) }
        piece.append(contentsOf: bytes)
    }

    /// Takes everything out, in order: pieces that are full and the last one, which may be empty.
    mutating func drain() -> (full: [[UInt8]], last: [UInt8]) {
        expected = count
        // Windows bound the bytes that wait to be read: a few of them must not hold the room of many while they do.
        if piece.capacity > 4 * piece.count + 4096 { piece = piece.withUnsafeBufferPointer { Array($0) } }
        defer {
            if !full.isEmpty { full = [] }
            piece = []
        }
        return (full, piece)
    }
}
