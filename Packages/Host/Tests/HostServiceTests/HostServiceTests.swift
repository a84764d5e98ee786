import Host
import HostService
import Logging
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import ServiceLifecycle
import Testing

#if HOSTS_ON_QUIC
import QuicTransport
#endif

/// What connects the hosts of a test; the umbrella has QUIC too, as with the tests of Host itself.
enum ServiceNetwork: CaseIterable, Sendable {
    case memory
    #if HOSTS_ON_QUIC
    case quic
    #endif

    var anywhere: Multiaddr {
        switch self {
        case .memory: "/memory/0"
        #if HOSTS_ON_QUIC
        case .quic: "/ip4/127.0.0.1/udp/0/quic-v1"
        #endif
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct HostServiceTests {
    /// A service that lets its group shut down when it is told to.
    private struct Stopper: Service {
        let stop: AsyncStream<Void>

        func run() async throws {
            for await _ in stop { break }
        }
    }

    private let memory = MemoryNetwork()

    private func transport(_ network: ServiceNetwork, _ key: PrivateKey) throws -> any Transport {
        switch network {
        case .memory: return MemoryTransport(identity: key, network: memory)
        #if HOSTS_ON_QUIC
        case .quic: return try QuicTransport(identity: key)
        #endif
        }
    }

    private func makeHost(on network: ServiceNetwork) throws -> BasicHost {
        let key = PrivateKey.ed25519()
        return try BasicHost(identity: key, transports: [transport(network, key)])
    }

    private func withClient(on network: ServiceNetwork, _ body: (BasicHost) async throws -> Void) async throws {
        let key = PrivateKey.ed25519()
        try await withHost(identity: key, transports: [transport(network, key)]) { try await body($0) }
    }

    @Test(arguments: ServiceNetwork.allCases)
    func aGracefulShutdownOfTheGroupLetsHandlersFinish(_ network: ServiceNetwork) async throws {
        let host = try makeHost(on: network)
        let (began, hasBegun) = AsyncStream.makeStream(of: Void.self)
        let (goOn, mayGoOn) = AsyncStream.makeStream(of: Void.self)
        let (stop, mayStop) = AsyncStream.makeStream(of: Void.self)
        await host.handle("/slow/1.0.0") { stream in
            hasBegun.yield()
            for await _ in goOn { break }
            try await stream.write([42])
            try await stream.closeWrite()
        }
        let events = host.events()
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: HostService(host, listen: [network.anywhere])),
                    .init(service: Stopper(stop: stop), successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            )
        )
        async let running: Void = group.run()
        var address: Multiaddr?
        for await event in events {
            if case .listening(let found) = event {
                address = found
                break
            }
        }
        let target = try #require(address)
        try await withClient(on: network) { client in
            let gone = client.events()
            let peer = try await client.connect(to: target)
            let stream = try await client.newStream(to: peer, protocols: ["/slow/1.0.0"])
            try await stream.write([1])
            for await _ in began { break }
            mayStop.yield()
            for await event in events {
                if case .stoppedListening = event { break }
            }
            mayGoOn.yield()
            #expect(try await stream.readToEnd(limit: 10) == [42])
            for await event in gone {
                guard case .disconnected(_, let reason) = event else { continue }
                #expect(reason.code == ConnectionErrorCode.shutdown.rawValue && reason.byPeer)
                break
            }
        }
        try await running
    }

    @Test(arguments: ServiceNetwork.allCases)
    func aShutdownBeforeEverythingIsUpIsNoFailure(_ network: ServiceNetwork) async throws {
        let host = try makeHost(on: network)
        let (stop, mayStop) = AsyncStream.makeStream(of: Void.self)
        mayStop.yield()
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: HostService(host, listen: Array(repeating: network.anywhere, count: 100))),
                    .init(service: Stopper(stop: stop), successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            )
        )
        try await group.run()
        let error = await #expect(throws: HostError.self) { try await host.run() }
        #expect(error?.code == .closed)
    }

    @Test(arguments: ServiceNetwork.allCases)
    func cancellationClosesTheHostAtOnce(_ network: ServiceNetwork) async throws {
        let host = try makeHost(on: network)
        let events = host.events()
        let task = Task { try await HostService(host, listen: [network.anywhere]).run() }
        for await event in events {
            if case .listening = event { break }
        }
        task.cancel()
        try await task.value
        let error = await #expect(throws: HostError.self) { try await host.run() }
        #expect(error?.code == .closed)
    }

    @Test(arguments: ServiceNetwork.allCases)
    func aServiceThatCannotListenFails(_ network: ServiceNetwork) async throws {
        let host = try makeHost(on: network)
        let error = await #expect(throws: HostError.self) {
            try await HostService(host, listen: ["/ip4/127.0.0.1/tcp/1"]).run()
        }
        #expect(error?.code == .noTransport)
        let after = await #expect(throws: HostError.self) { try await host.run() }
        #expect(after?.code == .closed)
    }
}
