public import Multiaddr
public import NetStream
public import PeerID
import Synchronization

/// Something that happened to a host.
public enum HostEvent: Sendable {
    /// The host listens on an address, given with its `/p2p`.
    case listening(Multiaddr)
    /// The host stopped listening on an address, given with its `/p2p`.
    case stoppedListening(Multiaddr)
    /// A connection was made.
    case connected(ConnectionInfo)
    /// A connection ended.
    case disconnected(ConnectionInfo, reason: ConnectionCloseReason)
    /// A peer told about itself, at the start of a connection or later.
    case identified(IdentifyInfo)
    /// A peer could not be identified. The connection lives on.
    case identifyFailed(PeerID, HostError)
    /// A dial failed. The peer is `nil` when the address named none.
    case dialFailed(PeerID?, HostError)
}

/// A connection of a host.
public struct ConnectionInfo: Sendable, Hashable {
    /// The connection's number, unique within its host.
    public let id: UInt64
    /// The peer at the other end.
    public let peer: PeerID
    /// Who opened it.
    public let direction: Direction
    /// This side's address, without `/p2p`.
    public let localAddress: Multiaddr
    /// The peer's address, without `/p2p`.
    public let remoteAddress: Multiaddr
}

/// The events of a host from the moment they were asked for.
///
/// A reader that is too slow loses the oldest of more than 256 unread events. Ends when the host is closed.
public struct HostEvents: AsyncSequence, Sendable {
    /// What one step yields.
    public typealias Element = HostEvent

    let stream: AsyncStream<HostEvent>

    /// Starts to iterate.
    public func makeAsyncIterator() -> AsyncStream<HostEvent>.AsyncIterator { stream.makeAsyncIterator() }
}

/// Hands events to everybody who asked for them.
final class EventHub: Sendable {
    private struct State {
        var isFinished = false
        var nextID: UInt64 = 0
        var subscribers: [UInt64: AsyncStream<HostEvent>.Continuation] = [:]
    }

    private let state = Mutex(State())

    func subscribe() -> HostEvents {
        let (stream, continuation) = AsyncStream<HostEvent>.makeStream(bufferingPolicy: .bufferingNewest(256))
        let id: UInt64? = state.withLock { state in
            guard !state.isFinished else { return nil }
            state.nextID += 1
            state.subscribers[state.nextID] = continuation
            return state.nextID
        }
        if let id {
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { $0.subscribers[id] = nil }
            }
        } else {
            continuation.finish()
        }
        return HostEvents(stream: stream)
    }

    func emit(_ event: HostEvent) {
        let subscribers = state.withLock { Array($0.subscribers.values) }
        for subscriber in subscribers { subscriber.yield(event) }
    }

    func finish() {
        let subscribers = state.withLock { state in
            state.isFinished = true
            defer { state.subscribers = [:] }
            return Array(state.subscribers.values)
        }
        for subscriber in subscribers { subscriber.finish() }
    }
}
