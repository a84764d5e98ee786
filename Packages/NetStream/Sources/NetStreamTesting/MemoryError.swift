public import NetStream

/// What the in-memory transport throws.
public struct MemoryError: ClassifiedStreamError, Hashable, CustomStringConvertible {
    /// What went wrong.
    public var streamFailureKind: StreamFailureKind
    /// What went wrong, for people.
    public var message: String

    init(_ kind: StreamFailureKind, _ message: String) {
        streamFailureKind = kind
        self.message = message
    }

    /// Kind and message.
    public var description: String { "MemoryError \(streamFailureKind): \(message)" }

    static let cancelled = MemoryError(.cancelled, "the waiting task was cancelled")
}
