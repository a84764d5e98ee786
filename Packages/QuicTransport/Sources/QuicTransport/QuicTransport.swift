public import Libp2pTLS
public import Logging
public import Multiaddr
public import NIOCore
public import NIOPosix
public import NetStream
public import PeerID
public import QuicCore

/// libp2p over QUIC: dials and listens on `/udp/…/quic-v1` addresses (libp2p specification "QUIC").
///
/// ```swift
/// let transport = try QuicTransport(identity: key)
/// let connection = try await transport.dialQuic("/ip4/127.0.0.1/udp/4001/quic-v1/p2p/12D3…")
/// let stream = try await connection.openQuicStream()
/// ```
///
/// Dials leave from a listening socket where one fits, which makes the peer see the address that others can reach,
/// else, or with `QuicConfiguration.UDP.reusesListeningSocket` switched off, from one shared socket for each address family.
/// Safe to use from any task.
public final class QuicTransport: Transport {
    /// This side's peer ID.
    public let localPeer: PeerID
    /// The settings of this transport.
    public let configuration: QuicConfiguration

    let resolver: any NameResolver
    let logger: Logger
    let sockets: SocketPool

    /// Makes a transport. Nothing is opened before the first dial or listen.
    ///
    /// - Parameters:
    ///   - identity: The key that proves this side's peer ID.
    ///   - configuration: The settings; they are validated here.
    ///   - tls: The settings of the certificate and the key log. Its ALPN and whether there are session tickets and early data
    ///     are replaced by what the configuration says.
    ///   - eventLoopGroup: The event loops of SwiftNIO's POSIX kind to run on. Each socket stays on one of them.
    ///     Shut them down after the transport, not before: what waits for a loop that is gone waits for ever.
    ///   - resolver: Looks up the names in `/dns…` addresses.
    ///   - logger: Gets the beginnings and ends of listeners and connections at `debug`, failed dials and refused peers at
    ///     `info`, and nothing for each packet; the article "Watching a transport" lists the lines and their keys.
    /// - Throws: ``QuicError`` of code `invalidConfiguration`, which names the field, `unsupportedVersion` or `certificate`.
    public init(
        identity: PrivateKey,
        configuration: QuicConfiguration = .defaults,
        tls: TLSConfiguration = .defaults,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        resolver: any NameResolver = SystemNameResolver(),
        logger: Logger = Logger(label: "libp2p.quic")
    ) throws(QuicError) {
        try configuration.validate()
        try configuration.checkVersions()
        // What protects packets is loaded and tests itself at the first question, which takes milliseconds: here and not on a loop.
        _ = configuration.packetProtection.resolved
        var tls = tls
        tls.alpn = configuration.alpn
        tls.sessionTickets = configuration.resumption != .off
        tls.earlyData = configuration.resumption == .earlyData
        let context: TLSContext
        do {
            context = try TLSContext(identity: identity, configuration: tls)
        } catch {
            throw .tlsSetup(error)
        }
        if let file = tls.keyLogFile {
            logger.warning(
                "the TLS secrets of all connections are written to a file",
                metadata: [LogKey.file: "\(file)"]
            )
        }
        localPeer = identity.peerID
        self.configuration = configuration
        self.resolver = resolver
        self.logger = logger
        sockets = SocketPool(configuration: configuration, tls: context, group: eventLoopGroup, logger: logger)
    }

    /// The names of the multiaddr protocols served here.
    public var protocols: [String] { ["quic-v1"] }

    /// The place in which a host listens on its transports: QUIC first.
    public var listenOrder: Int { 1 }

    /// Whether the address is a plain QUIC version 1 address.
    public func canDial(_ address: Multiaddr) -> Bool { address.quicEndpoint?.version == .v1 }

    /// Whether the address is a QUIC version 1 address with an IP address.
    public func canListen(on address: Multiaddr) -> Bool {
        guard let endpoint = address.quicEndpoint, endpoint.version == .v1 else { return false }
        if case .dns = endpoint.host { return false }
        return true
    }

    // MARK: listening

    /// Listens on an address; port 0 takes a free one. See ``listenQuic(on:)``.
    public func listen(on address: Multiaddr) async throws -> any Listener {
        try await listenQuic(on: address)
    }

    /// Listens on an address such as `/ip4/0.0.0.0/udp/4001/quic-v1`. `/ip6/::` serves IPv4 too.
    ///
    /// - Parameters:
    ///   - address: The address, with an IP address of this machine.
    ///   - handingUpEarly: Whether a connection is handed out with its first early data (0-RTT), before its handshake is done,
    ///     so that requests in it are answered a round trip earlier. Whoever handles its streams has to look at
    ///     ``QuicStream/isEarly``. Without it, early data waits until the handshake is done, and cannot be somebody else's copy
    ///     then. Only with `QuicConfiguration.Resumption.earlyData`.
    /// - Throws: ``QuicError`` of code `invalidAddress`, `listen` when the socket cannot be opened, for instance because
    ///   the port is in use, or `invalidConfiguration` when early connections are wanted from a transport without early data.
    public func listenQuic(on address: Multiaddr, handingUpEarly: Bool = false) async throws(QuicError) -> QuicListener
    {
        if handingUpEarly { try requireEarlyData("hand up connections early") }
        let endpoint = try quicEndpoint(of: address, to: "listen on")
        guard let local = NetworkAddress(endpoint) else {
            throw QuicError(.invalidAddress, "cannot listen on \(address): it needs an IP address of this machine")
        }
        return try await sockets.listen(on: local, as: address, handingUpEarly: handingUpEarly)
    }

    // MARK: dialing

    /// Connects to a peer. See ``dialQuic(_:)``.
    public func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        try await dialQuic(address)
    }

    /// Connects to a peer, and returns when the peer has confirmed the handshake.
    ///
    /// Names are resolved, and what they stand for is tried one after another, each for its share of the time. All of it
    /// together takes at most `QuicConfiguration.Timeouts.dial`. Cancelling the task closes the attempt.
    ///
    /// - Parameter address: A plain QUIC address. When it ends in `/p2p/ID`, only that peer will do.
    /// - Throws: ``QuicError`` of code `invalidAddress`, `resolution`, `dial`, `peerVerification`, `handshake`, `timeout`,
    ///   `connectionLimit` or `cancelled`. `dialStage` says how far it had come; when several addresses failed, the message
    ///   says so of each, and the rest is that of the last one.
    public func dialQuic(_ address: Multiaddr) async throws(QuicError) -> QuicConnection {
        try await dial(address, early: false)
    }

    /// Connects to a peer that has been dialed before, and returns at once, before it has answered: streams that are opened now
    /// send early data (0-RTT).
    ///
    /// Whoever records early data can send it again, to another process of the same identity for instance: put only such
    /// requests into it as may be answered twice. ``QuicConnection/waitForHandshake()`` tells when the time of early data is
    /// over, and whether the server took it. If it did not, the streams that were opened early end with an error of code
    /// `earlyDataRejected`, and the connection goes on.
    ///
    /// Where this side has no ticket of the peer, or one that allows no early data, this is ``dialQuic(_:)``. A ticket is used
    /// once, and each connection brings another one. When a connection that was returned early comes to nothing, it ends; of
    /// several addresses that a name stands for, the others are not tried then.
    ///
    /// - Parameter address: A plain QUIC address that ends in `/p2p/ID`; a ticket belongs to a peer, so that without it there is
    ///   none.
    /// - Throws: What ``dialQuic(_:)`` throws, or ``QuicError`` of code `invalidConfiguration` on a transport without
    ///   `QuicConfiguration.Resumption.earlyData`.
    public func dialQuicEarly(_ address: Multiaddr) async throws(QuicError) -> QuicConnection {
        try requireEarlyData("dial early")
        return try await dial(address, early: true)
    }

    private func requireEarlyData(_ operation: String) throws(QuicError) {
        guard configuration.resumption == .earlyData else {
            throw .invalidConfiguration(field: "resumption", "must be earlyData to \(operation)")
        }
    }

    /// Opens the way for a peer behind a router that dials this side at the same time (libp2p specification "DCUtR", the half
    /// of the peer that does not dial).
    ///
    /// Sends datagrams of random bytes from a listening socket, 10 to 200 ms apart, so that the routers on this side let the
    /// peer's packets in. Returns when the peer's connection has come; the listener hands it out as any other. Takes at
    /// most `QuicConfiguration.Timeouts.dial`. Cancelling the task stops it.
    ///
    /// - Parameter address: Where the peer was seen, with an IP address. When it ends in `/p2p/ID`, that peer is waited for,
    ///   wherever it comes from; else whoever comes from that address and port.
    /// - Throws: ``QuicError`` of code `invalidAddress`, `unsupportedVersion`, `timeout`, `cancelled`, or `state` when no
    ///   listener's socket reaches the address.
    public func punchHole(to address: Multiaddr) async throws(QuicError) {
        let endpoint = try quicEndpoint(of: address, to: "punch a hole to")
        guard let remote = NetworkAddress(endpoint) else {
            throw QuicError(.invalidAddress, "cannot punch a hole to \(address): it needs an IP address")
        }
        let peer = address.peerID
        try await withinDialDeadline("punching a hole to \(address)") {
            try await self.sockets.punchHole(to: remote, awaiting: peer)
        }
    }

    private static func tookTooLong(_ what: String, _ limit: Duration, cause: (any Error)? = nil) -> QuicError {
        QuicError(.timeout, "\(what) took more than \(limit); check the address, and that UDP gets there", cause: cause)
    }

    /// Does something within the deadline for dials, and throws nothing but ``QuicError``.
    private func withinDialDeadline<Result: Sendable>(
        _ what: String,
        atMost limit: Duration? = nil,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws(QuicError) -> Result {
        let limit = limit ?? configuration.timeouts.dial
        do {
            return try await withDeadline(limit) { try await body() }
        } catch let error as QuicError {
            throw error
        } catch let error as NetStreamError where error.code == .timeout {
            throw Self.tookTooLong(what, limit, cause: error.cause).during((error.cause as? QuicError)?.dialStage)
        } catch is CancellationError {
            throw QuicError(.cancelled, "\(what) was cancelled with its task")
        } catch {
            throw QuicError(.dial, "\(what) failed", cause: error)
        }
    }

    private func dial(_ address: Multiaddr, early: Bool) async throws(QuicError) -> QuicConnection {
        let endpoint = try quicEndpoint(of: address, to: "dial")
        if let remote = NetworkAddress(endpoint) {
            // The loop sees to the deadline: a task to be cancelled would be one more, and change threads.
            let limit = configuration.timeouts.dial
            let deadline = DialLimit(duration: limit) { Self.tookTooLong("dialing \(address)", limit) }
            return try await sockets.dial(remote, expecting: address.peerID, early: early, within: deadline)
        }
        return try await withinDialDeadline("dialing \(address)") {
            try await self.dial(named: address, endpoint, early: early)
        }
    }

    private func dial(named address: Multiaddr, _ endpoint: QuicEndpoint, early: Bool) async throws -> QuicConnection {
        guard case .dns = endpoint.host else {
            throw QuicError(.invalidAddress, "\(address) names an interface that this machine does not have")
        }
        var candidates: [(address: Multiaddr, remote: NetworkAddress)] = []
        for candidate in try await resolve(address) {
            guard let endpoint = candidate.quicEndpoint, endpoint.version == .v1, let remote = NetworkAddress(endpoint)
            else { continue }
            candidates.append((candidate, remote))
        }
        return try await dial(candidates, of: address, early: early)
    }

    /// Dials one address after another; each has its share of the time, so that a silent one does not take that of all.
    private func dial(
        _ candidates: [(address: Multiaddr, remote: NetworkAddress)],
        of name: Multiaddr,
        early: Bool
    ) async throws(QuicError) -> QuicConnection {
        guard !candidates.isEmpty else {
            throw QuicError(.resolution, "\(name) resolves to no QUIC address").during(.resolution)
        }
        // Together a little less than the whole: then it is the attempts that end, and their errors tell what happened.
        let share = candidates.count == 1 ? nil : configuration.timeouts.dial / candidates.count * 9 / 10
        var failures: [(remote: NetworkAddress, error: QuicError)] = []
        for (address, remote) in candidates {
            // A `/dnsaddr` record may name the peer itself; an address that named one first is the stricter.
            let expected = name.peerID ?? address.peerID
            do {
                return try await withinDialDeadline("dialing \(remote)", atMost: share) {
                    try await self.sockets.dial(remote, expecting: expected, early: early)
                }
            } catch {
                failures.append((remote, error))
                if Task.isCancelled { break }
            }
        }
        throw .dialFailed(name, failures)
    }

    private func resolve(_ address: Multiaddr) async throws -> [Multiaddr] {
        do {
            return try await resolver.resolve(address)
        } catch is CancellationError {
            throw QuicError(.cancelled, "the task that resolved \(address) was cancelled").during(.resolution)
        } catch {
            let message = "the name in \(address) could not be resolved"
            throw QuicError(.resolution, message, cause: error).during(.resolution)
        }
    }

    private func quicEndpoint(of address: Multiaddr, to verb: String) throws(QuicError) -> QuicEndpoint {
        guard let endpoint = address.quicEndpoint else {
            throw QuicError(
                .invalidAddress,
                "cannot \(verb) \(address): it is not a plain QUIC address such as /ip4/192.0.2.1/udp/4001/quic-v1"
            )
        }
        guard endpoint.version == .v1 else {
            throw QuicError(
                .unsupportedVersion,
                "cannot \(verb) \(address): /quic means draft 29, but QUIC version \(QuicVersion.draft29) "
                    + "\(QuicVersion.draft29.obstacle ?? "is not spoken by this transport"); use /quic-v1"
            )
        }
        return endpoint
    }

    /// Counters of all sockets since the transport was made, those that are closed included.
    public func statistics() async -> QuicTransportStatistics {
        await sockets.statistics()
    }

    /// How many sockets listen, for the tests.
    var listeningSockets: Int { sockets.listeningCount }

    /// Closes every listener and connection with the shutdown code, and every socket. Idempotent; the transport cannot be
    /// used again.
    public func close() async {
        await sockets.close()
    }
}

extension QuicVersion {
    /// Why the version cannot be spoken with the installed library, to follow its name; `nil` if it can.
    fileprivate var obstacle: String? {
        let library = "ngtcp2 \(Self.libraryVersion)"
        if !isInstalled { return "is not in the installed \(library)" }
        guard isDraftOfVersion1 else { return nil }
        return
            "is a draft that this package does not speak, whatever the installed \(library) can: its transport parameters "
            + "stand in TLS extension 0xffa5, and here they are read and written in that of version 1 only, 0x39"
    }
}

extension QuicConfiguration {
    /// The installed library has to have the versions.
    func checkVersions() throws(QuicError) {
        for version in versions {
            guard let obstacle = version.obstacle else { continue }
            throw QuicError(
                .unsupportedVersion,
                "QUIC version \(version) \(obstacle); use version 1, which is /quic-v1"
            )
        }
    }
}
