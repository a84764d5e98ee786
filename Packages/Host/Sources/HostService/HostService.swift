public import Host
public import Multiaddr
public import ServiceLifecycle

/// A host as a service of a `ServiceGroup` (swift-service-lifecycle).
///
/// ```swift
/// let host = try BasicHost(identity: key, transports: [transport])
/// await host.handle("/echo/1.0.0", handler: EchoProtocol.handler)
/// let group = ServiceGroup(
///     services: [HostService(host, listen: ["/ip4/0.0.0.0/udp/4001/quic-v1"])],
///     gracefulShutdownSignals: [.sigterm],
///     cancellationSignals: [.sigint],
///     logger: logger
/// )
/// try await group.run()
/// ```
///
/// When the group shuts down gracefully, the host takes nothing new, lets its handlers finish and closes its connections
/// with the code "shutdown" (0x1006); see `BasicHost.shutDown(within:)`. When it is cancelled, the host is closed at once, and
/// the service ends with the host's last handler.
public struct HostService: Service {
    /// The host.
    public let host: BasicHost
    /// What to listen on when the service starts.
    public var listen: [Multiaddr]
    /// How long handlers may take to finish in a graceful shutdown.
    public var shutdownDeadline: Duration

    /// Makes a service of a host that does not run yet.
    ///
    /// - Parameters:
    ///   - host: The host. The service closes it at its end.
    ///   - listen: What to listen on when the service starts; the service fails when that fails.
    ///   - shutdownDeadline: How long handlers may take to finish in a graceful shutdown. 10 s.
    public init(_ host: BasicHost, listen: [Multiaddr] = [], shutdownDeadline: Duration = .seconds(10)) {
        self.host = host
        self.listen = listen
        self.shutdownDeadline = shutdownDeadline
    }

    /// Listens and runs the host until the group shuts down, the task is cancelled or the host is closed.
    ///
    /// - Throws: `HostError`.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await host.run()
                } catch let error as HostError where error.code == .closed && Task.isShuttingDownGracefully {
                    // The shutdown came before everything was up.
                }
            }
            group.addTask {
                // Ends by a cancellation when there is no graceful shutdown.
                guard (try? await gracefulShutdown()) != nil else { return }
                await host.shutDown(within: shutdownDeadline)
            }
            do {
                for address in listen { try await host.listen(on: address) }
                try await group.next()
            } catch {
                // A shutdown that comes before everything is up is no failure.
                guard Task.isShuttingDownGracefully else {
                    group.cancelAll()
                    throw error
                }
                try await group.next()
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
