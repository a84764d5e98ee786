/// Bytes whose every position can be checked.
public enum Pattern {
    private static let period: [UInt8] = (0..<251).map { UInt8($0) }

    /// The bytes of a stream from a position on.
    public static func bytes(from position: Int, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 251)
        let start = position % 251
        bytes += period[start...]
        while bytes.count < count { bytes += period }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// Whether bytes that came at a position are those that were sent.
    public static func matches(_ bytes: [UInt8], at position: Int) -> Bool {
        bytes == Self.bytes(from: position, count: bytes.count)
    }
}
