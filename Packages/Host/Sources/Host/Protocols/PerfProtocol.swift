public import NetStream
public import PeerID
import Synchronization

/// `/perf/1.0.0`: how fast bytes move (libp2p specification "perf").
///
/// The client says how many bytes it wants back (8 bytes, big-endian), sends what it wants and ends its side; then the
/// server sends that many and ends its own. One block of ``blockSize`` bytes is all that either side keeps in memory.
///
/// A host does not serve it unless told to: it lets anybody use as much of the line as they like. It does little with each
/// block, so it is served best where the connection is driven.
///
/// ```swift
/// await server.handle(PerfProtocol.name, runsOnTransport: true, handler: PerfProtocol.handler())
/// let result = try await client.perf(peer, upload: 1 << 20, download: 1 << 20)
/// ```
public enum PerfProtocol {
    /// The protocol's name.
    public static let name = "/perf/1.0.0"
    /// The most bytes that are read or written at once.
    public static let blockSize = 65536

    /// The server's side of a stream.
    ///
    /// - Parameters:
    ///   - limit: The most bytes that a client may send, and the most that it may ask for; a stream that goes beyond is
    ///     reset with "resource limit exceeded". The measurements of libp2p's test plans ask for as much as a number
    ///     can say and stop after some seconds, so there is no limit unless you set one.
    ///   - idleLimit: A stream on which nothing moves for so long (twice as long at most) is reset.
    ///   - clock: What measures that.
    public static func handler(
        limit: UInt64 = .max,
        idleLimit: Duration = .seconds(30),
        clock: any Clock<Duration> = ContinuousClock()
    ) -> StreamHandler {
        { stream in
            try await whileMoving(idleLimit, clock) { movement in
                let wanted = try await stream.readExactly(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                guard wanted <= limit else { return stream.reset(code: .resourceLimitExceeded) }
                var received: UInt64 = 0
                while let bytes = try await stream.read(upTo: blockSize) {
                    movement.advance()
                    received += UInt64(bytes.count)
                    guard received <= limit else { return stream.reset(code: .resourceLimitExceeded) }
                }
                try await send(wanted, on: stream) { _ in movement.advance() }
                try await stream.closeWrite()
            }
        }
    }

    /// The client's side of a stream that was opened for ``name``. Closes it, or resets it when it throws.
    ///
    /// - Parameters:
    ///   - stream: A new stream.
    ///   - upload: How many bytes to send.
    ///   - download: How many bytes to ask for.
    ///   - idleLimit: The measurement fails when nothing moves for so long (twice as long at most).
    ///   - clock: What measures time.
    ///   - onProgress: Called after each block: bytes that were handed to the stream, or that arrived. It is called where the
    ///     connection is driven (`MuxedConnection.taskExecutor`), so it must be short and must not block.
    /// - Throws: ``HostError``: ``HostError/Code/perfFailed`` when another number of bytes came than was asked for,
    ///   ``HostError/Code/timeout`` when nothing moved.
    public static func measure(
        on stream: NetStream,
        upload: UInt64,
        download: UInt64,
        idleLimit: Duration = .seconds(30),
        clock: any Clock<Duration> = ContinuousClock(),
        onProgress: @escaping @Sendable (PerfProgress) -> Void = { _ in }
    ) async throws -> PerfResult {
        do {
            // Where the connection is driven: each block would else wake a thread, and its memory change hands.
            return try await withTaskExecutorPreference(stream.connection.taskExecutor) {
                try await whileMoving(idleLimit, clock) { movement in
                    let start = clock.now()
                    try await stream.write(withUnsafeBytes(of: download.bigEndian) { Array($0) })
                    try await send(upload, on: stream) { count in
                        movement.advance()
                        onProgress(.uploaded(count))
                    }
                    try await stream.closeWrite()
                    let uploadTime = start.elapsed()
                    var received: UInt64 = 0
                    while let bytes = try await stream.read(upTo: blockSize) {
                        movement.advance()
                        received += UInt64(bytes.count)
                        onProgress(.downloaded(bytes.count))
                        guard received <= download else { break }
                    }
                    guard received == download else {
                        let came = received > download ? "more" : "\(received)"
                        throw HostError(
                            .perfFailed,
                            "asked \(stream.remotePeer) for \(download) bytes, but \(came) came"
                        )
                    }
                    try await stream.close()
                    return PerfResult(
                        uploaded: upload,
                        downloaded: received,
                        uploadTime: uploadTime,
                        downloadTime: start.elapsed() - uploadTime
                    )
                }
            }
        } catch {
            stream.reset()
            throw HostError.wrapping(error, as: .streamFailed, "the measurement with \(stream.remotePeer) failed")
        }
    }

    private static func send(_ count: UInt64, on stream: NetStream, sent: (Int) -> Void) async throws {
        let block = [UInt8](repeating: 0, count: blockSize)
        var rest = count
        while rest > 0 {
            let bytes = rest < UInt64(blockSize) ? Array(block.prefix(Int(rest))) : block
            try await stream.write(bytes)
            rest -= UInt64(bytes.count)
            sent(bytes.count)
        }
    }

    /// Runs an operation for as long as it gets on. A look at a counter now and then costs less than a deadline for each
    /// block.
    private static func whileMoving<Result: Sendable>(
        _ idleLimit: Duration,
        _ clock: any Clock<Duration>,
        _ operation: @escaping @Sendable (Movement) async throws -> Result
    ) async throws -> Result {
        let movement = Movement()
        return try await withThrowingTaskGroup(of: Result.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await operation(movement) }
            group.addTask {
                var seen = movement.count
                while true {
                    try await clock.sleep(for: idleLimit)
                    let now = movement.count
                    guard now != seen else {
                        throw HostError(.timeout, "no byte moved for \(idleLimit): the other side is stuck or gone")
                    }
                    seen = now
                }
            }
            guard let result = try await group.next() else {
                throw HostError(.cancelled, "the task was cancelled")
            }
            return result
        }
    }

    private final class Movement: Sendable {
        private let blocks = Atomic<UInt64>(0)

        var count: UInt64 { blocks.load(ordering: .relaxed) }

        func advance() { blocks.wrappingAdd(1, ordering: .relaxed) }
    }
}

/// A step of a measurement by ``PerfProtocol``.
public enum PerfProgress: Sendable, Hashable {
    /// So many more bytes were handed to the stream.
    case uploaded(Int)
    /// So many more bytes arrived.
    case downloaded(Int)
}

/// What a measurement by ``PerfProtocol`` came to.
public struct PerfResult: Sendable, Hashable {
    /// Bytes sent, without the 8 that say how many are wanted.
    public var uploaded: UInt64
    /// Bytes received.
    public var downloaded: UInt64
    /// From the first byte to the end of our side.
    public var uploadTime: Duration
    /// From the end of our side to the end of the peer's, which includes its taking in what was still under way.
    public var downloadTime: Duration
}

extension BasicHost {
    /// Measures how fast bytes move to and from a peer that serves ``PerfProtocol``. Connects if need be.
    ///
    /// - Parameters:
    ///   - peer: Whom to ask.
    ///   - upload: How many bytes to send.
    ///   - download: How many bytes to ask for.
    ///   - idleLimit: The measurement fails when nothing moves for so long (twice as long at most).
    ///   - onProgress: Called after each block of at most ``PerfProtocol/blockSize`` bytes, where the connection is driven
    ///     (`MuxedConnection.taskExecutor`): it must be short and must not block.
    public func perf(
        _ peer: PeerID,
        upload: UInt64,
        download: UInt64,
        idleLimit: Duration = .seconds(30),
        onProgress: @escaping @Sendable (PerfProgress) -> Void = { _ in }
    ) async throws -> PerfResult {
        let stream = try await newStream(to: peer, protocols: [PerfProtocol.name])
        return try await PerfProtocol.measure(
            on: stream,
            upload: upload,
            download: download,
            idleLimit: idleLimit,
            clock: configuration.clock,
            onProgress: onProgress
        )
    }
}
