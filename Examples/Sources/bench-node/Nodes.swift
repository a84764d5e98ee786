import Host
import Logging
import Multiaddr
import NetStream
import PeerID
import QuicCore
import QuicTransport

extension Logger {
    static var silent: Logger { Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() } }
}

extension BenchNode {
    /// The defaults, but for limits that would stop the largest cases: nothing that changes the cost of a packet, a stream or
    /// a connection. With `busyPoll=MICROSECONDS` its loops stay awake that long.
    static func makeTransport(
        _ identity: PrivateKey,
        _ options: Options,
        connections: Int = 1000
    ) throws -> QuicTransport {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.maxConnections = max(configuration.endpoint.maxConnections, connections + 100)
        configuration.udp.busyPoll = .microseconds(try options.integer("busyPoll", 0))
        configuration.timeouts.streamRead = nil
        configuration.timeouts.streamWrite = nil
        return try QuicTransport(identity: identity, configuration: configuration, logger: .silent)
    }

    static func makeHost(_ options: Options, connections: Int = 1000) throws -> BasicHost {
        let identity = PrivateKey.ed25519()
        var configuration = HostConfiguration.defaults
        // Concurrency 256, and a thousand idle streams of one peer.
        configuration.streams.inboundHandlers = 1000
        configuration.limits.system.inboundStreams = 100_000
        configuration.limits.system.outboundStreams = 100_000
        configuration.limits.protocolStreams = .init(inboundStreams: 100_000, outboundStreams: 100_000)
        configuration.limits.system.memory = 16 << 30
        configuration.connections.limit = max(configuration.connections.limit, connections + 100)
        configuration.limits.system.inboundConnections = configuration.connections.limit
        // Whoever wants ten thousand connections wants to remember as many peers: beyond the number, each change looks for
        // somebody to forget.
        configuration.rememberedPeers = max(configuration.rememberedPeers, connections + 100)
        configuration.rememberedBytes = max(configuration.rememberedBytes, connections * 16 << 10)
        configuration.identify.protocolVersion = "/lattica/1.0.0"
        return try BasicHost(
            identity: identity,
            transports: [makeTransport(identity, options, connections: connections)],
            configuration: configuration,
            logger: .silent
        )
    }

    /// Runs a host for as long as the body lasts.
    static func withHost<Result: Sendable>(
        _ options: Options,
        connections: Int = 1000,
        _ body: @Sendable @escaping (BasicHost) async throws -> Result
    ) async throws -> Result {
        let host = try makeHost(options, connections: connections)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await host.run() }
            let result = try await body(host)
            await host.close()
            try await group.waitForAll()
            return result
        }
    }

    /// Serves until the process is ended: a host with every protocol, or with `raw=1` a transport alone.
    static func listen(_ options: Options) async throws {
        let connections = try options.integer("connections", 1000)
        let anywhere: Multiaddr = "/ip4/127.0.0.1/udp/0/quic-v1"
        guard try options.integer("raw", 0) == 0 else {
            return try await listenRaw(on: anywhere, options, connections: connections)
        }
        try await withHost(options, connections: connections) { host in
            await host.handle(EchoProtocol.name, runsOnTransport: true, handler: EchoProtocol.handler)
            await host.handle(PerfProtocol.name, runsOnTransport: true, handler: PerfProtocol.handler())
            for address in try await host.listen(on: anywhere) { say("listening \(address)") }
            try await host.run()
        }
    }

    private static func listenRaw(on address: Multiaddr, _ options: Options, connections: Int) async throws {
        let transport = try makeTransport(.ed25519(), options, connections: connections)
        let listener = try await transport.listenQuic(on: address)
        for address in listener.addresses { say("listening \(address.withPeerID(transport.localPeer))") }
        // A connection lives until its peer closes it; nobody has to hold it.
        while true { _ = try await listener.acceptConnection() }
    }

    static func connect(_ host: BasicHost, _ address: String) async throws -> PeerID {
        try await host.connect(to: try Multiaddr(parsing: address))
    }
}
