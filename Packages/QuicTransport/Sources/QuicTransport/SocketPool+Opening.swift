internal import Libp2pTLS
internal import NIOCore
internal import QuicCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// What the endpoints of one port have in common, one for each event loop.
private struct SharedPort: Sendable {
    let group: EndpointGroup
    /// The ways from loop to loop; none where there is one loop.
    let inboxes: [LoopInbox]
    /// What their connection IDs and tokens derive from, where none is configured.
    let randomKey: [UInt8]

    init(loops: Int, _ configuration: QuicConfiguration) {
        group = EndpointGroup(count: loops, configuration: configuration)
        inboxes = loops > 1 ? (0..<loops).map { _ in LoopInbox() } : []
        var random = SystemRandomNumberGenerator()
        randomKey = ServerConnectionIDs.randomKey(using: &random)
    }

    func sharing(_ number: Int) -> UDPSocketOptions.PortSharing {
        if group.count == 1 { return .alone }
        return number == 0 ? .first : .further
    }

    /// Each port has a key of its own. With one key for all, a datagram for a connection of one socket that is sent to
    /// another would be answered with the token that ends the connection (RFC 9000 §21.11).
    func identifiers(
        _ key: [UInt8]?,
        boundTo address: NetworkAddress,
        number: Int
    ) throws(QuicError) -> ServerConnectionIDs {
        let owner = UInt8(number)
        guard let key else { return try ServerConnectionIDs(staticKey: randomKey, owner: owner) }
        return try ServerConnectionIDs(staticKey: key, purpose: "socket \(address)", owner: owner)
    }
}

extension SocketPool {
    /// Opens a socket with its driver, for dials to addresses of one family, and starts it.
    func openForDialing(_ family: NetworkAddress.Family) -> EventLoopFuture<NIOLoopBound<EndpointDriver>> {
        let port = configuration.udp.dialPort
        let any: NetworkAddress = family == .ip4 ? .ip4(0, 0, 0, 0, port: port) : .ip6(high: 0, low: 0, port: port)
        // The one for IPv6 leaves the port of the same number to the one for IPv4.
        let shared = SharedPort(loops: 1, configuration)
        return bind(any, 0, of: shared, ipv6Only: family == .ip6, on: group.next()).map { bound in
            bound.value.start()
            return bound
        }
    }

    /// Opens a socket for each event loop that is to listen, all on one port, and starts them.
    func openForListening(_ address: NetworkAddress) async throws -> [NIOLoopBound<EndpointDriver>] {
        let eventLoops = listeningLoops()
        let port = SharedPort(loops: eventLoops.count, configuration)
        var drivers: [NIOLoopBound<EndpointDriver>] = []
        var local = address
        do {
            for (number, eventLoop) in eventLoops.enumerated() {
                let driver = try await bind(local, number, of: port, on: eventLoop).get()
                drivers.append(driver)
                if number == 0 { local = try await eventLoop.submit { driver.value.localAddress }.get() }
            }
        } catch {
            for driver in drivers { driver.eventLoop.execute { driver.value.closeSocket() } }
            throw error
        }
        // Not before all are bound: each one that joins changes which socket a peer's datagrams come to.
        for driver in drivers { driver.eventLoop.execute { driver.value.start() } }
        return drivers
    }

    /// Different event loops, as many as are wanted and there are; listeners begin with the next one in turn.
    private func listeningLoops() -> [any EventLoop] {
        let first = group.next()
        guard configuration.udp.loops > 1 else { return [first] }
        let all = Array(group.makeIterator())
        let start = all.firstIndex { $0 === first } ?? 0
        return (0..<min(configuration.udp.loops, all.count)).map { all[(start + $0) % all.count] }
    }

    private func bind(
        _ address: NetworkAddress,
        _ number: Int,
        of port: SharedPort,
        ipv6Only: Bool = false,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<EndpointDriver>> {
        var options = UDPSocketOptions(configuration.udp)
        options.portSharing = port.sharing(number)
        options.ipv6Only = ipv6Only
        let ready = qlogs?.prepare(on: eventLoop) ?? eventLoop.makeSucceededVoidFuture()
        return ready.flatMap { [configuration, tls, metrics, logger, budget, qlogs, options] in
            UDPEndpoint.bind(to: address, options: options, on: eventLoop).flatMapThrowing { socket in
                let core = EndpointCore(
                    configuration: configuration,
                    tls: tls,
                    identifiers: try port.identifiers(
                        configuration.endpoint.statelessResetKey,
                        boundTo: socket.value.localAddress,
                        number: number
                    ),
                    budget: budget,
                    group: port.group,
                    epoch: Self.clockEpoch()
                )
                if let qlogs { core.makeQlogSink = { qlogs.sink(original: $0, isServer: $1) } }
                let driver = EndpointDriver(
                    socket: socket.value,
                    core: core,
                    metrics: metrics,
                    logger: logger,
                    holes: self.holes,
                    inboxes: port.inboxes
                )
                return NIOLoopBound(driver, eventLoop: eventLoop)
            }
        }
    }

    /// The time of day at which the clock of the event loops stood at 0, in nanoseconds since 1970.
    private static func clockEpoch() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
        return now &- NIODeadline.now().uptimeNanoseconds
    }
}
