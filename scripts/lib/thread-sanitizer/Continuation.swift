/// Stands in for the standard library's checked continuation under the thread sanitizer. It is made of the unchecked one,
/// which is compiled into the program and so waits in `await.c`; the checked one waits inside of the library.
struct CheckedContinuation<T, E: Error>: Sendable {
    fileprivate let base: UnsafeContinuation<T, E>

    func resume(returning value: sending T) {
        base.resume(returning: value)
    }

    func resume(throwing error: E) {
        base.resume(throwing: error)
    }

    func resume<Failure: Error>(with result: sending Result<T, Failure>) where E == any Error {
        base.resume(with: result)
    }

    func resume() where T == Void {
        base.resume()
    }
}

func withCheckedContinuation<T>(
    isolation: isolated (any Actor)? = #isolation,
    _ body: (CheckedContinuation<T, Never>) -> Void
) async -> sending T {
    await withUnsafeContinuation(isolation: isolation) { body(CheckedContinuation(base: $0)) }
}

func withCheckedThrowingContinuation<T>(
    isolation: isolated (any Actor)? = #isolation,
    _ body: (CheckedContinuation<T, any Error>) -> Void
) async throws -> sending T {
    try await withUnsafeThrowingContinuation(isolation: isolation) { body(CheckedContinuation(base: $0)) }
}
