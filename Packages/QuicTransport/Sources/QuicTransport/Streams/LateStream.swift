import Synchronization

/// An `AsyncStream` that is made when somebody asks for it or the first element comes: most connections need none of theirs,
/// and each takes as much memory as the queue of a connection's streams.
struct LateStream<Element: Sendable>: ~Copyable, Sendable {
    private struct State {
        var made: (stream: AsyncStream<Element>, continuation: AsyncStream<Element>.Continuation)?
        var isOver = false
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: How many of the newest elements wait to be taken.
    init(newest limit: Int) {
        self.limit = limit
    }

    /// The stream, the same each time. One that is over ends after the elements that wait.
    var stream: AsyncStream<Element> { state.withLock { make(&$0).stream } }

    /// Adds an element.
    ///
    /// - Returns: What became of it, or of the oldest that waited.
    @discardableResult
    func yield(_ element: Element) -> AsyncStream<Element>.Continuation.YieldResult {
        // Outside the lock: a consumer may be resumed.
        let continuation = state.withLock { $0.isOver ? nil : make(&$0).continuation }
        return continuation?.yield(element) ?? .terminated
    }

    /// There will be no more elements. Idempotent.
    func finish() {
        let continuation = state.withLock { state in
            state.isOver = true
            return state.made?.continuation
        }
        continuation?.finish()
    }

    private func make(
        _ state: inout State
    ) -> (stream: AsyncStream<Element>, continuation: AsyncStream<Element>.Continuation) {
        if let made = state.made { return made }
        let made = AsyncStream.makeStream(of: Element.self, bufferingPolicy: .bufferingNewest(limit))
        if state.isOver { made.continuation.finish() }
        state.made = made
        return made
    }
}
