/// The number of a stream (RFC 9000 §2.1): the two low bits say who opened it and whether it has one direction or two.
public struct StreamID: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number on the wire, 0 to 2^62 − 1.
    public let rawValue: Int64

    /// Wraps a number.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// Whether the server opened the stream.
    public var isServerInitiated: Bool { rawValue & 1 != 0 }

    /// Whether both sides send on the stream.
    public var isBidirectional: Bool { rawValue & 2 == 0 }

    /// The number as text.
    public var description: String { String(rawValue) }

    /// Orders by number.
    public static func < (left: StreamID, right: StreamID) -> Bool { left.rawValue < right.rawValue }
}
