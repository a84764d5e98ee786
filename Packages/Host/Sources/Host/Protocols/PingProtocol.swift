import Metrics
import NetStream
public import PeerID
import Synchronization

/// `/ipfs/ping/1.0.0`: 32 random bytes come back as they are.
public enum PingProtocol {
    /// The protocol's name.
    public static let name = "/ipfs/ping/1.0.0"
    /// Bytes of one ping.
    public static let payloadSize = 32
    /// How long a peer may take from one ping to the next, with all the bytes of it sent and its answer taken, before the
    /// host resets the stream: 60 s. Peers that ping regularly do so every few seconds, and a ``PingSession`` opens another
    /// stream by itself.
    public static let idleLimit: Duration = .seconds(60)
}

/// Pings over one connection, one after another.
///
/// They share a stream for as long as that works. After a ping that failed, and when the peer gave up the stream because
/// it was idle, another one is opened. Close the session when you are done.
public struct PingSession: Sendable {
    private enum Slot {
        case stream(NetStream, answered: Int)
        case none
        case closed
    }

    /// What the copies of a session share.
    private final class Current: Sendable {
        let slot: Mutex<Slot>

        init(_ stream: NetStream) { slot = Mutex(.stream(stream, answered: 0)) }
    }

    private let connection: HostConnection
    private let host: BasicHost
    private let current: Current

    init(stream: NetStream, connection: HostConnection, host: BasicHost) {
        self.connection = connection
        self.host = host
        current = Current(stream)
    }

    /// Sends one ping and waits for its answer. For one task at a time.
    ///
    /// - Returns: The round-trip time.
    /// - Throws: ``HostError``; ``HostError/Code/pingFailed`` when the wrong bytes come back. After that, too, the session
    ///   can be used on.
    public func ping() async throws -> Duration {
        do {
            let (stream, answered) = try await nextStream()
            do {
                return try await ping(on: stream, answered: answered)
            } catch let error as NetStreamError where answered > 0 && Self.saysGivenUp(error) {
                // The peer let go of a stream that had worked: idle for too long, most likely.
                let (fresh, _) = try await nextStream()
                return try await ping(on: fresh, answered: 0)
            }
        } catch {
            throw HostError.wrapping(error, as: .streamFailed, "the ping of \(connection.peer) failed")
        }
    }

    /// Ends the session.
    public func close() async {
        let slot = current.slot.withLock { slot in
            defer { slot = .closed }
            return slot
        }
        guard case .stream(let stream, _) = slot else { return }
        do { try await stream.close() } catch { stream.reset() }
    }

    private func nextStream() async throws -> (stream: NetStream, answered: Int) {
        switch current.slot.withLock({ $0 }) {
        case .stream(let stream, let answered): return (stream, answered)
        case .closed: throw HostError(.streamFailed, "the session was closed; begin another one")
        case .none: break
        }
        guard !connection.muxed.isClosed else {
            throw HostError(.notConnected, "the connection to \(connection.peer) is closed; begin another session")
        }
        let stream = try await host.newStream(on: connection, names: [Array(PingProtocol.name.utf8)])
        let isOpen = current.slot.withLock { slot in
            if case .closed = slot { return false }
            slot = .stream(stream, answered: 0)
            return true
        }
        guard isOpen else {
            stream.reset()
            throw HostError(.streamFailed, "the session was closed during a ping")
        }
        return (stream, 0)
    }

    private func ping(on stream: NetStream, answered: Int) async throws -> Duration {
        var random = SystemRandomNumberGenerator()
        // Eight bytes at once: each asks the system.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(PingProtocol.payloadSize)
        for _ in 0..<PingProtocol.payloadSize / 8 {
            withUnsafeBytes(of: random.next() as UInt64) { bytes.append(contentsOf: $0) }
        }
        let payload = bytes
        do {
            // Where the connection is driven: the time is that of the path and the peer, not of threads that wake up.
            let (answer, time) = try await withTaskExecutorPreference(connection.muxed.taskExecutor) {
                let start = host.configuration.clock.now()
                try await stream.write(payload)
                let answer = try await stream.readExactly(payload.count)
                return (answer, start.elapsed())
            }
            guard answer == payload else {
                stream.reset(code: .protocolViolation)
                throw HostError(.pingFailed, "\(connection.peer) answered a ping with other bytes")
            }
            host.metrics.pingTime.record(duration: time)
            replace(stream, with: .stream(stream, answered: answered + 1))
            return time
        } catch {
            // A late answer must not be taken for that of another ping.
            stream.reset()
            replace(stream, with: .none)
            throw error
        }
    }

    private func replace(_ stream: NetStream, with next: Slot) {
        current.slot.withLock { slot in
            if case .stream(let now, _) = slot, now === stream { slot = next }
        }
    }

    private static func saysGivenUp(_ error: NetStreamError) -> Bool {
        switch error.code {
        case .reset: error.byPeer
        case .unexpectedEnd, .endOfStream, .writeClosed: true
        default: false
        }
    }
}

extension BasicHost {
    /// Measures the round trip to a peer by one ping. Connects if need be. Bound it with `withDeadline`.
    public func ping(_ peer: PeerID) async throws -> Duration {
        let session = try await pingSession(with: peer)
        do {
            let time = try await session.ping()
            await session.close()
            return time
        } catch {
            await session.close()
            throw error
        }
    }

    /// Starts a series of pings over one connection. Connects if need be.
    public func pingSession(with peer: PeerID) async throws -> PingSession {
        let (stream, connection) = try await openStream(to: peer, names: [Array(PingProtocol.name.utf8)])
        return PingSession(stream: stream, connection: connection, host: self)
    }

    /// Answers pings until the peer ends the stream or leaves it idle for too long, on so many streams of a peer as configured.
    func servePing(_ stream: NetStream) async throws {
        let peer = stream.remotePeer
        let slots = state.withLock { state in
            let slots =
                state.pingSlots[peer]
                ?? (semaphore: AsyncSemaphore(permits: configuration.pingStreamsPerPeer), users: 0)
            state.pingSlots[peer] = (slots.semaphore, slots.users + 1)
            return slots
        }
        defer {
            state.withLock { state in
                guard let slots = state.pingSlots[peer] else { return }
                state.pingSlots[peer] = slots.users > 1 ? (slots.semaphore, slots.users - 1) : nil
            }
        }
        // A peer that replaces its stream by another may be a little early: the next few wait for a moment.
        guard slots.users < configuration.pingStreamsPerPeer * 2 else {
            return stream.reset(code: .resourceLimitExceeded)
        }
        do {
            if !slots.semaphore.tryAcquire() {
                try await withDeadline(.seconds(1), clock: configuration.clock) { try await slots.semaphore.acquire() }
            }
        } catch {
            return stream.reset(code: .resourceLimitExceeded)
        }
        defer { slots.semaphore.release() }
        do {
            // A whole turn at a time, so that nobody keeps the stream by a byte now and then, or by not reading.
            while try await withDeadline(
                PingProtocol.idleLimit,
                clock: configuration.clock,
                breakingOff: { stream.reset() },
                operation: { try await Self.answerPing(on: stream) }
            ) {}
        } catch let error as NetStreamError where error.code == .timeout {
            return stream.reset()
        }
        try await stream.closeWrite()
    }

    /// Answers one ping. `false` at the end of the stream.
    private static func answerPing(on stream: NetStream) async throws -> Bool {
        var payload: [UInt8] = []
        while payload.count < PingProtocol.payloadSize {
            let missing = PingProtocol.payloadSize - payload.count
            // Only between two pings may a peer be silent for longer than the transport waits.
            let bytes = try await payload.isEmpty ? stream.readPatiently(upTo: missing) : stream.read(upTo: missing)
            guard let bytes else {
                guard payload.isEmpty else {
                    throw NetStreamError(.unexpectedEnd, "the stream ended \(missing) bytes before the end of a ping")
                }
                return false
            }
            payload += bytes
        }
        try await stream.write(payload)
        return true
    }
}
