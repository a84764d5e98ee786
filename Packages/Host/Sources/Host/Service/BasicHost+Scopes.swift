public import NetStream
public import PeerID

extension BasicHost {
    /// Opens a stream for as long as `body` runs: it is closed in an orderly way when `body` returns, and reset when it
    /// throws, also when the task is cancelled.
    ///
    /// ```swift
    /// let answer = try await host.withStream(to: peer, protocols: ["/upper/1.0.0"]) { stream in
    ///     try await stream.write(Array("hello\n".utf8))
    ///     return try await stream.readLine(limit: 1024)
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - peer: Whom to open it to; see ``newStream(to:protocols:)``.
    ///   - protocols: What to propose, in turn.
    ///   - isolation: Where `body` runs; the caller's, unless told otherwise.
    ///   - body: What to do with the stream.
    /// - Throws: What `body` throws; ``HostError`` when the stream cannot be opened; `NetStreamError` when it cannot be
    ///   closed, as when the peer has broken it: then it is not certain that the peer got everything.
    public func withStream<Result>(
        to peer: PeerID,
        protocols: [String],
        isolation: isolated (any Actor)? = #isolation,
        _ body: (NetStream) async throws -> Result
    ) async throws -> Result {
        let stream = try await newStream(to: peer, protocols: protocols)
        do {
            let result = try await body(stream)
            if !stream.state.isEnd { try await stream.close() }
            return result
        } catch {
            stream.reset()
            throw error
        }
    }
}
