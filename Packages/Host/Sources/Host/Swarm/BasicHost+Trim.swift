import NetStream
public import PeerID
import Synchronization

extension BasicHost {
    /// Keeps the connections to a peer when others are closed to cut their number down, until every tag is taken back.
    public func protect(_ peer: PeerID, tag: String) {
        state.withLock { _ = $0.protections[peer, default: []].insert(tag) }
    }

    /// Takes a protection back.
    ///
    /// - Returns: Whether the peer is still protected by another tag.
    @discardableResult
    public func unprotect(_ peer: PeerID, tag: String) -> Bool {
        state.withLock { state in
            state.protections[peer]?.remove(tag)
            guard state.protections[peer]?.isEmpty == true else { return state.protections[peer] != nil }
            state.protections[peer] = nil
            return false
        }
    }

    /// Whether a peer is protected by at least one tag.
    public func isProtected(_ peer: PeerID) -> Bool {
        state.withLock { $0.protections[peer] != nil }
    }

    /// Closes connections when there are more than the high water.
    func trimConnections() {
        guard let trimming = configuration.connections.trimming else { return }
        let surplus: [HostConnection] = state.withLock { state in
            guard state.connectionCount > trimming.highWater else { return [] }
            let open = state.connections.values.flatMap { $0 }.filter { !$0.muxed.isClosed }
            let candidates = open.filter {
                state.protections[$0.peer] == nil && $0.opened.elapsed() >= trimming.gracePeriod
            }
            let order = candidates.map { (connection: $0, streams: $0.streamCount) }.sorted { left, right in
                left.streams == right.streams
                    ? left.connection.info.id < right.connection.info.id : left.streams < right.streams
            }
            return order.prefix(max(0, open.count - trimming.lowWater)).map(\.connection)
        }
        for connection in surplus {
            submit { await connection.muxed.close(code: .garbageCollected, reason: "too many connections") }
        }
    }
}
