public import Multiaddr
public import PeerID
import Synchronization

/// A stream between two peers, as applications use it.
///
/// Wraps a ``MuxedStream`` of any transport with a strict state machine (``StreamStateMachine``), bounded readers and a
/// buffer of its own, so that a reader never takes more from the stream than its caller asked for.
///
/// Safe to use from many tasks. Readers are served one after another in the order of arrival, and so are writers: the
/// bytes of one `write` and of one `readExactly` stay together. Cancelling a waiting task leaves the stream consistent:
/// no byte that arrived is lost.
///
/// All methods throw ``NetStreamError``.
public final class NetStream: Sendable {
    struct Shared {
        var machine = StreamStateMachine()
        var end: StreamEnd?
        /// Bytes that were taken from the muxed stream and not yet by a reader.
        var buffer: ArraySlice<UInt8> = []
        /// The end of the stream was seen, behind what is in ``buffer``.
        var isEndPending = false
        var protocolID: String?
        var onRelease: (@Sendable (NetStream) -> Void)?

        /// Takes so many bytes out of the buffer, or all that are there.
        mutating func take(_ count: Int) -> [UInt8] {
            let bytes = Array(buffer.prefix(count))
            buffer = buffer.count == bytes.count ? [] : buffer.dropFirst(bytes.count)
            return bytes
        }

        /// A reader has come to the end of the stream.
        mutating func endReading() -> StreamStateMachine.Action {
            isEndPending = false
            return machine.apply(.readEnded)
        }
    }

    /// The connection that carries the stream.
    public let connection: any MuxedConnection
    let muxed: any MuxedStream
    let shared: Mutex<Shared>
    let readGate = AsyncGate()
    let writeGate = AsyncGate()

    /// Wraps a muxed stream. The new stream is in the state ``StreamState/initial`` until ``establish()``.
    ///
    /// - Parameters:
    ///   - muxed: The stream to wrap. From here on nobody else may use it.
    ///   - connection: The connection it belongs to.
    ///   - protocolID: The protocol spoken on it, when it is known already.
    ///   - onRelease: Called exactly once, outside any lock, when the stream reaches its first end state.
    public init(
        _ muxed: any MuxedStream,
        connection: any MuxedConnection,
        protocolID: String? = nil,
        onRelease: (@Sendable (NetStream) -> Void)? = nil
    ) {
        self.muxed = muxed
        self.connection = connection
        shared = Mutex(Shared(protocolID: protocolID, onRelease: onRelease))
        if protocolID != nil { muxed.note(protocolID: protocolID) }
    }

    // MARK: What it is

    /// The stream's number, unique within its connection.
    public var id: UInt64 { muxed.id }
    /// Who opened it.
    public var direction: Direction { muxed.direction }
    /// The peer at the other end.
    public var remotePeer: PeerID { connection.remotePeer }
    /// The peer's address, without `/p2p`.
    public var remoteAddress: Multiaddr { connection.remoteAddress }
    /// This side's address, without `/p2p`.
    public var localAddress: Multiaddr { connection.localAddress }
    /// Where the stream is in its life.
    public var state: StreamState { shared.withLock { $0.machine.state } }
    /// Whether at least one half still works.
    public var isOperational: Bool { state.isOperational }

    /// The protocol spoken on the stream, once it is known. The muxed stream is told of it.
    public var protocolID: String? {
        get { shared.withLock { $0.protocolID } }
        set {
            shared.withLock { $0.protocolID = newValue }
            muxed.note(protocolID: newValue)
        }
    }

    // MARK: Life

    /// Hands the stream to its user: ``StreamState/initial`` becomes ``StreamState/open``.
    ///
    /// - Throws: ``NetStreamError/Code/alreadyEstablished`` the second time and after a reset.
    public func establish() throws {
        let state: StreamState? = shared.withLock { shared in
            let before = shared.machine.state
            return shared.machine.apply(.establish) == .refused ? before : nil
        }
        if let state {
            throw NetStreamError(.alreadyEstablished, "cannot establish a stream in state \(state)", state: state)
        }
    }

    /// Sends bytes, in order. Suspends while the peer does not take them.
    ///
    /// - Throws: ``NetStreamError``. After a cancellation or a timeout part of `bytes` may have been sent; the stream
    ///   works on. When the peer stopped reading, the code is ``NetStreamError/Code/reset``, and what the peer sends can
    ///   still be read.
    public nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws {
        if !writeGate.tryEnter() { try await enter(writeGate, for: .write) }
        defer { writeGate.leave() }
        guard try permitted(.write), !bytes.isEmpty, !muxed.writeAtOnce(bytes) else { return }
        do {
            try await muxed.write(bytes)
        } catch {
            throw absorb(error, during: .write)
        }
    }

    /// Ends the writing half: the peer reads everything written before, and then the end. Waits for a `write` under way.
    /// When the peer stopped reading before, that is no error.
    public func closeWrite() async throws {
        if !writeGate.tryEnter() { try await enter(writeGate, for: .closeWrite) }
        defer { writeGate.leave() }
        guard try permitted(.closeWrite) else { return }
        do {
            try await muxed.closeWrite()
        } catch {
            let failure = absorb(error, during: .closeWrite)
            // The peer does not read any more: the half is over, which is what was asked for.
            guard failure.isEndOfWriting else { throw failure }
        }
        perform(apply(.writeEnded))
    }

    /// Ends the reading half and asks the peer to stop sending. A read that waits in another task ends.
    public func closeRead() async throws {
        guard try permitted(.closeRead) else { return }
        do {
            try await muxed.closeRead()
        } catch {
            throw absorb(error, during: .closeRead)
        }
        perform(
            shared.withLock { shared in
                shared.buffer = []
                shared.isEndPending = false
                return shared.machine.apply(.readEnded)
            }
        )
    }

    /// Closes both halves in an orderly way: what was written is still delivered. Waits for a `write` under way.
    ///
    /// After a cancellation or a timeout the stream is as it was, unless the writing half was closed already: then the state is
    /// ``StreamState/closedWrite``. Close again, or reset.
    public func close() async throws {
        if !writeGate.tryEnter() { try await enter(writeGate, for: .close) }
        defer { writeGate.leave() }
        guard try permitted(.close) else { return }
        do {
            try await muxed.close()
        } catch {
            let failure = absorb(error, during: .close)
            guard failure.isEndOfWriting else { throw failure }
        }
        perform(
            shared.withLock { shared in
                shared.buffer = []
                shared.isEndPending = false
                let first = shared.machine.apply(.writeEnded)
                let second = shared.machine.apply(.readEnded)
                return first == .release ? first : second
            }
        )
    }

    /// Breaks the stream off at once, in any state. The peer sees `code`. Does nothing when it is over already.
    public func reset(code: StreamErrorCode = .none) {
        let action: StreamStateMachine.Action = shared.withLock { shared in
            guard shared.machine.permission(for: .reset) == .proceed else { return .none }
            shared.buffer = []
            shared.isEndPending = false
            shared.end = StreamEnd(code: code.rawValue)
            return shared.machine.apply(.reset)
        }
        guard action != .none else { return }
        // Before a task that waits on the stream learns of it: what it takes up next must find the place free.
        perform(action)
        muxed.reset(code: code)
    }

    // MARK: Inside

    /// Waits for the turn of an operation.
    func enter(_ gate: AsyncGate, for operation: StreamOperation) async throws {
        guard await gate.enter() else {
            throw NetStreamError(
                .cancelled,
                "cancelled while waiting to \(operation); the stream is as it was",
                operation: operation
            )
        }
    }

    /// Whether there is something to do; throws when the state forbids it.
    func permitted(_ operation: StreamOperation) throws -> Bool {
        let (permission, state, end) = shared.withLock { shared in
            (shared.machine.permission(for: operation), shared.machine.state, shared.end)
        }
        switch permission {
        case .proceed: return true
        case .nothingToDo: return false
        case .refuse(let refusal):
            throw NetStreamError.refused(refusal, operation: operation, state: state, end: end)
        }
    }

    func apply(_ event: StreamStateMachine.Event) -> StreamStateMachine.Action {
        shared.withLock { $0.machine.apply(event) }
    }

    /// Does what the machine says. Call it outside the lock.
    func perform(_ action: StreamStateMachine.Action) {
        guard action == .release else { return }
        let onRelease = shared.withLock { shared in
            defer { shared.onRelease = nil }
            return shared.onRelease
        }
        onRelease?(self)
    }

    /// Takes a failure of the muxed stream into the state machine and gives the error to throw.
    func absorb(_ error: any Error, during operation: StreamOperation) -> NetStreamError {
        var kind =
            (error as? any ClassifiedStreamError)?.streamFailureKind
            ?? (error is CancellationError ? .cancelled : .other)
        // The connection's own time was over, not that of this operation: there is nothing to try again.
        if kind == .timeout, connection.isClosed { kind = .connectionClosed(code: 0, byPeer: false) }
        let (event, code, end) = Self.meaning(of: kind, during: operation, cause: error)
        let (action, isTerminal, before) = shared.withLock { shared in
            let before = shared.machine.state
            let action: StreamStateMachine.Action = event.map { shared.machine.apply($0) } ?? .none
            let isTerminal = action != .none && (shared.machine.state == .reset || shared.machine.state == .failed)
            if isTerminal {
                shared.end = end
                shared.buffer = []
                shared.isEndPending = false
            }
            return (action, isTerminal, before)
        }
        // A half that still works has no user any more: give its resources back too.
        if isTerminal { muxed.reset(code: before.isEnd ? .none : (event == .fail ? .generic : .none)) }
        perform(action)
        return NetStreamError(
            code,
            (code == .cancelled || code == .timeout) && event != nil
                ? "\(operation) came to no end; the writing half is closed: close again, or reset the stream"
                : Self.explanation(of: code, operation: operation),
            cause: error,
            operation: operation,
            state: before,
            streamCode: end.code,
            byPeer: end.byPeer
        )
    }

    private static func meaning(
        of kind: StreamFailureKind,
        during operation: StreamOperation,
        cause: any Error
    ) -> (StreamStateMachine.Event?, NetStreamError.Code, StreamEnd) {
        switch kind {
        case .reset(let code, let byPeer):
            // A write only learns that the peer stopped reading (STOP_SENDING); what it sent can still be read, and
            // the reading half says itself whether it was reset too.
            let isHalf = byPeer && operation != .read && operation != .closeRead
            return (isHalf ? .writeEnded : .reset, .reset, StreamEnd(code: code, byPeer: byPeer, cause: cause))
        case .connectionClosed(let code, let byPeer):
            let end = StreamEnd(code: code, byPeer: byPeer, connectionClosed: true, cause: cause)
            return (.fail, .connectionClosed, end)
        case .closed:
            switch operation {
            case .read, .closeRead: return (.readEnded, .endOfStream, StreamEnd(cause: cause))
            case .write, .closeWrite, .close, .reset: return (.writeEnded, .writeClosed, StreamEnd(cause: cause))
            }
        case .timeout, .cancelled:
            // A close may have come halfway.
            let isHalfway = operation == .close && (cause as? any ClassifiedStreamError)?.hasEndedWriting == true
            return (isHalfway ? .writeEnded : nil, kind == .timeout ? .timeout : .cancelled, StreamEnd(cause: cause))
        case .limitExceeded: return (.fail, .limitExceeded, StreamEnd(cause: cause))
        case .other: return (.fail, .failed, StreamEnd(cause: cause))
        }
    }

    private static func explanation(of code: NetStreamError.Code, operation: StreamOperation) -> String {
        switch code {
        case .reset: "the stream was reset during \(operation); open another one to try again"
        case .connectionClosed: "the connection was closed during \(operation); connect again"
        case .endOfStream: "the reading half was closed during \(operation)"
        case .writeClosed: "the writing half was closed during \(operation)"
        case .timeout: "\(operation) took too long; the stream is as it was, so it may be tried again"
        case .cancelled: "\(operation) was cancelled; the stream is as it was"
        case .limitExceeded: "a limit of the transport was reached during \(operation); raise it or use fewer streams"
        default: "\(operation) failed; see the cause, and open another stream to try again"
        }
    }
}
