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
}

/// Pings on one stream, one after another.
///
/// Close it when you are done.
public struct PingSession: Sendable {
    let stream: NetStream
    let host: BasicHost

    /// Sends one ping and waits for its answer. For one task at a time.
    ///
    /// - Returns: The round-trip time.
    /// - Throws: ``HostError``; ``HostError/Code/pingFailed`` when the wrong bytes come back.
    public func ping() async throws -> Duration {
        var random = SystemRandomNumberGenerator()
        let payload = (0..<PingProtocol.payloadSize).map { _ in UInt8.random(in: 0...255, using: &random) }
        let clock = host.configuration.clock
        do {
            let start = clock.now()
            try await stream.write(payload)
            let answer = try await stream.readExactly(payload.count)
            let time = start.elapsed()
            guard answer == payload else {
                stream.reset(code: .protocolViolation)
                throw HostError(.pingFailed, "\(stream.remotePeer) answered a ping with other bytes")
            }
            host.metrics.pingTime.record(duration: time)
            return time
        } catch {
            throw HostError.wrapping(error, as: .streamFailed, "the ping of \(stream.remotePeer) failed")
        }
    }

    /// Ends the session.
    public func close() async {
        do { try await stream.close() } catch { stream.reset() }
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
            session.stream.reset()
            throw error
        }
    }

    /// Opens a stream for several pings.
    public func pingSession(with peer: PeerID) async throws -> PingSession {
        PingSession(stream: try await newStream(to: peer, protocols: [PingProtocol.name]), host: self)
    }

    /// Answers pings until the peer ends the stream, on so many streams of a peer as configured.
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
            try await withDeadline(.seconds(1), clock: configuration.clock) { try await slots.semaphore.acquire() }
        } catch {
            return stream.reset(code: .resourceLimitExceeded)
        }
        defer { slots.semaphore.release() }
        while let first = try await stream.read(upTo: PingProtocol.payloadSize) {
            let rest = try await stream.readExactly(PingProtocol.payloadSize - first.count)
            try await stream.write(first + rest)
        }
        try await stream.closeWrite()
    }
}
