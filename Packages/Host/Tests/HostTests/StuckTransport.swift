import Foundation
import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization

/// A transport whose dials go astray: some fail, and the others only end when they are cancelled.
///
/// The addresses that tests name are of the internet, where no test may go. On QUIC each of them stands for a place on this
/// machine: one that fails for a listener that is somebody else than who is dialled, every other one for a socket that nobody
/// reads, so that each dial is a handshake that nobody answers. In memory nobody listens at the former, and the latter wait
/// for what never comes.
final class StuckTransport: Transport {
    struct State {
        var dials: [Multiaddr] = []
        /// When each of them began.
        var times: [ContinuousClock.Instant] = []
        var cancelled = 0
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    let state = Mutex(State())
    /// Addresses that fail at once.
    let failing: Set<Multiaddr>
    private let base: any Transport
    /// Where dials fail, and where nobody answers; `nil` where dials wait by themselves.
    private let failure: Multiaddr
    private let silence: SilentPlace?

    init(in network: OpenNetwork, failing: Set<Multiaddr> = []) async throws {
        self.failing = failing
        base = try network.transport()
        (failure, silence) = try await network.astray()
    }

    var protocols: [String] { ["stuck"] }
    var dials: [Multiaddr] { state.withLock { $0.dials } }
    var cancelled: Int { state.withLock { $0.cancelled } }
    /// Everything on UDP but this machine, where a test may have real peers.
    func canDial(_ address: Multiaddr) -> Bool {
        address.contains(.udp) && !address.description.hasPrefix("/ip4/127.")
    }
    func canListen(on address: Multiaddr) -> Bool { false }
    func listen(on address: Multiaddr) async throws -> any Listener { throw CancellationError() }
    func close() async { await base.close() }

    func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        change { state in
            state.dials.append(address.withoutPeerID)
            state.times.append(.now)
        }
        let peer = address.peerID ?? PrivateKey.ed25519().peerID
        if failing.contains(address.withoutPeerID) { return try await base.dial(failure.withPeerID(peer)) }
        defer { change { $0.cancelled += 1 } }
        if let silence { return try await base.dial(silence.address.withPeerID(peer)) }
        let (never, _) = AsyncStream<Void>.makeStream()
        for await _ in never {}
        throw CancellationError()
    }

    private func change(_ body: (inout State) -> Void) {
        let due = state.withLock { state in
            body(&state)
            let count = state.dials.count + state.cancelled
            defer { state.waiters.removeAll { $0.count <= count } }
            return state.waiters.filter { $0.count <= count }
        }
        for waiter in due { waiter.continuation.resume() }
    }

    /// Waits until so many dials and cancellations were seen together.
    func waitFor(_ count: Int) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isThere = state.withLock { state in
                    if Task.isCancelled || state.dials.count + state.cancelled >= count { return true }
                    state.waiters.append((count, continuation))
                    return false
                }
                if isThere { continuation.resume() }
            }
        } onCancel: {
            // A test that is out of time is to end, and not to wait for what never comes.
            let waiters = state.withLock { state in
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.continuation.resume() }
        }
    }
}

extension OpenNetwork {
    /// A place where every dial fails, and one where nobody answers, if there is such a thing.
    fileprivate func astray() async throws -> (failure: Multiaddr, silence: SilentPlace?) {
        switch kind {
        case .memory: return ("/memory/999999", nil)
        #if HOSTS_ON_QUIC
        case .quic:
            let listener = try await transport().listen(on: anywhere)
            return (listener.addresses[0], try SilentPlace())
        #endif
        }
    }
}

/// A bound UDP socket of this machine that nobody reads.
final class SilentPlace: Sendable {
    let address: Multiaddr
    private let socket: LoopbackSocket

    init() throws {
        socket = try LoopbackSocket()
        address = socket.quicAddress
    }
}

/// A host with nothing but such a transport, and a clock of its own.
func withStuckHost(
    on kind: TestNetwork,
    failing: Set<Multiaddr> = [],
    _ change: (inout HostConfiguration) -> Void = { _ in },
    _ body: (BasicHost, StuckTransport, ManualClock) async throws -> Void
) async throws {
    let clock = ManualClock()
    var configuration = HostConfiguration()
    configuration.clock = clock
    change(&configuration)
    try await kind.open { network in
        let transport = try await StuckTransport(in: network, failing: failing)
        try await withHost(identity: .ed25519(), transports: [transport], configuration: configuration) { host in
            try await body(host, transport, clock)
        }
    }
}
