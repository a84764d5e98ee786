import NetStream
import Synchronization

/// A stream whose protocol the peer is known to speak: the header and the proposal travel with the first bytes, and the
/// peer's answer is checked when something is read.
final class LazyNegotiatedStream: MuxedStream {
    private struct State {
        var opening: [UInt8]
        var dialer: MultistreamDialer
        var isAgreed = false
        var isBroken = false
        /// Application data that came with the answer.
        var rest: ArraySlice<UInt8> = []
    }

    /// Payload that travels in one write with the opening.
    private static let firstPayload = 16384

    private let base: any MuxedStream
    private let state: Mutex<State>
    /// One writer at a time, so that nothing overtakes the opening.
    private let writing = AsyncSemaphore(permits: 1)

    /// Called when the peer does not speak the protocol after all.
    private let onRefusal: @Sendable () -> Void

    init(_ base: any MuxedStream, proposing name: [UInt8], onRefusal: @escaping @Sendable () -> Void) {
        self.base = base
        self.onRefusal = onRefusal
        let dialer = MultistreamDialer(proposals: [name])
        state = Mutex(State(opening: dialer.opening, dialer: dialer))
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

    func closeRead() async throws {
        try await base.closeRead()
    }

    func close() async throws {
        try await writing.withPermit {
            try await open(with: [])
            try await base.close()
        }
    }

    func reset(code: StreamErrorCode) {
        base.reset(code: code)
    }

    func read(upTo maxLength: Int) async throws -> [UInt8]? {
        if !state.withLock({ $0.isAgreed }) {
            try await writing.withPermit { _ = try await open(with: []) }
            try await finishNegotiation()
        }
        let rest = state.withLock { state in
            let bytes = Array(state.rest.prefix(maxLength))
            state.rest = state.rest.count == bytes.count ? [] : state.rest.dropFirst(bytes.count)
            return bytes
        }
        return rest.isEmpty ? try await base.read(upTo: maxLength) : rest
    }

    /// Sends the opening and some payload if that was not done yet. Runs with the permit to write.
    @discardableResult
    private func open(with payload: ArraySlice<UInt8>) async throws -> Bool {
        if Task.isCancelled { throw HostError(.cancelled, "cancelled before anything was sent") }
        let (opening, isBroken) = state.withLock { state in
            defer { state.opening = [] }
            return (state.opening, state.isBroken)
        }
        guard !isBroken else { throw HostError(.streamFailed, "the stream's opening was not sent; open another one") }
        guard !opening.isEmpty else { return false }
        do {
            try await base.write(opening + payload)
        } catch {
            // Nobody can tell how much of the opening was sent, so nothing may follow it.
            state.withLock { $0.isBroken = true }
            throw error
        }
        return true
    }

    private func finishNegotiation() async throws {
        while !state.withLock({ $0.isAgreed }) {
            guard let bytes = try await base.read(upTo: 2048) else {
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
                onRefusal()
                throw HostError(
                    .protocolsNotSupported,
                    "the peer no longer speaks the protocol that it named before; try another one"
                )
            }
        }
    }
}
