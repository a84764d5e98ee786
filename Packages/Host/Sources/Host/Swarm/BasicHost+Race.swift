import Logging
import Metrics
import Multiaddr
import NetStream
import PeerID
import Synchronization

/// Where to dial.
struct DialTargets: Sendable {
    /// Addresses that a caller named: dialled first, and always.
    var named: [Multiaddr]
    /// Addresses known from before.
    var stored: [Multiaddr] = []
    /// Those, without `/p2p`, that the program put into the peer store: dialled before what the peer told.
    var added: Set<Multiaddr> = []
    /// Those, without `/p2p`, for which somebody else than the peer vouches: their names may lead anywhere.
    var vouched: Set<Multiaddr> = []
    /// Who should be there, if that is known.
    var peer: PeerID?

    var all: [Multiaddr] { named + stored }
}

/// A connection just made, and what the dial counts for until the host takes it.
private struct DialledConnection: Sendable {
    var muxed: any MuxedConnection
    var span: ResourceSpan
}

/// A dial that several tasks may wait for.
struct SharedDial: Sendable {
    let result = SharedResult<HostConnection>()
    /// Where it goes, without `/p2p`.
    let addresses: Set<Multiaddr>
}

/// How a dial failed that others may have started.
enum SharedDialError: Error {
    /// The dial that this caller started, or this caller's wait.
    case own(HostError)
    /// The dial that another caller had started.
    case others(HostError, tried: Set<Multiaddr>)

    var underlying: HostError {
        switch self {
        case .own(let error), .others(let error, _): error
        }
    }
}

extension BasicHost {
    /// Waits for the dial under way or starts one. The dial runs in the host's task tree and is given up when nobody
    /// waits for it any more. It has a deadline of its own.
    func sharedDial(_ key: DialKey, targets: DialTargets) async throws(SharedDialError) -> HostConnection {
        if let error = drainingError { throw .own(error) }
        let (dial, isNew, isWaitingForRun) = state.withLock { state in
            let isIdle = state.phase == .idle
            if let dial = state.dials[key], dial.result.join() { return (dial, false, isIdle) }
            let dial = SharedDial(addresses: Set(targets.all.map(\.withoutPeerID)))
            _ = dial.result.join()
            state.dials[key] = dial
            return (dial, true, isIdle)
        }
        if isNew, !submit({ await self.run(dial, key: key, targets: targets) }) {
            dial.result.fulfil(.failure(Self.closedError))
        }
        do {
            guard isWaitingForRun else { return try await dial.result.wait() }
            // A host that nobody runs begins no dial, so its deadline would never begin either.
            return try await withDeadline(configuration.connections.dialTimeout, clock: configuration.clock) {
                try await dial.result.wait()
            }
        } catch {
            let error = HostError.wrapping(error, as: .dialFailed, "the dial failed; is the host running?")
            throw isNew ? .own(error) : .others(error, tried: dial.addresses)
        }
    }

    /// One dial, a child task of the host.
    private func run(_ dial: SharedDial, key: DialKey, targets: DialTargets) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let result: Result<HostConnection, HostError>
                do throws(HostError) {
                    result = .success(try await self.dial(targets))
                } catch {
                    // A dial is cancelled when nobody waits for it any more, or with the host, which those who wait have not
                    // cancelled.
                    let isEnded = error.code == .cancelled && Task.isCancelled
                    result = .failure(isEnded ? Self.closedError : error)
                    if error.code != .cancelled {
                        self.metrics.dialFailed(error)
                        self.hub.emit(.dialFailed(key.peer, error))
                    }
                }
                self.state.withLock { if $0.dials[key]?.result === dial.result { $0.dials[key] = nil } }
                dial.result.fulfil(result)
            }
            group.addTask { await dial.result.waitUntilOver() }
            await group.next()
            group.cancelAll()
        }
    }

    private enum DialOutcome: Sendable {
        case connected(DialledConnection, at: Multiaddr)
        case resolved([Multiaddr], of: Multiaddr)
        case failed(HostError, at: Multiaddr)
        /// A head start is over, that of the so many-th attempt.
        case timeForNext(after: Int)
        case deadline
        case nothing
    }

    /// Tries addresses in their order, each with a head start over the next, until one answers.
    private func dial(_ targets: DialTargets) async throws(HostError) -> HostConnection {
        let own = ownAddresses
        let addresses = targets.all
        let candidates = addresses.filter { !own.contains($0.withoutPeerID) && canDial($0) }
        guard !candidates.isEmpty else {
            let isOwn = addresses.contains { own.contains($0.withoutPeerID) }
            let list = addresses.map(\.description).joined(separator: ", ")
            guard !isOwn else { throw HostError(.dialSelf, "only addresses of this host itself are known: \(list)") }
            throw HostError(.noTransport, "no transport dials any of: \(list)")
        }
        let allowed = candidates.filter { address in
            let isAllowed = configuration.gater.allowsDialingAddress(address)
            if !isAllowed { metrics.gated(.dialAddress) }
            return isAllowed
        }
        guard !allowed.isEmpty else {
            throw HostError(.gated, "the connection gater refuses every address of the peer")
        }
        let reachable = state.withLock { $0.blackHoles.filter(allowed) }
        // What a caller named is dialled in any case, but after what is more likely to answer.
        let doubtful = Set(targets.named).intersection(allowed).subtracting(reachable)
        guard !(reachable.isEmpty && doubtful.isEmpty) else { throw Self.blackHoleError }
        let isReserved = targets.peer.map(isProtected) ?? false
        let entries = AddressRanking.rank(
            allowed.filter { doubtful.contains($0) || reachable.contains($0) },
            first: Set(targets.named.map(\.withoutPeerID)),
            second: targets.added,
            last: Set(doubtful.map(\.withoutPeerID)),
            publicStagger: configuration.connections.dialStagger,
            privateStagger: configuration.connections.privateDialStagger
        )
        // Better not to begin than to close what was made.
        try resources.check(resources.connection(.outbound), in: [.system], isReserved: isReserved)
        let (winner, lastError) = await race(DialQueue(entries), of: targets, isReserved: isReserved)
        guard let winner else {
            if Task.isCancelled { throw HostError(.cancelled, "the dial was cancelled") }
            if let peer = targets.peer, let kept = await connectionKept(by: peer, after: lastError) { return kept }
            throw lastError ?? HostError(.dialFailed, "no address answered")
        }
        do throws(HostError) {
            return try await adopt(winner.muxed, dial: winner.span, isPeerAsked: targets.peer != nil)
        } catch {
            // The peer has come by itself in the meantime, or was known under another address.
            guard error.code == .resourceLimit, let open = openConnection(to: winner.muxed.remotePeer) else {
                throw error
            }
            return open
        }
    }

    /// Dials so many addresses at once as configured, for at most the time configured.
    private func race(
        _ queue: DialQueue,
        of targets: DialTargets,
        isReserved: Bool
    ) async -> (winner: DialledConnection?, lastError: HostError?) {
        let settings = configuration.connections
        let clock = configuration.clock
        return await withTaskGroup(of: DialOutcome.self) { group in
            var queue = queue
            var running: Set<Multiaddr> = []
            var started: [Multiaddr] = []
            var timer: SharedResult<Void>?
            var winner: DialledConnection?
            var lastError: HostError?
            var isOverdue = false
            func startNext() {
                guard running.count < settings.dialsPerPeer, let address = queue.next() else { return }
                running.insert(address)
                started.append(address)
                group.addTask {
                    guard address.hasName else { return await self.attempt(address, isReserved: isReserved) }
                    do throws(HostError) {
                        return .resolved(try await self.lookUp(address, of: targets), of: address)
                    } catch {
                        return .failed(error, at: address)
                    }
                }
                // One timer at a time: whatever starts an attempt, the next one waits from then on.
                timer?.fulfil(.success(()))
                timer = nil
                guard let pause = queue.pause else { return }
                let (number, newTimer) = (started.count, SharedResult<Void>())
                _ = newTimer.join()
                timer = newTimer
                group.addTask {
                    if pause > .zero { await Self.wait(for: newTimer, atMost: pause, clock: clock) }
                    return .timeForNext(after: number)
                }
            }
            group.addTask {
                do {
                    try await clock.sleep(for: settings.dialTimeout)
                    return .deadline
                } catch {
                    return .nothing
                }
            }
            startNext()
            while !running.isEmpty, winner == nil, !isOverdue, let outcome = await group.next() {
                switch outcome {
                case .connected(let connection, let address):
                    winner = connection
                    succeed(address)
                case .resolved(let addresses, let name):
                    running.remove(name)
                    queue.insert(
                        AddressRanking.rank(
                            addresses,
                            publicStagger: settings.dialStagger,
                            privateStagger: settings.privateDialStagger
                        )
                    )
                    if !Task.isCancelled { startNext() }
                case .failed(let error, let address):
                    running.remove(address)
                    lastError = error
                    if Task.isCancelled { break }
                    // What this host itself decides says nothing about the address.
                    if Self.isOfTheAddress(error) { fail([address], hasAnswered: Self.isClosedByPeer(error)) }
                    startNext()
                case .timeForNext(let number):
                    if number == started.count, !Task.isCancelled { startNext() }
                case .deadline:
                    isOverdue = true
                    // Who does not answer at all has failed as well.
                    fail(running)
                    lastError = silence(at: started, cause: lastError)
                case .nothing: break
                }
            }
            group.cancelAll()
            // A second one may have been made in the meantime, or the first in the last moment.
            for await case .connected(let extra, _) in group {
                if winner == nil, !Task.isCancelled {
                    winner = extra
                } else {
                    let muxed = extra.muxed
                    await uncancelled { await muxed.close(code: .supplanted, reason: "another address was faster") }
                }
            }
            return (winner, lastError)
        }
    }

    /// Waits on a timer of the clock itself: head starts are about as short as the process's deadlines are coarse.
    private static func wait(for timer: SharedResult<Void>, atMost pause: Duration, clock: any Clock<Duration>) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await clock.sleep(for: pause) }
            group.addTask { try? await timer.wait() }
            await group.next()
            group.cancelAll()
        }
    }

    private static func isOfTheAddress(_ error: HostError) -> Bool {
        ![.resourceLimit, .gated, .dialSelf, .dialBackOff, .blackHole].contains(error.code) && !isSupplanted(error)
    }

    /// Whether the peer answered, and closed the connection at once, for instance because it has enough of them.
    private static func isClosedByPeer(_ error: HostError) -> Bool {
        if case .connectionClosed(_, byPeer: true) = error.streamFailureKind { return true }
        return false
    }

    /// Whether one of the two prefers another connection to this one.
    static func isSupplanted(_ error: HostError) -> Bool {
        guard case .connectionClosed(let code, _) = error.streamFailureKind else { return false }
        return code == ConnectionErrorCode.supplanted.rawValue
    }

    /// The connection that there is although a dial failed: two that dial each other at once keep one.
    func connectionKept(by peer: PeerID, after error: HostError?) async -> HostConnection? {
        let events = events()
        if let open = openConnection(to: peer) { return open }
        guard let error, Self.isSupplanted(error) else { return nil }
        // The peer has the other one already; here it may still have to be taken in.
        try? await withDeadline(.seconds(1), clock: configuration.clock) {
            for await case .connected(let info) in events where info.peer == peer { return }
        }
        return openConnection(to: peer)
    }

    private func succeed(_ address: Multiaddr) {
        let changes = state.withLock { state in
            state.backOff.succeeded(address)
            return state.blackHoles.record(address, succeeded: true)
        }
        tell(changes)
    }

    /// - Parameter hasAnswered: Whether somebody was there. Such an address rests like others, but its network is alive.
    private func fail(_ addresses: Set<Multiaddr>, hasAnswered: Bool = false) {
        let moment = configuration.clock.now()
        let changes = state.withLock { state in
            addresses.flatMap { address in
                state.backOff.failed(address, at: moment)
                return state.blackHoles.record(address, succeeded: hasAnswered)
            }
        }
        tell(changes)
    }

    private func tell(_ changes: [(BlackHoleKind, BlackHoleState)]) {
        for (kind, verdict) in changes {
            logger.info("black hole detection", metadata: ["kind": "\(kind)", "state": "\(verdict.rawValue)"])
            hub.emit(.blackHole(kind, verdict))
        }
    }

    private func silence(at addresses: [Multiaddr], cause: HostError?) -> HostError {
        let list = addresses.map(\.description).joined(separator: ", ")
        let timeout = configuration.connections.dialTimeout
        return HostError(.timeout, "nobody answered within \(timeout) at \(list)", cause: cause)
    }

    private func attempt(_ address: Multiaddr, isReserved: Bool) async -> DialOutcome {
        let span: ResourceSpan
        do throws(HostError) {
            span = try resources.open(resources.dial, in: [.transient], isReserved: isReserved)
        } catch {
            return .failed(error, at: address)
        }
        let failure: HostError
        if let transport = transports.first(where: { $0.canDial(address) }) {
            do {
                let start = configuration.clock.now()
                let muxed = try await transport.dial(address)
                metrics.handshakeTime.record(duration: start.elapsed())
                metrics.handshook(.outbound)
                return .connected(DialledConnection(muxed: muxed, span: span), at: address)
            } catch {
                logger.debug("a dial failed", metadata: address.dialMetadata.failing(error))
                failure = HostError.wrapping(error, as: .dialFailed, "\(address) cannot be reached")
            }
        } else {
            failure = HostError(.noTransport, "no transport dials \(address)")
        }
        return .failed(failure, at: address)
    }
}
