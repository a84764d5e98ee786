import NetStream
import Synchronization

/// The handlers that run, for an orderly end. A part of locked state.
struct HandlersAtWork: Sendable {
    var count = 0
    /// Fulfilled when the last one is done.
    var whenDone: SharedResult<Void>?
}

extension BasicHost {
    /// Closes the host in an orderly way.
    ///
    /// From now on nothing new begins: listeners are closed, new connections and inbound streams are refused with the
    /// code "shutdown", dials with ``HostError/Code/closed``. The handlers at work, which may still open streams to peers
    /// that are connected, have until the deadline. Then the host is closed as by ``close()``, which cuts off what is
    /// left with the connection code "shutdown" (0x1006).
    ///
    /// The host's own protocols, such as ping, are not waited for. Idempotent; returns when the host is closed.
    ///
    /// What was written to streams that were closed, by handlers or by the program, has what is left of the time to arrive:
    /// the peers' transports have to acknowledge it. One round trip to each peer, of a second at most, follows, in which their
    /// programs may take it from there.
    ///
    /// - Parameter deadline: How long all of this may take.
    public func shutDown(within deadline: Duration = .seconds(10)) async {
        let start = configuration.clock.now()
        let (listeners, whenDone) = state.withLock { state -> ([any Listener], SharedResult<Void>?) in
            guard state.phase == .idle || state.phase == .running else { return ([], nil) }
            if state.phase == .running { state.phase = .draining }
            let whenDone = SharedResult<Void>()
            // An interest that never ends, as the wait below may be cut short.
            _ = whenDone.join()
            state.work.whenDone = whenDone
            if state.work.count == 0 { whenDone.fulfil(.success(())) }
            return (state.listeners, whenDone)
        }
        guard let whenDone else {
            // Somebody else shuts it down or has closed it.
            guard whenClosed.join() else { return }
            try? await whenClosed.wait()
            return
        }
        await withDiscardingTaskGroup { group in
            for listener in listeners { group.addTask { await listener.close() } }
        }
        let left = deadline - start.elapsed()
        if left > .zero, whenDone.join() {
            // Whether they are done or not, that was their time.
            try? await withDeadline(left, clock: configuration.clock) { try await whenDone.wait() }
        }
        await flush(within: deadline - start.elapsed())
        await makeRoundTrips(within: min(.seconds(1), deadline - start.elapsed()))
        await close()
    }

    /// What new dials fail with while the host shuts down.
    var drainingError: HostError? {
        guard state.withLock({ $0.phase }) == .draining else { return nil }
        return HostError(.closed, "the host is shutting down and dials nobody any more")
    }

    /// Takes note of a handler that begins. `false` when it must not.
    func beginWork(on name: [UInt8]) -> Bool {
        state.withLock { state in
            guard state.phase != .draining else { return false }
            if !Self.ownProtocols.contains(name) { state.work.count += 1 }
            return true
        }
    }

    /// Takes note of a handler's end.
    func endWork(on name: [UInt8]) {
        guard !Self.ownProtocols.contains(name) else { return }
        let whenDone = state.withLock { state in
            state.work.count -= 1
            return state.work.count == 0 ? state.work.whenDone : nil
        }
        whenDone?.fulfil(.success(()))
    }

    private static let ownProtocols = Set(
        [IdentifyProtocol.name, IdentifyProtocol.pushName, PingProtocol.name].map { Array($0.utf8) }
    )

    /// Waits until all peers have what was written to streams that are closed.
    private func flush(within limit: Duration) async {
        guard limit > .zero else { return }
        let connections = openConnections
        try? await withDeadline(limit, clock: configuration.clock) {
            await withDiscardingTaskGroup { group in
                for connection in connections { group.addTask { await connection.muxed.flush() } }
            }
        }
    }

    private var openConnections: [HostConnection] {
        state.withLock { $0.connections.values.flatMap { $0 } }.filter { !$0.muxed.isClosed }
    }

    /// Waits for an answer of each peer: what was sent before has most likely been read by then. Also a refusal is one.
    private func makeRoundTrips(within limit: Duration) async {
        guard limit > .zero else { return }
        let connections = openConnections
        let clock = configuration.clock
        await withDiscardingTaskGroup { group in
            for connection in connections {
                group.addTask {
                    try? await withDeadline(limit, clock: clock) {
                        let stream = try await self.newStream(on: connection, names: [Array(PingProtocol.name.utf8)])
                        let session = PingSession(stream: stream, connection: connection, host: self)
                        _ = try await session.ping()
                    }
                }
            }
        }
    }
}
