/// The state machine of a stream. Pure: no I/O, no clock, no lock.
///
/// ```
///             establish            readEnded            writeEnded
///   initial ─────────────► open ───────────► closedRead ──────────► closedBoth ─┐
///      │                    │                                           ▲       │
///      │                    │   writeEnded              readEnded       │       │
///      │                    └───────────► closedWrite ──────────────────┘       │
///      │                                                                        │
///      └──────────── from every state that is not terminal ─────────────────────┤
///                                                                               ▼
///                          broken off by either side ────► reset    (terminal)
///                          unexpected failure        ────► failed   (terminal)
/// ```
///
/// Use it in two steps. Before an operation ask ``permission(for:)``; when the operation is done, or something happened
/// to the stream, report it to ``apply(_:)`` and do what the returned ``Action`` says, outside any lock.
///
/// What can reach ``apply(_:)`` at the wrong time falls in two classes: *harmless*, because I/O of several tasks
/// overlaps (an end that is reported twice, anything after a terminal state), which gives ``Action/none``; and
/// *impossible*, a second ``Event/establish``, which gives ``Action/refused``.
public struct StreamStateMachine: Sendable, Hashable {
    /// Something that happened to the stream.
    public enum Event: Sendable, Hashable, CaseIterable {
        /// The stream is handed to its user.
        case establish
        /// The end of the stream was read, or this side stopped reading.
        case readEnded
        /// This side ended its writing half, or the peer stopped reading.
        case writeEnded
        /// One of the sides broke the stream off.
        case reset
        /// Reading or writing failed unexpectedly.
        case fail
    }

    /// What the caller does after an event.
    public enum Action: Sendable, Hashable {
        /// The event changed nothing.
        case none
        /// The state changed; there is nothing more to do.
        case changed
        /// The stream just reached its first end state: tell the owner. Returned at most once in a life.
        case release
        /// The event is not possible in this state, which stays as it is.
        case refused
    }

    /// Whether an operation may start.
    public enum Permission: Sendable, Hashable {
        /// Do it.
        case proceed
        /// There is nothing left to do; report success.
        case nothingToDo
        /// Refuse it.
        case refuse(Refusal)
    }

    /// Why an operation is refused.
    public enum Refusal: Sendable, Hashable {
        /// The stream is not established yet.
        case notEstablished
        /// The reading half is over.
        case endOfStream
        /// The writing half is over.
        case writeClosed
        /// The stream was reset.
        case reset
        /// The stream failed.
        case failed
    }

    /// The current state.
    public private(set) var state: StreamState = .initial
    private var released = false

    /// A machine in the state ``StreamState/initial``.
    public init() {}

    /// Whether an operation may start in the current state.
    public func permission(for operation: StreamOperation) -> Permission {
        switch (state, operation) {
        case (.reset, .reset), (.failed, .reset): .nothingToDo
        case (_, .reset): .proceed

        case (.initial, _): .refuse(.notEstablished)
        case (.reset, _): .refuse(.reset)
        case (.failed, _): .refuse(.failed)

        case (.open, .read), (.closedWrite, .read): .proceed
        case (.closedRead, .read), (.closedBoth, .read): .refuse(.endOfStream)

        case (.open, .write), (.closedRead, .write): .proceed
        case (.closedWrite, .write), (.closedBoth, .write): .refuse(.writeClosed)

        case (.open, .closeRead), (.closedWrite, .closeRead): .proceed
        case (.closedRead, .closeRead), (.closedBoth, .closeRead): .nothingToDo

        case (.open, .closeWrite), (.closedRead, .closeWrite): .proceed
        case (.closedWrite, .closeWrite), (.closedBoth, .closeWrite): .nothingToDo

        case (.closedBoth, .close): .nothingToDo
        case (.open, .close), (.closedRead, .close), (.closedWrite, .close): .proceed
        }
    }

    /// Takes an event and says what to do about it.
    public mutating func apply(_ event: Event) -> Action {
        switch (state, event) {
        case (.initial, .establish): return move(to: .open)
        case (_, .establish): return .refused

        case (.reset, _), (.failed, _): return .none
        case (_, .reset): return move(to: .reset)
        case (_, .fail): return move(to: .failed)

        case (.initial, .readEnded), (.initial, .writeEnded): return .refused

        case (.open, .readEnded): return move(to: .closedRead)
        case (.closedWrite, .readEnded): return move(to: .closedBoth)
        case (.closedRead, .readEnded), (.closedBoth, .readEnded): return .none

        case (.open, .writeEnded): return move(to: .closedWrite)
        case (.closedRead, .writeEnded): return move(to: .closedBoth)
        case (.closedWrite, .writeEnded), (.closedBoth, .writeEnded): return .none
        }
    }

    private mutating func move(to next: StreamState) -> Action {
        state = next
        guard next.isEnd, !released else { return .changed }
        released = true
        return .release
    }
}
