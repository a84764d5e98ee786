public import Multiaddr
public import NetStream
public import PeerID
import Synchronization

/// Limits of the connections in memory.
public struct MemoryConfiguration: Sendable {
    /// Bytes that may wait in each direction of a stream before a write suspends. 64 KiB, as small QUIC windows are.
    public var windowSize = 65536
    /// Streams that each side may have open at once; `openStream` waits for credit beyond. 256, as go-libp2p has it.
    public var maxStreams = 256
    /// Connections that may wait to be accepted by a listener; the next one is refused. 16, as go-libp2p has it.
    public var acceptBacklog = 16

    /// What `roundTripTime` says at both ends of connections that this transport dials; the memory itself takes no time. Not measured by
    /// default.
    public var roundTripTime: Duration?

    /// The defaults.
    public static let defaults = MemoryConfiguration()

    /// The defaults, to be changed.
    public init() {}
}

/// What both ends of a connection in memory share. Side 0 dialled, side 1 listens.
final class MemoryLink: Sendable {
    private struct Side {
        var nextStream: UInt64 = 0
        var openStreams = 0
        var isClosed = false
        var inbound: [MemoryStream] = []
        var acceptors = WaiterQueue<any MuxedStream>()
        var openers = WaiterQueue<Void>()
        var closeWaiters: [Waiter<ConnectionCloseReason>] = []
    }

    private struct State {
        var sides = [Side(), Side()]
        var pipes: [UInt64: [MemoryPipe]] = [:]
        var close: (side: Int, code: UInt64, reason: String)?
        var nextWaiter: UInt64 = 0
    }

    private let configuration: MemoryConfiguration
    private let state = Mutex(State())

    init(configuration: MemoryConfiguration) {
        self.configuration = configuration
    }

    func isClosed() -> Bool { state.withLock { $0.close != nil } }

    // MARK: Streams

    func openStream(side: Int) async throws -> MemoryStream {
        let waiterID = state.withLock { $0.sides[side].openers.makeID() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                change { state, effects in
                    let waiter = Waiter(id: waiterID, continuation: continuation)
                    if let error = Self.closeError(state, for: side) {
                        effects.resume(waiter, with: .failure(error))
                    } else if Task.isCancelled {
                        effects.resume(waiter, with: .failure(MemoryError.cancelled))
                    } else if state.sides[side].openStreams < configuration.maxStreams {
                        state.sides[side].openStreams += 1
                        effects.resume(waiter, with: .success(()))
                    } else {
                        state.sides[side].openers.append(waiter)
                    }
                }
            }
        } onCancel: {
            change { state, effects in
                if let waiter = state.sides[side].openers.remove(id: waiterID) {
                    effects.resume(waiter, with: .failure(MemoryError.cancelled))
                }
            }
        }
        return try makeStream(side: side)
    }

    private func makeStream(side: Int) throws -> MemoryStream {
        let id = state.withLock { state in
            defer { state.sides[side].nextStream += 1 }
            return state.sides[side].nextStream * 4 + UInt64(side)
        }
        let halves = Mutex(2)
        let onDone: @Sendable () -> Void = { [weak self] in
            let left = halves.withLock { halves in
                halves -= 1
                return halves
            }
            if left == 0 { self?.streamEnded(id, openedBy: side) }
        }
        let forward = MemoryPipe(capacity: configuration.windowSize, onDone: onDone)
        let backward = MemoryPipe(capacity: configuration.windowSize, onDone: onDone)
        let remote = MemoryStream(id: id, direction: .inbound, input: forward, output: backward, announce: {})
        // Not held on this side any longer once it is the peer's: the peer may let go of it.
        let unannounced = Mutex<MemoryStream?>(remote)
        let local = MemoryStream(id: id, direction: .outbound, input: backward, output: forward) { [weak self] in
            if let remote = unannounced.withLock({ $0.take() }) { self?.announce(remote, to: 1 - side) }
        }
        let error = state.withLock { state in
            state.pipes[id] = [forward, backward]
            return Self.closeError(state, for: side)
        }
        if let error { throw error }
        return local
    }

    private func announce(_ stream: MemoryStream, to side: Int) {
        change { state, effects in
            guard state.close == nil else { return }
            if let waiter = state.sides[side].acceptors.removeFirst() {
                effects.resume(waiter, with: .success(stream))
            } else {
                // Bounded by the opener's stream credit.
                state.sides[side].inbound.append(stream)
            }
        }
    }

    private func streamEnded(_ id: UInt64, openedBy side: Int) {
        change { state, effects in
            guard state.pipes.removeValue(forKey: id) != nil else { return }
            if let waiter = state.sides[side].openers.removeFirst() {
                effects.resume(waiter, with: .success(()))
            } else {
                state.sides[side].openStreams -= 1
            }
        }
    }

    func acceptStream(side: Int) async throws -> any MuxedStream {
        let waiterID = state.withLock { $0.sides[side].acceptors.makeID() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation {
                (continuation: CheckedContinuation<any MuxedStream, any Error>) in
                change { state, effects in
                    let waiter = Waiter(id: waiterID, continuation: continuation)
                    if let error = Self.closeError(state, for: side) {
                        effects.resume(waiter, with: .failure(error))
                    } else if Task.isCancelled {
                        effects.resume(waiter, with: .failure(MemoryError.cancelled))
                    } else if !state.sides[side].inbound.isEmpty {
                        effects.resume(waiter, with: .success(state.sides[side].inbound.removeFirst()))
                    } else {
                        state.sides[side].acceptors.append(waiter)
                    }
                }
            }
        } onCancel: {
            change { state, effects in
                if let waiter = state.sides[side].acceptors.remove(id: waiterID) {
                    effects.resume(waiter, with: .failure(MemoryError.cancelled))
                }
            }
        }
    }

    // MARK: Close

    func close(side: Int, code: UInt64, reason: String) {
        change { state, effects in
            guard state.close == nil else { return }
            state.close = (side, code, reason)
            let errors = [Self.closeError(state, for: 0), Self.closeError(state, for: 1)].compactMap { $0 }
            // The streams first: whoever waits for the connection resets those that he has when he learns of its end.
            for (id, pipes) in state.pipes where pipes.count == 2 {
                // Even numbers divided by four are opened by side 0: their first pipe is sent by side 0.
                let opener = Int(id % 4)
                effects.add {
                    pipes[0].close(sender: errors[opener], receiver: errors[1 - opener])
                    pipes[1].close(sender: errors[1 - opener], receiver: errors[opener])
                }
            }
            for index in state.sides.indices {
                let error = errors[index]
                for waiter in state.sides[index].acceptors.removeAll() {
                    effects.resume(waiter, with: .failure(error))
                }
                for waiter in state.sides[index].openers.removeAll() {
                    effects.resume(waiter, with: .failure(error))
                }
                let closeReason = Self.closeReason(state, for: index)
                for waiter in state.sides[index].closeWaiters {
                    effects.resume(waiter, with: .success(closeReason))
                }
                state.sides[index].closeWaiters = []
                // Nobody took them: they are let go of outside the lock, for they tell their pipes so.
                let untaken = state.sides[index].inbound
                effects.add { withExtendedLifetime(untaken) {} }
                state.sides[index].inbound = []
            }
        }
    }

    func waitUntilClosed(side: Int) async -> ConnectionCloseReason {
        let waiterID = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        do {
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    change { state, effects in
                        let waiter = Waiter<ConnectionCloseReason>(id: waiterID, continuation: continuation)
                        if state.close != nil {
                            effects.resume(waiter, with: .success(Self.closeReason(state, for: side)))
                        } else if Task.isCancelled {
                            effects.resume(waiter, with: .failure(MemoryError.cancelled))
                        } else {
                            state.sides[side].closeWaiters.append(waiter)
                        }
                    }
                }
            } onCancel: {
                change { state, effects in
                    let index = state.sides[side].closeWaiters.firstIndex { $0.id == waiterID }
                    guard let index else { return }
                    let waiter = state.sides[side].closeWaiters.remove(at: index)
                    effects.resume(waiter, with: .failure(MemoryError.cancelled))
                }
            }
        } catch {
            return ConnectionCloseReason(
                code: 0,
                isApplication: true,
                byPeer: false,
                reason: "cancelled while the connection is still open",
                cause: error
            )
        }
    }

    private func change(_ body: (inout State, inout Effects) -> Void) {
        var effects = Effects()
        state.withLock { body(&$0, &effects) }
        effects.run()
    }

    private static func closeError(_ state: State, for side: Int) -> MemoryError? {
        guard let close = state.close else { return nil }
        return MemoryError(
            .connectionClosed(code: close.code, byPeer: close.side != side),
            "the connection is closed: \(close.reason)"
        )
    }

    private static func closeReason(_ state: State, for side: Int) -> ConnectionCloseReason {
        ConnectionCloseReason(
            code: state.close?.code ?? 0,
            isApplication: true,
            byPeer: state.close.map { $0.side != side } ?? false,
            reason: state.close?.reason ?? ""
        )
    }
}

/// One end of a connection in memory.
public final class MemoryConnection: MuxedConnection {
    /// This side's peer ID.
    public let localPeer: PeerID
    /// The other side's peer ID.
    public let remotePeer: PeerID
    /// The other side's public key.
    public let remotePublicKey: PublicKey
    /// The local address.
    public let localAddress: Multiaddr
    /// The remote address.
    public let remoteAddress: Multiaddr
    /// Who opened the connection.
    public let direction: Direction
    /// What the dialling side's ``MemoryConfiguration/roundTripTime`` says, at both ends.
    public let roundTripTime: Duration?
    private let link: MemoryLink

    init(
        link: MemoryLink,
        direction: Direction,
        local: PublicKey,
        remote: PublicKey,
        localAddress: Multiaddr,
        remoteAddress: Multiaddr,
        roundTripTime: Duration?
    ) {
        self.link = link
        self.roundTripTime = roundTripTime
        self.direction = direction
        localPeer = local.peerID
        remotePeer = remote.peerID
        remotePublicKey = remote
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
    }

    private var side: Int { direction == .outbound ? 0 : 1 }

    /// Whether either side closed it.
    public var isClosed: Bool { link.isClosed() }

    /// Opens a stream, waiting for credit.
    public func openStream() async throws -> any MuxedStream {
        try await link.openStream(side: side)
    }

    /// Waits for the next stream of the peer on which something was sent.
    public func acceptStream() async throws -> any MuxedStream {
        try await link.acceptStream(side: side)
    }

    /// Closes the connection and all its streams.
    public func close(code: ConnectionErrorCode, reason: String) async {
        link.close(side: side, code: code.rawValue, reason: reason)
    }

    /// Waits until either side closed the connection. When the waiting task is cancelled before, the reason says so.
    public func waitUntilClosed() async -> ConnectionCloseReason {
        await link.waitUntilClosed(side: side)
    }
}
