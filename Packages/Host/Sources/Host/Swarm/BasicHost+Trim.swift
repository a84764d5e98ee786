import Logging
import Metrics
import NetStream
public import PeerID
import Synchronization

extension BasicHost {
    /// Keeps the connections to a peer when others are closed to cut their number down, until every tag is taken back.
    /// Lets the peer use the reserve of ``ResourceLimits`` as well, for connections made from now on.
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

    /// Says how much a peer is worth in one respect. Connections to peers whose values add up to least are closed first.
    ///
    /// - Parameters:
    ///   - value: May be negative. 0 takes the tag back. Kept until then, also while the peer is not connected.
    ///   - peer: Whom it is about.
    ///   - tag: In which respect.
    public func setValue(_ value: Int, of peer: PeerID, tag: String) {
        state.withLock { state in
            state.values[peer, default: [:]][tag] = value == 0 ? nil : value
            if state.values[peer]?.isEmpty == true { state.values[peer] = nil }
        }
    }

    /// How much a peer is worth: the sum of the values of its tags, 0 if there are none.
    public func value(of peer: PeerID) -> Int {
        state.withLock { $0.value(of: peer) }
    }

    /// Closes connections when there are more than the high water, with the code "garbage collected" (0x1005).
    func trimConnections() {
        guard let trimming = configuration.connections.trimming else { return }
        let (surplus, isRepeated): ([HostConnection], Bool) = state.withLock { state in
            let open = state.connections.values.flatMap { $0 }.filter { !$0.muxed.isClosed && !$0.isTrimmed }
            guard open.count > trimming.highWater else { return ([], false) }
            let candidates = open.filter { state.protections[$0.peer] == nil }
            let grown = candidates.filter { $0.opened.elapsed() >= trimming.gracePeriod }
            let order = grown.map { (connection: $0, value: state.value(of: $0.peer), streams: $0.streamCount) }
            let sorted = order.sorted { left, right in
                (left.value, left.streams, left.connection.info.id)
                    < (right.value, right.streams, right.connection.info.id)
            }
            let surplus = sorted.prefix(open.count - trimming.lowWater).map(\.connection)
            for connection in surplus { connection.markTrimmed() }
            // The young ones grow up without anything else happening: look again then.
            let isRepeated = !state.isTrimScheduled && grown.count < candidates.count
            if isRepeated { state.isTrimScheduled = true }
            return (surplus, isRepeated)
        }
        if isRepeated {
            submit {
                try? await self.configuration.clock.sleep(for: max(trimming.gracePeriod, .seconds(1)))
                self.state.withLock { $0.isTrimScheduled = false }
                if !Task.isCancelled { self.trimConnections() }
            }
        }
        guard !surplus.isEmpty else { return }
        metrics.connectionsTrimmed.increment(by: surplus.count)
        logger.info("connections are trimmed", metadata: ["count": "\(surplus.count)"])
        hub.emit(.trimmed(surplus.map(\.info)))
        for connection in surplus {
            submit { await connection.muxed.close(code: .garbageCollected, reason: "too many connections") }
        }
    }
}

extension BasicHost.State {
    func value(of peer: PeerID) -> Int {
        values[peer]?.values.reduce(0) { sum, value in
            let (result, isOverflow) = sum.addingReportingOverflow(value)
            return isOverflow ? (value > 0 ? .max : .min) : result
        } ?? 0
    }
}
