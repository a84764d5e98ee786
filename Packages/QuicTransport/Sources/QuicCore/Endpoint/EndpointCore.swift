public import Libp2pTLS
public import PeerID

/// Everything about one UDP socket that needs no I/O: which datagram belongs to which connection, who may open new ones,
/// and what is answered without any state.
///
/// Feed every datagram to ``receive(_:from:to:ecn:mayOpen:isPassedOn:now:)`` and act on what it returns; drive the connections as
/// ``ConnectionCore`` says, call ``synchronize(_:)`` after each round of writing, and ``remove(_:)`` when a connection is
/// finished. Like the connections it belongs to one thread or event loop, and time is a parameter.
public final class EndpointCore {
    /// What became of a datagram.
    public enum Outcome {
        /// It went to this connection, which may have events and something to send now.
        case connection(ConnectionCore)
        /// It opened this connection.
        case opened(ConnectionCore)
        /// It belongs to the endpoint of this number in the ``EndpointGroup``, which is to get it with `isPassedOn`.
        case elsewhere(UInt8)
        /// Send these bytes back to where it came from.
        case reply([UInt8])
        /// Nothing is to be done.
        case dropped(DropReason)
    }

    /// Why a datagram was dropped.
    public enum DropReason: Sendable, Hashable {
        /// It is empty or its header cannot be read.
        case malformed
        /// It belongs to no connection and opens none.
        case unrouted
        /// It would open a connection, but this endpoint only dials.
        case notListening
        /// It would open a connection above a limit.
        case limited
        /// An answer was due, but answers are rationed.
        case rationed
    }

    /// The settings of this endpoint and its connections.
    public let configuration: QuicConfiguration
    /// Whether datagrams from strangers may open connections.
    public var acceptsConnections = false
    /// Makes the sink for the qlog of a new connection, named by the client's first destination connection ID; `nil` logs
    /// nothing.
    public var makeQlogSink: ((_ original: ConnectionID, _ isServer: Bool) -> QlogSink?)?
    /// Counters since the endpoint was made.
    public var statistics: EndpointStatistics { counted }
    var counted = EndpointStatistics()
    /// Which connection IDs lead where.
    public internal(set) var registry = ConnectionIDRegistry<ConnectionHandle>()

    let tls: TLSContext
    /// What connections are made with from now on.
    var parameters: ConnectionParameters
    let entropy: EndpointEntropy
    var connections: [ConnectionHandle: ConnectionCore] = [:]
    var nextHandle: UInt64 = 1
    /// Inbound connections whose handshake is not finished, each with the source that its place is counted for.
    var halfOpen: [ConnectionHandle: NetworkAddress.Source] = [:]
    /// The IDs that clients made up, kept until their connection is gone: a late copy of a client's first packet must not
    /// open a second connection.
    var originalIDs: [ConnectionID: ConnectionHandle] = [:]
    var originalIDOf: [ConnectionHandle: ConnectionID] = [:]
    /// The peers' stateless reset tokens in use, and whose they are.
    var resetTokens: [StatelessResetToken: ConnectionHandle] = [:]
    var resetTokensOf: [ConnectionHandle: Set<StatelessResetToken>] = [:]
    let tokens: AddressTokens
    /// What servers gave this side for its next dials.
    var addressTokens = AddressTokenCache()
    let budget: ConnectionBudget
    /// What the tickets of this endpoint's connections are good for; see ``ConnectionParameters/ticketPurpose``.
    let ticketPurpose: [UInt8]
    let group: EndpointGroup
    /// When the last datagram arrived.
    var lastReceived: UInt64 = 0
    /// The connection of the datagram before, because datagrams come in trains.
    var last: (id: ConnectionID, core: ConnectionCore)?

    /// Makes an endpoint without connections.
    ///
    /// - Parameters:
    ///   - configuration: Valid settings; see ``QuicConfiguration/validate()``.
    ///   - tls: The identity and certificate for all connections.
    ///   - identifiers: Makes the connection IDs; it names the event loop that this endpoint runs on.
    ///   - budget: Counts the connections of all endpoints that share it; `nil` for one of this endpoint alone, of
    ///     ``QuicConfiguration/Endpoint/maxConnections``.
    ///   - group: What it shares with the endpoints of other loops on the same port; `nil` for an endpoint alone.
    ///   - epoch: The time of day, in nanoseconds since 1970, at which the clock that gives the times stood at 0. Tokens of
    ///     clients bear the sum, so that they keep their age when the machine restarts.
    ///   - random: Where all other unpredictable bytes come from. Outside of tests: `SystemRandomNumberGenerator`.
    public init(
        configuration: QuicConfiguration,
        tls: TLSContext,
        identifiers: ServerConnectionIDs,
        budget: ConnectionBudget? = nil,
        group: EndpointGroup? = nil,
        epoch: UInt64 = 0,
        random: any RandomNumberGenerator = SystemRandomNumberGenerator()
    ) {
        self.configuration = configuration
        self.tls = tls
        parameters = ConnectionParameters(configuration)
        ticketPurpose = configuration.resumption == .earlyData ? parameters.ticketPurpose : []
        entropy = EndpointEntropy(identifiers: identifiers, random: random)
        tokens = AddressTokens(key: identifiers.tokenKey, epoch: epoch)
        self.group = group ?? EndpointGroup(configuration: configuration)
        self.budget = budget ?? ConnectionBudget(limit: configuration.endpoint.maxConnections)
    }

    deinit {
        budget.giveBack(connections.count)
        for source in halfOpen.values { group.giveBackHalfOpen(source) }
        for token in resetTokens.keys { group.release(token, of: owner) }
    }

    /// The number of this endpoint in its group, which its connection IDs name.
    public var owner: UInt8 { entropy.identifiers.owner }

    /// This side's peer ID.
    public var localPeer: PeerID { tls.localPeer }

    /// The connections there are, closing ones included.
    public var connectionCount: Int { connections.count }

    /// Inbound connections whose handshake is not finished.
    public var halfOpenCount: Int { halfOpen.count }

    /// Every connection there is, in no particular order.
    public var allConnections: [ConnectionCore] { Array(connections.values) }

    /// A connection by its name.
    public func connection(_ handle: ConnectionHandle) -> ConnectionCore? { connections[handle] }

    // MARK: dialing

    /// Opens a connection to a peer. Its first datagram is in its next batch.
    ///
    /// - Parameters:
    ///   - remote: The peer's address.
    ///   - local: The address of the socket.
    ///   - expected: The peer that must answer, or `nil` for whoever does.
    ///   - early: Whether to offer early data, where ``QuicConfiguration/Resumption/earlyData`` allows it and the peer has given
    ///     a ticket for it: ``ConnectionEvent/earlyDataStarted(_:)`` comes with the first batch then.
    ///   - now: The time in nanoseconds.
    /// - Throws: ``QuicError`` of code ``QuicError/Code/connectionLimit``, or of what the libraries report.
    public func connect(
        to remote: NetworkAddress,
        from local: NetworkAddress,
        expecting expected: PeerID?,
        early: Bool = false,
        now: UInt64
    ) throws(QuicError) -> ConnectionCore {
        guard budget.take() else {
            throw QuicError(
                .connectionLimit,
                "there are \(budget.limit) connections already; close some, or raise endpoint.maxConnections"
            )
        }
        do {
            return try makeClient(to: remote, from: local, expecting: expected, early: early, now: now)
        } catch {
            budget.giveBack()
            throw error
        }
    }

    private func makeClient(
        to remote: NetworkAddress,
        from local: NetworkAddress,
        expecting expected: PeerID?,
        early: Bool,
        now: UInt64
    ) throws(QuicError) -> ConnectionCore {
        let session: TLSSession
        do {
            let offersEarlyData = early && configuration.resumption == .earlyData
            session = try tls.makeClientSession(expecting: expected, offeringEarlyData: offersEarlyData)
        } catch {
            throw QuicError(.security, "a TLS session could not be made", cause: error)
        }
        let handle = makeHandle()
        let source = entropy.makeIdentifier()
        let destination = entropy.randomIdentifier(length: 16)
        var parameters = parameters
        if session.earlySession != nil {
            // Nobody waits for the end of the handshake, and so nobody's deadline for dials ends it.
            let dial = configuration.timeouts.dial.clampedNanoseconds
            parameters.handshakeTimeout = min(parameters.handshakeTimeout, dial)
        }
        let opening = ConnectionOpening(
            handle: handle,
            session: session,
            entropy: entropy,
            parameters: parameters,
            destination: destination,
            source: source,
            token: addressTokens.take(for: remote, expecting: expected),
            remote: remote,
            local: local,
            qlogSink: makeQlogSink?(destination, false)
        )
        let core = try ConnectionCore(opening, now: now)
        registry.registerPending(source, for: handle, at: remote)
        connections[handle] = core
        counted.dialed += 1
        return core
    }

    /// Forgets a connection and all its IDs. Call it once the connection is finished.
    public func remove(_ core: ConnectionCore) {
        core.dispose()
        guard connections.removeValue(forKey: core.handle) != nil else { return }
        budget.giveBack()
        registry.remove(connection: core.handle)
        if let original = originalIDOf.removeValue(forKey: core.handle) { originalIDs[original] = nil }
        for token in resetTokensOf.removeValue(forKey: core.handle) ?? [] {
            resetTokens[token] = nil
            group.release(token, of: owner)
        }
        if let source = halfOpen.removeValue(forKey: core.handle) { group.giveBackHalfOpen(source) }
        if last?.core === core { last = nil }
    }

    func makeHandle() -> ConnectionHandle {
        defer { nextHandle += 1 }
        return ConnectionHandle(rawValue: nextHandle)
    }
}
