import NetStream
import Synchronization

/// A close was cancelled while it waited for the peer's answer: the writing half is closed, and the rest is open.
private struct ClosedHalfway: ClassifiedStreamError {
    let cause: any Error
    var streamFailureKind: StreamFailureKind { .cancelled }
    var hasEndedWriting: Bool { true }
}

/// A stream whose protocol the peer is known to speak: the header and the proposal travel with the first bytes, and the
/// peer's answer is checked when something is read.
///
/// Readers and writers do not wait for each other: whoever comes first sends the opening, a reader goes on to wait for
/// the answer, and only writers queue up behind the opening. The opening is short and is sent to its end even when the
/// task that started it is cancelled, so that a cancelled read or write leaves the stream as usable as before.
final class LazyNegotiatedStream: MuxedStream {
    private struct State {
        /// What is to be sent first. Empty once somebody has taken it upon himself to send it.
        var opening: [UInt8]
        var dialer: MultistreamDialer
        var isOpened = false
        var isAgreed = false
        /// Whether somebody was told that the peer and this side came to no agreement.
        var isFailureTold = false
        /// Application data that came with the answer.
        var rest: ArraySlice<UInt8> = []
    }

    /// Payload that travels in one write with the opening.
    private static let firstPayload = 1024

    private let base: any MuxedStream
    private let state: Mutex<State>
    /// One writer at a time, so that nothing overtakes the opening. Readers never take it.
    private let writing = AsyncSemaphore(permits: 1)
    /// One at a time waits for the answer; the next one finds it there.
    private let answering = AsyncSemaphore(permits: 1)
    /// Whether the opening could be sent.
    private let opened = SharedResult<Void>()
    private let timeout: Duration
    private let clock: any Clock<Duration>
    /// Called at most once, when it is certain that there will be no agreement.
    private let onFailure: @Sendable (any Error) -> Void

    /// A stream on which `name` is proposed. Sending the opening may take `timeout`, and so may the peer's answer once
    /// it is waited for.
    ///
    /// - Parameter onFailure: Called at most once, outside any lock, when the negotiation has failed, with what it failed
    ///   by: ``HostError/Code/protocolsNotSupported`` when the peer does not speak the protocol after all. Nobody knows of a
    ///   failure before somebody waits for the answer. A cancelled wait is none, nor is a stream that this side gives up.
    init(
        _ base: any MuxedStream,
        proposing name: [UInt8],
        timeout: Duration = .seconds(30),
        clock: any Clock<Duration> = ContinuousClock(),
        onFailure: @escaping @Sendable (any Error) -> Void
    ) {
        self.base = base
        self.timeout = timeout
        self.clock = clock
        self.onFailure = onFailure
        let dialer = MultistreamDialer(proposals: [name])
        state = Mutex(State(opening: dialer.opening, dialer: dialer))
        // An interest that never ends: the result is not given up when a waiting task is cancelled.
        _ = opened.join()
    }

    var id: UInt64 { base.id }
    var direction: Direction { base.direction }

    func write(_ bytes: [UInt8]) async throws {
        try await writing.withPermit {
            let first = bytes.prefix(Self.firstPayload)
            if try await open(with: first) {
                guard first.count < bytes.count else { return }
                try await base.write(Array(bytes.dropFirst(first.count)))
            } else {
                try await base.write(bytes)
            }
        }
    }

    func closeWrite() async throws {
        try await writing.withPermit {
            try await open(with: [])
            try await base.closeWrite()
        }
    }

    /// Waits for the peer's answer first: asked to stop before it has answered, it drops the stream with all that came on it.
    func closeRead() async throws {
        if !state.withLock({ $0.isAgreed }) {
            if let opening = try takeOpening() { try await send(opening) }
            // What the answer is, is of no interest to somebody who does not read; that it is there, is.
            do { try await finishNegotiation() } catch let error where !Self.isCancellation(error) {}
        }
        try await base.closeRead()
    }

    /// Like ``closeRead()`` it waits for the answer. A peer that does not speak the protocol after all has read nothing, and
    /// that is an error.
    func close() async throws {
        try await writing.withPermit {
            try await open(with: [])
            if !state.withLock({ $0.isAgreed }) {
                try await base.closeWrite()
                do {
                    try await finishNegotiation()
                } catch let error where Self.isCancellation(error) {
                    throw ClosedHalfway(cause: error)
                }
            }
            try await base.close()
        }
    }

    private static func isCancellation(_ error: any Error) -> Bool {
        error is CancellationError || (error as? any ClassifiedStreamError)?.streamFailureKind == .cancelled
    }

    func reset(code: StreamErrorCode) {
        base.reset(code: code)
    }

    func note(protocolID: String?) { base.note(protocolID: protocolID) }

    nonisolated(nonsending) func read(upTo maxLength: Int) async throws -> [UInt8]? {
        if !state.withLock({ $0.isAgreed }) {
            // A writer that has begun may be held up until somebody reads, so it is not waited for.
            if let opening = try takeOpening() { try await send(opening) }
            try await finishNegotiation()
        }
        let rest = state.withLock { state in
            let bytes = Array(state.rest.prefix(maxLength))
            state.rest = state.rest.count == bytes.count ? [] : state.rest.dropFirst(bytes.count)
            return bytes
        }
        return rest.isEmpty ? try await base.read(upTo: maxLength) : rest
    }

    func readAtOnce(upTo maxLength: Int) -> [UInt8]? {
        let isReady = state.withLock { $0.isAgreed && $0.rest.isEmpty }
        return isReady ? base.readAtOnce(upTo: maxLength) : nil
    }

    func writeAtOnce(_ bytes: [UInt8]) -> Bool {
        guard writing.tryAcquire() else { return false }
        defer { writing.release() }
        if state.withLock({ $0.isOpened }) { return base.writeAtOnce(bytes) }
        guard bytes.count <= Self.firstPayload, !Task.isCancelled else { return false }
        // Out of the others' reach while it is tried, and back if it was in vain: whoever asked goes on to wait.
        let opening = state.withLock { state in
            defer { state.opening = [] }
            return state.opening
        }
        guard !opening.isEmpty else { return false }
        guard base.writeAtOnce(opening + bytes) else {
            state.withLock { $0.opening = opening }
            return false
        }
        noteOpened()
        return true
    }

    // MARK: Opening

    /// The opening, for the one who has to send it; `nil` for everybody else.
    private func takeOpening() throws -> [UInt8]? {
        try state.withLock { state in
            guard !state.opening.isEmpty else { return nil }
            if Task.isCancelled { throw HostError(.cancelled, "cancelled before anything was sent") }
            defer { state.opening = [] }
            return state.opening
        }
    }

    /// Sees to it that the opening was sent. Runs with the permit to write.
    ///
    /// - Returns: Whether it was sent just now, with the payload behind it.
    @discardableResult
    private func open(with payload: ArraySlice<UInt8>) async throws -> Bool {
        if state.withLock({ $0.isOpened }) { return false }
        if let opening = try takeOpening() {
            try await send(opening + payload)
            return true
        }
        try await waitUntilOpened()
        return false
    }

    private func waitUntilOpened() async throws {
        guard opened.join() else { return }
        try await opened.wait()
    }

    private func noteOpened() {
        state.withLock { $0.isOpened = true }
        opened.fulfil(.success(()))
    }

    private var breakOff: @Sendable () -> Void {
        { [base] in base.reset(code: .protocolNegotiationFailed) }
    }

    private func send(_ bytes: [UInt8]) async throws {
        if base.writeAtOnce(bytes) {
            return noteOpened()
        }
        await uncancelled { [self] in
            do {
                try await withDeadline(timeout, clock: clock, breakingOff: breakOff) { try await base.write(bytes) }
                noteOpened()
            } catch {
                // Nobody can tell how much of the opening was sent, so nothing may follow it.
                let message = "the stream's opening was not sent; open another one"
                opened.fulfil(.failure(HostError(.streamFailed, message, cause: error)))
                base.reset(code: .protocolNegotiationFailed)
                tell(failure: error)
            }
        }
        try await waitUntilOpened()
    }

    // MARK: Answer

    /// Reads the peer's answer. Breaks the stream off when that takes too long.
    private func finishNegotiation() async throws {
        do {
            try await answering.withPermit {
                try await withDeadline(timeout, clock: clock, breakingOff: breakOff) {
                    while !state.withLock({ $0.isAgreed }) { try await readAnswer() }
                }
            }
        } catch let error as NetStreamError where error.code == .timeout {
            base.reset(code: .protocolNegotiationFailed)
            let message = "the peer did not answer within \(timeout); open another stream"
            tell(failure: HostError(.timeout, message, cause: error))
            // Not as a timeout, which would leave the stream usable.
            throw HostError(.negotiationFailed, message)
        } catch {
            tell(failure: error)
            throw error
        }
    }

    /// Tells of a failure, unless it is one of this side's own making or was told before.
    private func tell(failure error: any Error) {
        switch (error as? any ClassifiedStreamError)?.streamFailureKind {
        case .cancelled, .closed, .reset(_, byPeer: false): return
        default: if error is CancellationError { return }
        }
        let isFirst = state.withLock { state in
            defer { state.isFailureTold = true }
            return !state.isFailureTold
        }
        if isFirst { onFailure(error) }
    }

    private func readAnswer() async throws {
        let bytes: [UInt8]?
        do {
            bytes = try await base.read(upTo: 2048)
        } catch let error as any ClassifiedStreamError where error.streamFailureKind == .timeout {
            // The transport's patience for one read; how long the answer may take is decided here.
            try Task.checkCancellation()
            return
        }
        guard let bytes else {
            throw HostError(.negotiationFailed, "the peer ended the stream without an answer to its protocol")
        }
        let action = try state.withLock { state in
            let action = try state.dialer.receive(bytes)
            if case .agreed(_, let rest) = action {
                state.isAgreed = true
                state.rest = rest[...]
            }
            return action
        }
        if action == .exhausted {
            throw HostError(
                .protocolsNotSupported,
                "the peer no longer speaks the protocol that it named before; try another one"
            )
        }
    }
}
