import Synchronization

/// Tells its readers that something has changed. A reader that is behind gets one signal for all it missed.
final class ChangeSignal: Sendable {
    private struct State {
        var nextID: UInt64 = 0
        var readers: [UInt64: AsyncStream<Void>.Continuation] = [:]
    }

    private let state = Mutex(State())

    func subscribe() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.nextID += 1
            state.readers[state.nextID] = continuation
            return state.nextID
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.readers[id] = nil }
        }
        continuation.yield()
        return stream
    }

    func send() {
        let readers = state.withLock { Array($0.readers.values) }
        for reader in readers { reader.yield() }
    }
}
