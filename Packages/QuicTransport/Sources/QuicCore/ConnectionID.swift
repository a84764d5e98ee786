/// A QUIC connection ID: 0 to 20 bytes (RFC 9000 §17.2), held in place without heap memory.
///
/// Hashing goes through `Hasher`, whose per-process key makes collisions unpredictable: connection IDs come from the
/// network, and a peer may choose them.
public struct ConnectionID: Sendable {
    /// The most bytes a connection ID has in QUIC version 1 (RFC 9000 §17.2).
    public static let maximumLength = 20

    /// The connection ID without bytes.
    public static let empty = ConnectionID()

    // The bytes in memory order; what lies behind `length` is zero.
    private var first: UInt64 = 0
    private var second: UInt64 = 0
    private var third: UInt32 = 0
    private var length: UInt8 = 0

    /// Makes the empty connection ID.
    public init() {}

    /// Copies a connection ID out of a buffer.
    ///
    /// - Returns: `nil` if `bytes` has more than ``maximumLength`` bytes.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.maximumLength else { return nil }
        if bytes.count > 0 {
            withUnsafeMutableBytes(of: &self) { $0.copyMemory(from: bytes) }
        }
        length = UInt8(truncatingIfNeeded: bytes.count)
    }

    /// Copies a connection ID out of a span.
    ///
    /// - Returns: `nil` if `bytes` has more than ``maximumLength`` bytes.
    public init?(_ bytes: RawSpan) {
        guard let id = bytes.withUnsafeBytes({ ConnectionID($0) }) else { return nil }
        self = id
    }

    /// Makes a connection ID of the bytes of a collection.
    ///
    /// - Returns: `nil` if `bytes` has more than ``maximumLength`` bytes.
    public init?(_ bytes: [UInt8]) {
        guard let id = bytes.withUnsafeBytes({ ConnectionID($0) }) else { return nil }
        self = id
    }

    /// The number of bytes, 0 to 20.
    public var count: Int { Int(length) }

    /// Whether the connection ID has no bytes.
    public var isEmpty: Bool { length == 0 }

    /// The bytes, copied.
    public var bytes: [UInt8] {
        withUnsafeBytes { [UInt8]($0) }
    }

    /// Gives access to the bytes without a copy. The buffer must not escape from `body`.
    @inlinable
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let count = self.count
        return try Swift.withUnsafeBytes(of: self) { (whole) throws(Failure) -> Result in
            try body(UnsafeRawBufferPointer(rebasing: whole[..<count]))
        }
    }
}

extension ConnectionID: Hashable {
    /// Whether two connection IDs have the same length and bytes.
    public static func == (left: ConnectionID, right: ConnectionID) -> Bool {
        left.first == right.first && left.second == right.second && left.third == right.third
            && left.length == right.length
    }

    /// Feeds the length and the words in use. Unused words are zero and implied by the length.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(UInt64(third) << 8 | UInt64(length))
        hasher.combine(first)
        if length > 8 { hasher.combine(second) }
    }
}

extension ConnectionID: CustomStringConvertible {
    /// The bytes in lower-case hexadecimal.
    public var description: String {
        let digits: StaticString = "0123456789abcdef"
        return withUnsafeBytes { bytes in
            String(unsafeUninitializedCapacity: bytes.count * 2) { text in
                for (index, byte) in bytes.enumerated() {
                    text[index * 2] = digits.utf8Start[Int(byte >> 4)]
                    text[index * 2 + 1] = digits.utf8Start[Int(byte & 15)]
                }
                return bytes.count * 2
            }
        }
    }
}
