public import NetStream
import Synchronization

extension BasicHost {
    /// What is in use in a scope now. Limits are in ``HostConfiguration/limits``.
    public func resourceUsage(of scope: ResourceScope) -> ResourceUsage {
        resources.usage(of: scope)
    }

    /// Accounts for memory that a handler needs for a stream, for as long as `body` runs.
    ///
    /// Use it before taking in much of what a peer sends. The bytes count for the stream, its connection, its peer, its
    /// protocol and the host.
    ///
    /// ```swift
    /// let size = try await stream.readMessage(limit: 8)
    /// try await host.withMemory(1 << 20, for: stream) { /* read up to 1 MiB into memory */ }
    /// ```
    ///
    /// - Parameters:
    ///   - bytes: How much; a negative number counts as none.
    ///   - stream: A stream of this host that is in use.
    ///   - isolation: Where `body` runs; the caller's, unless told otherwise.
    ///   - body: What needs the memory.
    /// - Throws: ``HostError/Code/resourceLimit`` when there is not so much left, ``HostError/Code/streamFailed`` when the
    ///   stream is over or not of this host, and what `body` throws.
    public func withMemory<Result>(
        _ bytes: Int,
        for stream: NetStream,
        isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let connection = state.withLock { state in
            state.connections[stream.remotePeer]?.first { $0.muxed === stream.connection }
        }
        let bytes = max(0, bytes)
        guard let use = connection?.use(of: stream.id), try use.resize(memoryBy: bytes) else {
            let problem = "the stream is over, or none of this host: no memory can be accounted for it"
            throw HostError(.streamFailed, problem)
        }
        // Giving back is never refused.
        defer { _ = try? use.resize(memoryBy: -bytes) }
        return try await body()
    }
}
