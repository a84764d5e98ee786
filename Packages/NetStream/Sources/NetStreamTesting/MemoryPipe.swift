import NetStream
import Synchronization

/// One direction of a stream in memory: a bounded buffer between a sender and a receiver.
final class MemoryPipe: Sendable {
    private struct PendingWrite {
        var id: UInt64
        var bytes: ArraySlice<UInt8>
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct PendingRead {
        var id: UInt64
        var maxLength: Int
        var continuation: CheckedContinuation<[UInt8]?, any Error>
    }

    private struct State {
        var buffer: ArraySlice<UInt8> = []
        var isFinished = false
        /// The sender broke off with this code.
        var resetCode: UInt64?
        /// The receiver asked to stop with this code.
        var stopCode: UInt64?
        /// The receiver broke the stream off itself, so its reads say reset and not closed.
        var isStoppedByReset = false
        var senderClose: MemoryError?
        var receiverClose: MemoryError?
        var nextID: UInt64 = 0
        var writes: [PendingWrite] = []
        var reads: [PendingRead] = []
        var wasDone = false

        /// Nothing more will travel here.
        var isDone: Bool {
            resetCode != nil || stopCode != nil || senderClose != nil
                || (isFinished && buffer.isEmpty && writes.isEmpty)
        }
    }

    private let capacity: Int
    private let state = Mutex(State())
    /// Called once, outside the lock, when nothing more will travel here.
    private let onDone: @Sendable () -> Void

    init(capacity: Int, onDone: @escaping @Sendable () -> Void) {
        self.capacity = capacity
        self.onDone = onDone
    }

    // MARK: Sender

    func write(_ bytes: [UInt8]) async throws {
        let id = makeID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                change { state, effects in
                    if let error = Self.writeError(state) {
                        effects.add { continuation.resume(throwing: error) }
                    } else if Task.isCancelled {
                        effects.add { continuation.resume(throwing: MemoryError.cancelled) }
                    } else {
                        state.writes.append(PendingWrite(id: id, bytes: bytes[...], continuation: continuation))
                    }
                }
            }
        } onCancel: {
            change { state, effects in
                guard let index = state.writes.firstIndex(where: { $0.id == id }) else { return }
                let write = state.writes.remove(at: index)
                effects.add { write.continuation.resume(throwing: MemoryError.cancelled) }
            }
        }
    }

    /// FIN, after every write that was accepted.
    func finish() throws {
        try change { state, _ in
            guard !state.isFinished else { return }
            if let error = Self.writeError(state) { throw error }
            state.isFinished = true
        }
    }

    /// RESET_STREAM.
    func reset(code: UInt64) {
        change { state, _ in
            guard !state.isDone else { return }
            state.resetCode = code
        }
    }

    /// RESET_STREAM with code 0, unless the end was sent: then what is on its way arrives.
    func abandon() {
        change { state, _ in
            guard !state.isFinished, !state.isDone else { return }
            state.resetCode = 0
        }
    }

    // MARK: Receiver

    func read(upTo maxLength: Int) async throws -> [UInt8]? {
        let id = makeID()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<[UInt8]?, any Error>) in
                change { state, effects in
                    if Task.isCancelled {
                        effects.add { continuation.resume(throwing: MemoryError.cancelled) }
                    } else {
                        state.reads.append(PendingRead(id: id, maxLength: maxLength, continuation: continuation))
                    }
                }
            }
        } onCancel: {
            change { state, effects in
                guard let index = state.reads.firstIndex(where: { $0.id == id }) else { return }
                let read = state.reads.remove(at: index)
                effects.add { read.continuation.resume(throwing: MemoryError.cancelled) }
            }
        }
    }

    /// STOP_SENDING.
    func stop(code: UInt64, byReset: Bool) {
        change { state, _ in
            if byReset { state.isStoppedByReset = true }
            guard state.stopCode == nil else { return }
            state.stopCode = code
        }
    }

    /// The connection is over.
    func close(sender: MemoryError, receiver: MemoryError) {
        change { state, _ in
            guard state.senderClose == nil else { return }
            state.senderClose = sender
            state.receiverClose = receiver
        }
    }

    // MARK: Inside

    private func makeID() -> UInt64 {
        state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
    }

    /// Changes the state, then moves whatever can move, then resumes outside the lock.
    private func change(_ body: (inout State, inout Effects) throws -> Void) rethrows {
        var effects = Effects()
        let isNewlyDone = try state.withLock { state in
            try body(&state, &effects)
            pump(&state, &effects)
            guard state.isDone, !state.wasDone else { return false }
            state.wasDone = true
            return true
        }
        effects.run()
        if isNewlyDone { onDone() }
    }

    private func pump(_ state: inout State, _ effects: inout Effects) {
        if state.stopCode != nil { state.buffer = [] }
        while true {
            var moved = false
            while let write = state.writes.first, Self.writeFailure(state) == nil {
                let room = capacity - state.buffer.count
                guard room > 0 || write.bytes.isEmpty else { break }
                state.buffer += write.bytes.prefix(room)
                state.writes[0].bytes = write.bytes.dropFirst(room)
                guard state.writes[0].bytes.isEmpty else { break }
                state.writes.removeFirst()
                effects.add { write.continuation.resume() }
                moved = true
            }
            while let read = state.reads.first, let result = Self.readResult(&state, upTo: read.maxLength) {
                state.reads.removeFirst()
                effects.add { read.continuation.resume(with: result) }
                moved = true
            }
            if !moved { break }
        }
        if let error = Self.writeFailure(state) {
            for write in state.writes { effects.add { write.continuation.resume(throwing: error) } }
            state.writes = []
        }
    }

    /// Why writes that wait cannot go on.
    private static func writeFailure(_ state: State) -> MemoryError? {
        if let code = state.resetCode { return MemoryError(.reset(code: code, byPeer: false), "this side reset it") }
        if let error = state.senderClose { return error }
        if let code = state.stopCode {
            return MemoryError(.reset(code: code, byPeer: true), "the peer stopped reading")
        }
        return nil
    }

    /// Why a new write is refused.
    private static func writeError(_ state: State) -> MemoryError? {
        writeFailure(state) ?? (state.isFinished ? MemoryError(.closed, "the writing half is closed") : nil)
    }

    private static func readResult(_ state: inout State, upTo maxLength: Int) -> Result<[UInt8]?, any Error>? {
        if let code = state.stopCode {
            let kind: StreamFailureKind = state.isStoppedByReset ? .reset(code: code, byPeer: false) : .closed
            return .failure(MemoryError(kind, "this side stopped reading"))
        }
        if !state.buffer.isEmpty {
            let bytes = Array(state.buffer.prefix(maxLength))
            state.buffer = state.buffer.count == bytes.count ? [] : state.buffer.dropFirst(bytes.count)
            return .success(bytes)
        }
        if let code = state.resetCode {
            return .failure(MemoryError(.reset(code: code, byPeer: true), "the peer reset it"))
        }
        if state.isFinished, state.writes.isEmpty { return .success(nil) }
        if let error = state.receiverClose { return .failure(error) }
        return nil
    }
}
