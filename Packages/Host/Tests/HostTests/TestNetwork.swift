import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

#if HOSTS_ON_QUIC
import QuicCore
import QuicTransport
#endif

/// What connects the hosts of a test. Every test of hosts takes a network as its argument and runs on each of them; tests
/// without that argument are of parts that have no network, such as the peer store or the ranking of addresses.
///
/// The Host knows no transport, so its package alone has the one in memory. The umbrella's tests depend on QuicTransport
/// too: there all of them run a second time on QUIC over loopback. A test that is about times hands the hosts a `ManualClock`;
/// the others leave them the `ContinuousClock`, whose deadlines are longer than any test, but for those that a test shortens
/// because on UDP nothing but a deadline tells that nobody is there. QUIC's own clock goes on as ever, and its deadlines, too,
/// are longer than any test.
///
/// By nature on one network only, and no others:
/// - `LazyStreamTests.aCancelledFirstReadOrWriteLeavesTheStreamWhole`, in memory: the first bytes of a stream have to wait
///   for the peer, and QUIC buffers more than those.
/// - `ConnectionChoiceTests.withoutMeasurementsTheOldestIsTaken`, in memory: QUIC measures every round trip, beginning with
///   the handshake's. `theRoundTripsOfQuicAreMeasured` shows just that.
/// - `LookupTests.aPeerIsReachedByItsName`, on QUIC: no name stands for a place in memory.
/// - `AddressTests.theUnspecifiedAddressStandsForThoseOfTheMachine`, on QUIC: no address in memory is unspecified.
/// - `StreamNoteTests`, on QUIC: a connection in memory keeps no list of its streams.
enum TestNetwork: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case memory
    #if HOSTS_ON_QUIC
    case quic
    #endif

    var testDescription: String { rawValue }

    /// Where to listen: a free place.
    var anywhere: Multiaddr {
        switch self {
        case .memory: "/memory/0"
        #if HOSTS_ON_QUIC
        case .quic: "/ip4/127.0.0.1/udp/0/quic-v1"
        #endif
        }
    }

    /// An address of another kind of network, which no transport here serves.
    var foreign: Multiaddr {
        switch self {
        case .memory: "/ip4/127.0.0.1/udp/1/quic-v1"
        #if HOSTS_ON_QUIC
        case .quic: "/memory/1"
        #endif
        }
    }

    /// A network of this kind with nobody in it, and all that was made in it closed at the end.
    ///
    /// - Parameters:
    ///   - window: Bytes of a stream that travel before anybody reads; the transport's default if `nil`.
    ///   - sendBuffer: Bytes of a stream that wait to travel, on QUIC; in memory none do. The default if `nil`.
    ///   - body: What happens in it.
    func open<Result>(
        window: Int? = nil,
        sendBuffer: Int? = nil,
        _ body: (OpenNetwork) async throws -> Result
    ) async throws -> Result {
        let network = OpenNetwork(kind: self, window: window, sendBuffer: sendBuffer)
        do {
            let result = try await body(network)
            await network.close()
            return result
        } catch {
            await network.close()
            throw error
        }
    }
}

extension TestNetwork {
    /// A host that listens, alone in a network of this kind.
    func openHost<Result>(
        _ configuration: HostConfiguration = .defaults,
        identity: PrivateKey = .ed25519(),
        window: Int? = nil,
        sendBuffer: Int? = nil,
        _ body: (OpenNetwork, BasicHost) async throws -> Result
    ) async throws -> Result {
        try await open(window: window, sendBuffer: sendBuffer) { network in
            try await network.host(configuration, identity: identity) { host in try await body(network, host) }
        }
    }
}

/// A network in use: makes the transports of its peers.
final class OpenNetwork: Sendable {
    let kind: TestNetwork
    private let window: Int?
    private let sendBuffer: Int?
    private let memory = MemoryNetwork()
    private let transports = Mutex<[any Transport]>([])

    init(kind: TestNetwork, window: Int? = nil, sendBuffer: Int? = nil) {
        self.kind = kind
        self.window = window
        self.sendBuffer = sendBuffer
    }

    /// Where to listen: a free place.
    var anywhere: Multiaddr { kind.anywhere }

    /// The transport of a peer. Closed at the end, if not before.
    func transport(_ identity: PrivateKey = .ed25519()) throws -> any Transport {
        let transport = try makeTransport(identity)
        transports.withLock { $0.append(transport) }
        return transport
    }

    /// The transport of a peer who closes it himself.
    func makeTransport(_ identity: PrivateKey) throws -> any Transport {
        switch kind {
        case .memory:
            var configuration = MemoryConfiguration()
            if let window { configuration.windowSize = window }
            return MemoryTransport(identity: identity, network: memory, configuration: configuration)
        #if HOSTS_ON_QUIC
        case .quic:
            var configuration = QuicConfiguration()
            configuration.timeouts.dial = .seconds(60)
            if let window {
                configuration.flowControl.streamWindow = window
                configuration.flowControl.autoTuning = false
            }
            if let sendBuffer { configuration.streams.sendBufferHighWatermark = sendBuffer }
            return try QuicTransport(identity: identity, configuration: configuration)
        #endif
        }
    }

    /// A host in this network, closed when `body` is done.
    func host<Result>(
        _ configuration: HostConfiguration = .defaults,
        identity: PrivateKey = .ed25519(),
        listens: Bool = true,
        _ body: (BasicHost) async throws -> Result
    ) async throws -> Result {
        try await withHost(
            identity: identity,
            transports: [transport(identity)],
            listen: listens ? [anywhere] : [],
            configuration: configuration,
            body
        )
    }

    /// A connection of a bare peer, with no host on its side.
    func peer(
        _ identity: PrivateKey = .ed25519(),
        dialing host: BasicHost
    ) async throws -> any MuxedConnection {
        try await transport(identity).dial(host.address)
    }

    func close() async {
        let all = transports.withLock { transports in
            defer { transports = [] }
            return transports
        }
        await withDiscardingTaskGroup { group in
            for transport in all { group.addTask { await transport.close() } }
        }
    }
}

/// Two hosts on one network. The first listens.
func withTwoHosts(
    on kind: TestNetwork = .memory,
    _ first: HostConfiguration = .defaults,
    _ second: HostConfiguration = .defaults,
    window: Int? = nil,
    _ body: @Sendable (_ server: BasicHost, _ client: BasicHost) async throws -> Void
) async throws {
    try await kind.open(window: window) { network in
        try await network.host(first) { server in
            try await network.host(second, listens: false) { client in
                try await body(server, client)
            }
        }
    }
}

/// What kind of failure an operation of a bare peer ends with, `nil` when it succeeds.
func failure(_ operation: () async throws -> Void) async -> StreamFailureKind? {
    do {
        try await operation()
        return nil
    } catch {
        return (error as? any ClassifiedStreamError)?.streamFailureKind ?? .other
    }
}

/// How the host at the other end closes a connection, be it during the dial or later: the code, and the words.
func refusal(of dial: () async throws -> any MuxedConnection) async -> (code: UInt64?, reason: String) {
    do {
        let reason = try await dial().waitUntilClosed()
        return (reason.code, reason.reason)
    } catch {
        guard case .connectionClosed(let code, true) = (error as? any ClassifiedStreamError)?.streamFailureKind else {
            return (nil, "\(error)")
        }
        return (code, "\(error)")
    }
}

/// The code alone.
func closeCode(of dial: () async throws -> any MuxedConnection) async -> UInt64? {
    await refusal(of: dial).code
}
