import QuicCore
import Synchronization

/// Where the tasks that use one stream and the event loop that drives it meet.
///
/// Tasks call ``read(upTo:timeout:)``, ``write(_:timeout:)``, ``closeWrite(timeout:)``, ``closeRead(code:)``,
/// ``reset(code:)``. They never wait for the loop's thread: what they want is left here, and the loop is woken when it
/// had nothing to do here before, at most once until it comes.
///
/// The loop calls ``deliver(_:fin:to:)`` (for what a read batch brought), ``peerReset(code:)``, ``peerStopped(code:)``,
/// ``freed(bytes:)``, ``streamClosed()`` and ``connectionFailed(_:)``, and after a wake ``takeOutbound(into:)``.
///
/// Under the lock only the two state machines run. Continuations are resumed and the loop is woken after it is released.
final class StreamMailbox: Sendable {
    /// Sizes of one stream.
    struct Limits: Sendable {
        /// The receive window in bytes.
        var window = 64 << 10
        /// With so many bytes unread, reading earns no credit …
        var receiveHighWater = Int.max
        /// … until no more than so many are left.
        var receiveLowWater = Int.max
        /// Writes wait when so many bytes are not acknowledged.
        var highWater = 256 << 10
        /// Writes go on when no more than so many bytes are not acknowledged.
        var lowWater = 128 << 10
    }

    typealias Reader = CheckedContinuation<Result<[UInt8]?, QuicError>, Never>
    typealias Writer = CheckedContinuation<QuicError?, Never>

    struct State {
        var inbound: InboundHalf<Reader>
        var outbound: OutboundHalf<Writer>
        var reset: UInt64?
        var stop: UInt64?
        var isWakeOutstanding = false
        /// The connection is gone; nobody looks at orders any more.
        var isDetached = false
        var nextID: UInt64 = 0
        /// Writers whose deadline passed while they were running.
        var expiredWriters: Set<UInt64> = []
        var times: StreamTimes
        /// What the layers above say is spoken on the stream.
        var protocolID: String?

        mutating func makeID() -> UInt64 {
            nextID += 1
            return nextID
        }

        /// Whether the loop has to be woken now.
        mutating func wakesLoop() -> Bool {
            guard !isDetached, !isWakeOutstanding else { return false }
            guard outbound.hasPending || inbound.isCreditDue || reset != nil || stop != nil else { return false }
            isWakeOutstanding = true
            return true
        }
    }

    /// What is to be done after the lock is released.
    struct Actions {
        var reads: InboundHalf<Reader>.Served = []
        var writers: [(writer: Writer, error: QuicError?)] = []
        var wake = false

        mutating func resume(_ writer: Writer?, _ error: QuicError? = nil) {
            if let writer { writers.append((writer, error)) }
        }

        /// Resumes writers that ask the machine themselves what became of the stream.
        mutating func resume(all released: [Writer]) {
            for writer in released { writers.append((writer, nil)) }
        }
    }

    let state: Mutex<State>
    private let wakeLoop: @Sendable (StreamMailbox) -> Void
    private let scheduleTimeout: ScheduleTimeout
    let clock: StreamTimes.Clock

    /// - Parameters:
    ///   - memory: The send memory of the connection.
    ///   - clock: Tells when what happens, in nanoseconds.
    ///   - scheduleTimeout: Arms the timers of operations that have a deadline.
    ///   - wakeLoop: Makes the loop call ``takeOutbound(into:)`` soon. Called from any thread, the loop's own included,
    ///     and also after ``streamClosed()``: what is read then still gives credit back to the connection.
    init(
        limits: Limits,
        memory: SendMemory,
        clock: @escaping StreamTimes.Clock = StreamTimes.loopClock,
        scheduleTimeout: @escaping ScheduleTimeout,
        wakeLoop: @escaping @Sendable (StreamMailbox) -> Void
    ) {
        state = Mutex(
            State(
                inbound: InboundHalf(
                    window: limits.window,
                    highWater: limits.receiveHighWater,
                    lowWater: limits.receiveLowWater
                ),
                outbound: OutboundHalf(highWater: limits.highWater, lowWater: limits.lowWater, memory: memory),
                times: StreamTimes(opened: clock())
            )
        )
        self.clock = clock
        self.scheduleTimeout = scheduleTimeout
        self.wakeLoop = wakeLoop
    }

    /// Runs a step of the machines under the lock, then what follows from it.
    func perform(_ body: (inout State, inout Actions) -> Void) {
        var actions = Actions()
        state.withLock { state in
            body(&state, &actions)
            actions.wake = state.wakesLoop()
        }
        run(actions)
    }

    private func run(_ actions: Actions) {
        if actions.wake { wakeLoop(self) }
        for reader in actions.reads { reader.waiter.resume(returning: reader.outcome) }
        for (writer, error) in actions.writers { writer.resume(returning: error) }
    }

    /// What the stream has carried by now, and when.
    var statistics: QuicStreamStatistics {
        state.withLock { state in
            QuicStreamStatistics(
                bytesReceived: state.inbound.totalReceived,
                bytesUnread: state.inbound.buffered,
                bytesWritten: state.outbound.totalWritten,
                bytesUnacknowledged: state.outbound.outstanding,
                timeline: QuicStreamTimeline(state.times)
            )
        }
    }

    /// The protocol that was noted last.
    var protocolID: String? { state.withLock { $0.protocolID } }

    func note(protocolID: String?) { state.withLock { $0.protocolID = protocolID } }

    /// Whether the sending half was ended and the peer has not got all of it, as far as is known. The end itself counts where
    /// the stream is over for the transport once that is acknowledged: when the receiving half is over too.
    var isArriving: Bool {
        state.withLock { state in
            guard state.outbound.isEnded else { return false }
            return state.outbound.hasPending || state.outbound.outstanding > 0 || !state.inbound.isOpen
        }
    }

    // MARK: Reading

    /// Waits for bytes; nil at the end of the stream. A chunk that is no longer than `maxLength` is not copied.
    ///
    /// - Parameters:
    ///   - maxLength: The most bytes to return, at least 1.
    ///   - timeout: How long to wait, nil for as long as it takes. The stream stays as it was when the time is over.
    /// - Throws: ``QuicError`` with the codes `streamClosed`, `streamReset`, `streamTimeout`, `cancelled`,
    ///   `streamState` (for a `maxLength` below 1), or what ended the connection.
    nonisolated(nonsending) func read(upTo maxLength: Int, timeout: Duration? = nil) async throws(QuicError) -> [UInt8]?
    {
        guard maxLength > 0 else {
            throw QuicError(.streamState, "reading \(maxLength) bytes makes no sense; ask for at least 1")
        }
        var outcome: Result<[UInt8]?, QuicError>?
        var id: UInt64 = 0
        perform { state, _ in
            outcome = state.inbound.read(upTo: maxLength)
            if outcome == nil { id = state.makeID() }
        }
        if let outcome { return try outcome.get() }
        let own = id
        var timer: StreamTimer?
        let end = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: Reader) in
                var isWaiting = false
                perform { state, actions in
                    if let outcome = state.inbound.read(upTo: maxLength) {
                        actions.reads.append(.init(waiter: continuation, outcome: outcome))
                    } else if Task.isCancelled {
                        // Asked under the lock: the handler below either ran before, then this is true, or finds the
                        // waiter.
                        actions.reads.append(.init(waiter: continuation, outcome: .failure(.cancelledWait)))
                    } else {
                        state.inbound.wait(id: own, upTo: maxLength, waiter: continuation)
                        isWaiting = true
                    }
                }
                if isWaiting, let timeout {
                    timer = scheduleTimeout(timeout) { [weak self] in self?.endRead(id: own, .timedOutWait) }
                }
            }
        } onCancel: {
            endRead(id: own, .cancelledWait)
        }
        timer?.cancel()
        return try end.get()
    }

    /// Takes bytes that are there and that nobody waits for.
    func readAtOnce(upTo maxLength: Int) -> [UInt8]? {
        let (bytes, wakes) = state.withLock { state -> ([UInt8]?, Bool) in
            guard let bytes = state.inbound.readAtOnce(upTo: maxLength) else { return (nil, false) }
            return (bytes, state.wakesLoop())
        }
        if wakes { wakeLoop(self) }
        return bytes
    }

    private func endRead(id: UInt64, _ error: QuicError) {
        perform { state, actions in
            if let reader = state.inbound.cancel(id: id) {
                actions.reads.append(.init(waiter: reader, outcome: .failure(error)))
            }
        }
    }

    // MARK: Writing

    /// Sends bytes in order; waits while too much is not acknowledged. Writers are served in the order they came.
    ///
    /// - Parameter timeout: How long the whole call may take, nil for as long as it takes.
    /// - Throws: ``QuicError`` with the codes `streamClosed`, `streamReset`, `streamTimeout`, `flowControlDeadlock`,
    ///   `sendMemoryExhausted`, `cancelled`, or what ended the connection. A part of the bytes may have been sent then.
    nonisolated(nonsending) func write(_ bytes: [UInt8], timeout: Duration? = nil) async throws(QuicError) {
        if writeAtOnce(bytes) { return }
        var offset = 0
        try await takingTurns(timeout: timeout) { outbound in
            offset += outbound.append(bytes, from: offset)
            return offset == bytes.count
        }
    }

    /// The common case without its ceremony: nobody else is writing and there is room for all of it.
    ///
    /// - Returns: Whether it was done.
    func writeAtOnce(_ bytes: [UInt8]) -> Bool {
        let (isDone, wakes) = state.withLock { state -> (Bool, Bool) in
            guard state.outbound.reserve(bytes.count) else { return (false, false) }
            _ = state.outbound.append(bytes, from: 0)
            return (true, state.wakesLoop())
        }
        if wakes { wakeLoop(self) }
        return isDone
    }

    /// Ends the sending half behind everything written before. Idempotent; does nothing on a half that was reset or
    /// stopped. Waits only while another task's write waits.
    ///
    /// - Throws: ``QuicError`` with the codes `streamTimeout`, `cancelled`, or what ended the connection.
    func closeWrite(timeout: Duration? = nil) async throws(QuicError) {
        do {
            try await takingTurns(timeout: timeout) { outbound in
                outbound.finish()
                return true
            }
        } catch  where error.code == .streamClosed || error.code == .streamReset {
            return
        }
    }

    /// Runs `step` while it is this caller's turn, until it returns true; waits for room in between.
    private func takingTurns(
        timeout: Duration?,
        _ step: (inout OutboundHalf<Writer>) -> Bool
    ) async throws(QuicError) {
        var id: UInt64?
        var timer: StreamTimer?
        while true {
            var error: QuicError?
            var isDone = false
            perform { state, actions in
                let own = id ?? state.makeID()
                id = own
                switch state.outbound.takeTurn(id: own) {
                case .failed(let failure): error = failure
                case .wait: return
                case .proceed:
                    isDone = step(&state.outbound)
                    guard isDone else { return }
                    actions.resume(state.outbound.endTurn(id: own))
                    actions.resume(all: state.outbound.releaseIfOver())
                }
            }
            guard let id else { return }
            if error == nil, !isDone { error = await waitToWrite(id: id, timeout: timeout, timer: &timer) }
            if isDone || error != nil {
                if let timer {
                    timer.cancel()
                    _ = state.withLock { $0.expiredWriters.remove(id) }
                }
                if let error { throw error }
                return
            }
        }
    }

    private func waitToWrite(id: UInt64, timeout: Duration?, timer: inout StreamTimer?) async -> QuicError? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: Writer) in
                var isWaiting = false
                perform { state, actions in
                    state.outbound.wait(id: id, waiter: continuation)
                    let isExpired = state.expiredWriters.contains(id)
                    if Task.isCancelled || isExpired {
                        Self.end(id: id, isExpired ? .timedOutWait : .cancelledWait, &state, &actions)
                    } else {
                        state.outbound.standInLine(self)
                        // Between the two locks room may have come, or the half may be over.
                        actions.resume(state.outbound.advance())
                        actions.resume(all: state.outbound.releaseIfOver())
                        isWaiting = true
                    }
                }
                if isWaiting, timer == nil, let timeout {
                    timer = scheduleTimeout(timeout) { [weak self] in self?.endWrite(id: id, .timedOutWait) }
                }
            }
        } onCancel: {
            endWrite(id: id, .cancelledWait)
        }
    }

    private func endWrite(id: UInt64, _ error: QuicError) {
        perform { state, actions in Self.end(id: id, error, &state, &actions) }
    }

    private static func end(id: UInt64, _ error: QuicError, _ state: inout State, _ actions: inout Actions) {
        let isLate = error.code == .streamTimeout
        let lacksMemory = state.outbound.lacksMemory(id: id)
        let (cancelled, next) = state.outbound.cancel(id: id)
        var reason = error
        if isLate, state.inbound.holdsPeerUp {
            reason = .deadlock(unread: state.inbound.buffered)
        } else if isLate, lacksMemory {
            reason = .outOfSendMemory
        }
        actions.resume(cancelled, reason)
        actions.resume(next)
        // A writer that is just running looks at this when it waits again. (A cancelled one asks its task.)
        if cancelled == nil, state.outbound.turn == id, isLate { state.expiredWriters.insert(id) }
    }

    // MARK: Closing

    /// Asks the peer to stop sending; what is buffered is thrown away and reads throw `streamClosed`. Idempotent.
    func closeRead(code: UInt64 = 0) {
        perform { state, actions in
            let (served, tellsPeer) = state.inbound.close(.closedForReading)
            actions.reads = served
            if tellsPeer { state.stop = code }
        }
    }

    /// Breaks both halves at once, where they are not over. Idempotent.
    func reset(code: UInt64) {
        perform { state, actions in
            let error = QuicError.streamReset(code: code, byPeer: false)
            if state.outbound.canBeReset || state.inbound.isOpen {
                state.times.noteReset(at: clock(), code: code, byPeer: false)
            }
            if state.outbound.canBeReset {
                actions.resume(all: state.outbound.fail(error))
                state.reset = code
            }
            let (served, tellsPeer) = state.inbound.close(error)
            actions.reads = served
            if tellsPeer { state.stop = code }
        }
    }

    /// The last reference to the stream is gone: what is still open is broken, what was ended is left to be delivered.
    func abandon(code: UInt64) {
        perform { state, actions in
            if state.outbound.isOpen {
                state.times.noteReset(at: clock(), code: code, byPeer: false)
                actions.resume(all: state.outbound.fail(.streamReset(code: code, byPeer: false)))
                state.reset = code
            }
            let (served, tellsPeer) = state.inbound.close(.closedForReading)
            actions.reads = served
            if tellsPeer { state.stop = code }
        }
    }
}
