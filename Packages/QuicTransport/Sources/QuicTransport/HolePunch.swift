internal import NIOCore
internal import PeerID
internal import QuicCore
internal import Synchronization

/// A hole that is being punched: the wait for a peer that dials while datagrams to it open the way.
final class HolePunch: Sendable {
    /// Where the datagrams go.
    let remote: NetworkAddress
    /// Who is to come; `nil` for whoever comes from there.
    let peer: PeerID?

    private struct State {
        var result: Result<Void, QuicError>?
        var continuation: CheckedContinuation<Result<Void, QuicError>, Never>?
    }

    private let state = Mutex(State())

    init(to remote: NetworkAddress, awaiting peer: PeerID?) {
        self.remote = remote
        self.peer = peer
    }

    /// Whether there is nothing to wait for any more.
    var isOver: Bool { state.withLock { $0.result != nil } }

    /// Whether a connection is the awaited one. A peer's router may have given it another port than the one it was seen at.
    func awaits(_ peer: PeerID, at address: NetworkAddress) -> Bool {
        if let wanted = self.peer { return wanted == peer }
        return address == remote
    }

    /// Ends the wait; the first result counts.
    func finish(_ result: Result<Void, QuicError>) {
        let continuation = state.withLock { state -> CheckedContinuation<Result<Void, QuicError>, Never>? in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(returning: result)
    }

    /// Waits for ``finish(_:)``.
    func wait() async -> Result<Void, QuicError> {
        await withCheckedContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.continuation = continuation }
                return state.result
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}

/// The holes that a transport is punching.
final class HolePunches: Sendable {
    private let all = Mutex<[HolePunch]>([])

    func add(_ punch: HolePunch) { all.withLock { $0.append(punch) } }

    func remove(_ punch: HolePunch) { all.withLock { $0.removeAll { $0 === punch } } }

    /// A verified peer has come.
    func connected(_ peer: PeerID, at address: NetworkAddress) {
        let punches = all.withLock { all in all.filter { $0.awaits(peer, at: address) } }
        for punch in punches { punch.finish(.success(())) }
    }
}

extension SocketPool {
    /// Sends random datagrams from a listening socket until the peer's connection is there.
    func punchHole(to remote: NetworkAddress, awaiting peer: PeerID?) async throws(QuicError) {
        let loops = try listeningLoops(reaching: remote)
        guard let loop = loops.first else {
            throw .state("no listener's socket reaches \(remote); listen first", attempted: "punch a hole")
        }
        let punch = HolePunch(to: remote, awaiting: peer)
        holes.add(punch)
        defer { holes.remove(punch) }
        // Whoever came before the punch was noted is there already; whoever comes later is told of.
        for loop in loops { loop.eventLoop.execute { loop.value.finishIfThere(punch) } }
        loop.eventLoop.execute { loop.value.send(punch) }
        let result = await withTaskCancellationHandler {
            await punch.wait()
        } onCancel: {
            punch.finish(.failure(.punchCancelled))
        }
        try result.get()
    }
}

extension QuicError {
    static var punchCancelled: QuicError { QuicError(.cancelled, "the task that punched the hole was cancelled") }
}
