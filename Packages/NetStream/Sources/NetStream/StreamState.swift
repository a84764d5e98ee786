/// Where a ``NetStream`` is in its life.
public enum StreamState: String, Sendable, Hashable, CaseIterable {
    /// Created, not yet handed to its user by ``NetStream/establish()``.
    case initial
    /// Both halves work.
    case open
    /// The reading half is over, by end of stream or by ``NetStream/closeRead()``.
    case closedRead
    /// The writing half is over, by ``NetStream/closeWrite()`` or because the peer stopped reading.
    case closedWrite
    /// Both halves ended in an orderly way. An end state: only a reset or a failure may still follow.
    case closedBoth
    /// Broken off by this side or by the peer. Terminal.
    case reset
    /// Broken by an unexpected failure. Terminal.
    case failed

    /// Whether at least one half still works.
    public var isOperational: Bool {
        switch self {
        case .open, .closedRead, .closedWrite: true
        case .initial, .closedBoth, .reset, .failed: false
        }
    }

    /// Whether the stream is over, so that its owner may let go of it.
    public var isEnd: Bool {
        switch self {
        case .closedBoth, .reset, .failed: true
        case .initial, .open, .closedRead, .closedWrite: false
        }
    }
}

/// What a user can ask of a ``NetStream``.
public enum StreamOperation: String, Sendable, Hashable, CaseIterable {
    /// Take bytes.
    case read
    /// Send bytes.
    case write
    /// End the reading half.
    case closeRead
    /// End the writing half.
    case closeWrite
    /// End both halves in an orderly way.
    case close
    /// Break both halves.
    case reset
}
