/// All routing state of one socket: which connection a datagram belongs to.
///
/// A plain value without I/O, clock or lock: one event loop owns it. A connection is known by a handle of the caller's
/// choice. It has
/// - *issued* connection IDs, which this side chose, each with its sequence number (RFC 9000 §5.1.1). While the
///   handshake runs the connection is *pending*, afterwards *established*;
/// - *initial* connection IDs, which the client made up for its first packets (RFC 9000 §7.2) and which only those
///   packets are looked up by;
/// - one address at a time. Each address knows its latest connection ID and the connections at it, for packets whose
///   connection ID is not known (yet).
///
/// ```
///  registerInitial ──┐
///  registerPending ──┴─► pending ── promote ──► established ── last ID removed ──► gone
///  register ───────────────────────────────────────┘
/// ```
///
/// Every operation takes constant time, or time proportional to the number of the one connection's IDs. A connection
/// ID belongs to at most one connection: registering one that another connection has is refused, so that a peer who
/// makes up somebody else's ID cannot take its packets.
public struct ConnectionIDRegistry<Connection: Hashable & Sendable>: Sendable {
    /// What a connection ID was found to be.
    public enum Phase: Sendable, Hashable {
        /// The client's own choice for its first packets.
        case initial
        /// Issued to a connection whose handshake is not finished.
        case pending
        /// Issued to a connection whose handshake is finished.
        case established
    }

    /// The result of looking up a connection ID.
    public struct Match: Sendable, Hashable {
        /// The connection.
        public var connection: Connection
        /// What the connection ID is.
        public var phase: Phase
    }

    /// The result of looking up an address.
    public struct AddressMatch: Sendable, Hashable {
        /// The connection.
        public var connection: Connection
        /// An issued connection ID of it, the address's latest if it has one; `nil` when only initial ones exist.
        public var connectionID: ConnectionID?
    }

    /// The result of removing a connection ID.
    public struct Removal: Sendable, Hashable {
        /// The connection that had the ID.
        public var connection: Connection
        /// The connection's address.
        public var address: NetworkAddress
        /// Whether it was the connection's last ID, so that the connection is gone.
        public var wasLast: Bool
    }

    struct Issued: Sendable {
        var connection: Connection
        /// `nil` for an ID that was learnt from a packet and whose number is not known.
        var sequence: UInt64?
    }

    struct Record: Sendable {
        var isEstablished: Bool
        var address: NetworkAddress
        /// Where the connection stands in its address's list.
        var indexAtAddress: Int
        /// The ID that stands for the connection; the lowest sequence number once the first choice is gone.
        var primary: ConnectionID?
        /// Issued IDs in ascending order of sequence number, those without a number last.
        var issued: [(sequence: UInt64?, id: ConnectionID)] = []
        var initial: [ConnectionID] = []
    }

    struct AddressEntry: Sendable {
        /// The issued ID that was registered at the address last.
        var latest: ConnectionID?
        var connections: [Connection] = []
    }

    var issued: [ConnectionID: Issued] = [:]
    var initial: [ConnectionID: Connection] = [:]
    var records: [Connection: Record] = [:]
    var addresses: [NetworkAddress: AddressEntry] = [:]
    var counters = Counters()
    let timingClock: (@Sendable () -> UInt64)?

    /// The most IDs, issued and initial together, that one connection may have.
    public let maximumPerConnection: Int

    /// Makes an empty registry.
    ///
    /// - Parameters:
    ///   - maximumPerConnection: The most IDs of one connection; more are refused. QUIC connections have at most eight
    ///     or so at once; 64 leaves room for those on their way out.
    ///   - timingClock: A clock in nanoseconds with which every operation is timed, for debugging; `nil` times nothing.
    public init(maximumPerConnection: Int = 64, timingClock: (@Sendable () -> UInt64)? = nil) {
        self.maximumPerConnection = max(1, maximumPerConnection)
        self.timingClock = timingClock
    }
}

// MARK: - Finding

extension ConnectionIDRegistry {
    /// Finds the connection that a connection ID belongs to.
    ///
    /// - Parameters:
    ///   - id: The destination connection ID of a packet.
    ///   - isInitial: Whether the packet is an Initial or 0-RTT packet, the only ones that clients send to IDs of their
    ///     own choice. Initial IDs are looked at first then, and else not at all.
    public mutating func find(_ id: ConnectionID, isInitial: Bool = false) -> Match? {
        timed(.find) { registry in
            if isInitial, let connection = registry.initial[id] {
                return Match(connection: connection, phase: .initial)
            }
            guard let entry = registry.issued[id] else { return nil }
            let isEstablished = registry.records[entry.connection]?.isEstablished == true
            return Match(connection: entry.connection, phase: isEstablished ? .established : .pending)
        }
    }

    /// Finds a connection at an address, for a packet whose connection ID is not known: the one that the address's
    /// latest ID belongs to, else the one that came to the address last. A success counts as a fallback routing.
    ///
    /// Whatever this finds is a guess: the packet proves itself only when the connection can decrypt it.
    public mutating func find(at address: NetworkAddress) -> AddressMatch? {
        timed(.findByAddress) { registry in
            guard let entry = registry.addresses[address] else { return nil }
            if let latest = entry.latest, let owner = registry.issued[latest] {
                registry.counters.fallbackRoutings += 1
                return AddressMatch(connection: owner.connection, connectionID: latest)
            }
            guard let connection = entry.connections.last else { return nil }
            registry.counters.fallbackRoutings += 1
            return AddressMatch(connection: connection, connectionID: registry.records[connection]?.primary)
        }
    }
}

// MARK: - Registering

extension ConnectionIDRegistry {
    /// Registers an issued ID of a connection whose handshake is finished. A connection that is pending is promoted.
    /// The ID becomes the address's latest.
    ///
    /// - Returns: `false`, and nothing changes, if another connection has the ID, if the connection has another ID of
    ///   this sequence number, or if it has ``maximumPerConnection`` IDs.
    @discardableResult
    public mutating func register(
        _ id: ConnectionID,
        for connection: Connection,
        at address: NetworkAddress,
        sequence: UInt64 = 0
    ) -> Bool {
        timed(.register) { registry in
            guard registry.canIssue(id, to: connection, sequence: sequence) else { return false }
            registry.place(connection, at: address)
            registry.establish(connection)
            registry.issue(id, to: connection, sequence: sequence)
            registry.makeLatest(id, of: connection)
            return true
        }
    }

    /// Registers an issued ID of a connection whose handshake is not finished. The ID becomes the address's latest. An
    /// established connection stays established.
    ///
    /// - Returns: `false`, and nothing changes, in the cases of ``register(_:for:at:sequence:)``.
    @discardableResult
    public mutating func registerPending(
        _ id: ConnectionID,
        for connection: Connection,
        at address: NetworkAddress,
        sequence: UInt64 = 0
    ) -> Bool {
        timed(.register) { registry in
            guard registry.canIssue(id, to: connection, sequence: sequence) else { return false }
            registry.place(connection, at: address)
            registry.issue(id, to: connection, sequence: sequence)
            registry.makeLatest(id, of: connection)
            return true
        }
    }

    /// Registers the ID that a client made up for its first packets.
    ///
    /// - Returns: `false`, and nothing changes, if another connection has the ID, if the connection is established, or
    ///   if it has ``maximumPerConnection`` IDs.
    @discardableResult
    public mutating func registerInitial(
        _ id: ConnectionID,
        for connection: Connection,
        at address: NetworkAddress
    ) -> Bool {
        timed(.register) { registry in
            if let owner = registry.initial[id] ?? registry.issued[id]?.connection, owner != connection { return false }
            let record = registry.records[connection]
            if let record, record.isEstablished { return false }
            if registry.initial[id] == nil {
                let count = (record?.issued.count ?? 0) + (record?.initial.count ?? 0)
                guard count < registry.maximumPerConnection else { return false }
            }
            registry.place(connection, at: address)
            if registry.initial.updateValue(connection, forKey: id) == nil {
                registry.records[connection]?.initial.append(id)
            }
            return true
        }
    }

    /// Adds an ID that was issued for a connection already known. Does not move the address mapping.
    ///
    /// - Returns: `false`, and nothing changes, if the connection is not known, and in the cases of
    ///   ``register(_:for:at:sequence:)``.
    @discardableResult
    public mutating func add(_ id: ConnectionID, to connection: Connection, sequence: UInt64) -> Bool {
        timed(.add) { registry in
            guard registry.records[connection] != nil else { return false }
            guard registry.canIssue(id, to: connection, sequence: sequence) else { return false }
            registry.issue(id, to: connection, sequence: sequence)
            return true
        }
    }

    /// Adds an ID that was learnt from a packet which came by ``find(at:)`` and which the connection could decrypt.
    /// The connection moves to the packet's address, and the ID becomes the address's latest.
    ///
    /// - Parameters:
    ///   - id: The ID that the packet named.
    ///   - address: Where the packet came from.
    ///   - connection: The connection that could decrypt it.
    ///   - sequence: The ID's sequence number if it is known; ``add(_:to:sequence:)`` can give it later.
    /// - Returns: `false`, and nothing changes, in the cases of ``add(_:to:sequence:)``.
    @discardableResult
    public mutating func addByFallback(
        _ id: ConnectionID,
        to connection: Connection,
        at address: NetworkAddress,
        sequence: UInt64? = nil
    ) -> Bool {
        timed(.add) { registry in
            guard registry.records[connection] != nil else { return false }
            guard registry.canIssue(id, to: connection, sequence: sequence) else { return false }
            registry.place(connection, at: address)
            registry.issue(id, to: connection, sequence: sequence)
            registry.makeLatest(id, of: connection)
            return true
        }
    }

    /// Notes that the handshake of a connection is done: its IDs are established, its initial IDs forgotten.
    /// Idempotent.
    ///
    /// - Returns: Whether the connection is known and has an issued ID; without one it could not be found any more, so
    ///   nothing changes.
    @discardableResult
    public mutating func promote(_ connection: Connection) -> Bool {
        timed(.promote) { registry in
            guard let record = registry.records[connection], !record.issued.isEmpty else { return false }
            registry.establish(connection)
            return true
        }
    }

    /// Moves a connection, with all its IDs, to another address, as after a migration. Its primary ID becomes the
    /// address's latest.
    ///
    /// - Returns: Whether the connection is known.
    @discardableResult
    public mutating func move(_ connection: Connection, to address: NetworkAddress) -> Bool {
        timed(.move) { registry in
            guard registry.records[connection] != nil else { return false }
            registry.place(connection, at: address)
            if let primary = registry.records[connection]?.primary { registry.makeLatest(primary, of: connection) }
            return true
        }
    }
}
