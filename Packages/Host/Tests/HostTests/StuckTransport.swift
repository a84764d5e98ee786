import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization

/// A transport whose dials only end when they are told to.
final class StuckTransport: Transport {
    struct State {
        var dials: [Multiaddr] = []
        var cancelled = 0
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    let state = Mutex(State())
    /// Addresses that fail at once.
    let failing: Set<Multiaddr>

    init(failing: Set<Multiaddr> = []) {
        self.failing = failing
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
    func close() async {}

    func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        change { $0.dials.append(address.withoutPeerID) }
        if failing.contains(address.withoutPeerID) { throw HostError(.dialFailed, "as it should") }
        let (never, _) = AsyncStream<Void>.makeStream()
        for await _ in never {}
        change { $0.cancelled += 1 }
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
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.dials.count + state.cancelled >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}

/// A host with nothing but such a transport, and a clock of its own. The one kind of network that tests of dials that
/// never end need: it runs once, because no real transport is silent by a clock that stands still.
func withStuckHost(
    failing: Set<Multiaddr> = [],
    _ body: (BasicHost, StuckTransport, ManualClock) async throws -> Void
) async throws {
    let clock = ManualClock()
    var configuration = HostConfiguration()
    configuration.clock = clock
    let transport = StuckTransport(failing: failing)
    try await withHost(identity: .ed25519(), transports: [transport], configuration: configuration) { host in
        try await body(host, transport, clock)
    }
}
