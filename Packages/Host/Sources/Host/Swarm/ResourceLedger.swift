import PeerID

/// The books of a host: what is in use in each scope, and what may be.
///
/// Does no I/O. A *span* is something in use, such as a connection or a stream; it counts in several scopes at once. Each
/// operation either happens in all of them or throws and changes nothing. Call it so:
///
///     open(amount, in: scopes) → id      throws when a scope has no room
///       move(id, to: scopes)             once its peer or protocol is known
///       resize(id, memoryBy: delta)      as often as needed
///     close(id)                          the second time does nothing
struct ResourceLedger: Sendable {
    private struct Span {
        var amount: ResourceUsage
        var scopes: [ResourceScope]
        var isReserved: Bool
    }

    private let limits: ResourceLimits
    private let connectionLimit: Int
    private let connectionLimitPerPeer: Int
    /// Scopes in which nothing is in use are not there: as many entries as spans have scopes, at most.
    private(set) var usages: [ResourceScope: ResourceUsage] = [:]
    private var spans: [UInt64: Span] = [:]
    private var nextID: UInt64 = 0

    init(limits: ResourceLimits, connections: Int, connectionsPerPeer: Int) {
        self.limits = limits
        connectionLimit = connections
        connectionLimitPerPeer = connectionsPerPeer
    }

    /// How many spans are open.
    var count: Int { spans.count }

    func usage(of scope: ResourceScope) -> ResourceUsage {
        usages[scope] ?? ResourceUsage()
    }

    /// Opens a span.
    ///
    /// - Parameters:
    ///   - amount: What it uses.
    ///   - scopes: Where, each once.
    ///   - isReserved: Whether it may draw on the reserve, being of a protected peer.
    /// - Throws: When a scope has not enough left.
    mutating func open(
        _ amount: ResourceUsage,
        in scopes: [ResourceScope],
        isReserved: Bool = false
    ) throws(ResourceLimitExceeded) -> UInt64 {
        try check(amount, in: scopes, isReserved: isReserved)
        nextID += 1
        insert(Span(amount: amount, scopes: scopes, isReserved: isReserved), id: nextID)
        return nextID
    }

    /// Throws what ``open(_:in:isReserved:)`` would throw.
    func check(
        _ amount: ResourceUsage,
        in scopes: [ResourceScope],
        isReserved: Bool = false
    ) throws(ResourceLimitExceeded) {
        for scope in scopes { try check(amount, in: scope, isReserved: isReserved) }
    }

    /// Moves a span to other scopes.
    ///
    /// - Returns: Whether there is such a span.
    @discardableResult
    mutating func move(
        _ id: UInt64,
        to scopes: [ResourceScope],
        isReserved: Bool? = nil
    ) throws(ResourceLimitExceeded) -> Bool {
        guard var span = spans[id] else { return false }
        if let isReserved { span.isReserved = isReserved }
        for scope in scopes where !span.scopes.contains(scope) {
            try check(span.amount, in: scope, isReserved: span.isReserved)
        }
        // Most scopes stay what they are: a stream whose protocol becomes known still is of its peer.
        for scope in span.scopes where !scopes.contains(scope) { add(ResourceUsage() - span.amount, to: scope) }
        for scope in scopes where !span.scopes.contains(scope) { add(span.amount, to: scope) }
        span.scopes = scopes
        spans[id] = span
        return true
    }

    /// Accounts for more memory, or for less.
    ///
    /// - Returns: Whether there is such a span.
    @discardableResult
    mutating func resize(_ id: UInt64, memoryBy delta: Int) throws(ResourceLimitExceeded) -> Bool {
        guard var span = spans[id] else { return false }
        let delta = max(delta, -span.amount.memory)
        var change = ResourceUsage()
        change.memory = delta
        if delta > 0 {
            guard delta <= limits.streamMemory - span.amount.memory else {
                throw exceeded(.stream, .memory, limits.streamMemory)
            }
            try check(change, in: span.scopes, isReserved: span.isReserved)
        }
        for scope in span.scopes { add(change, to: scope) }
        span.amount = span.amount + change
        spans[id] = span
        return true
    }

    /// Closes a span.
    mutating func close(_ id: UInt64) {
        guard let span = spans.removeValue(forKey: id) else { return }
        for scope in span.scopes { add(ResourceUsage() - span.amount, to: scope) }
    }

    /// Closes a span and opens another one in its place. When there is no room for the new one, the old one stays.
    mutating func replace(
        _ old: UInt64,
        with amount: ResourceUsage,
        in scopes: [ResourceScope],
        isReserved: Bool = false
    ) throws(ResourceLimitExceeded) -> UInt64 {
        let former = spans[old]
        close(old)
        do {
            return try open(amount, in: scopes, isReserved: isReserved)
        } catch {
            if let former { insert(former, id: old) }
            throw error
        }
    }

    // MARK: Inside

    private mutating func insert(_ span: Span, id: UInt64) {
        spans[id] = span
        for scope in span.scopes { add(span.amount, to: scope) }
    }

    private mutating func add(_ amount: ResourceUsage, to scope: ResourceScope) {
        /// Changes the entry in place: to look a scope up is what costs.
        func add(to usage: inout ResourceUsage) -> Bool {
            usage = usage + amount
            return usage == ResourceUsage()
        }
        if add(to: &usages[scope, default: ResourceUsage()]) { usages[scope] = nil }
    }

    private func check(
        _ amount: ResourceUsage,
        in scope: ResourceScope,
        isReserved: Bool
    ) throws(ResourceLimitExceeded) {
        let used = usage(of: scope)
        // Written out: this is asked several times for each stream, and a list would be made each time.
        func require(_ resource: Resource, _ more: Int, _ used: Int) throws(ResourceLimitExceeded) {
            guard more > 0, let limit = limit(of: resource, in: scope, isReserved: isReserved), more > limit - used
            else { return }
            throw exceeded(scope, resource, limit)
        }
        try require(.connections, amount.connections, used.connections)
        try require(.inboundConnections, amount.inboundConnections, used.inboundConnections)
        try require(.outboundConnections, amount.outboundConnections, used.outboundConnections)
        try require(.inboundStreams, amount.inboundStreams, used.inboundStreams)
        try require(.outboundStreams, amount.outboundStreams, used.outboundStreams)
        try require(.memory, amount.memory, used.memory)
    }

    private func exceeded(_ scope: ResourceScope, _ resource: Resource, _ limit: Int) -> ResourceLimitExceeded {
        ResourceLimitExceeded(
            scope: scope,
            resource: resource,
            limit: limit,
            setting: setting(of: resource, in: scope)
        )
    }

    /// The limit of a resource in a scope, `nil` where none is.
    func limit(of resource: Resource, in scope: ResourceScope, isReserved: Bool) -> Int? {
        let plain: Int? =
            switch (scope.kind, resource) {
            case (.system, .connections): connectionLimit
            case (.system, .inboundConnections): limits.system.inboundConnections
            case (.system, .outboundConnections): limits.system.outboundConnections
            case (.system, .inboundStreams): limits.system.inboundStreams
            case (.system, .outboundStreams): limits.system.outboundStreams
            case (.system, .memory): limits.system.memory
            case (.transient, .outboundConnections): limits.transient.dials
            case (.transient, .inboundStreams): limits.transient.inboundStreams
            case (.transient, .outboundStreams): limits.transient.outboundStreams
            case (.peer, .connections): connectionLimitPerPeer
            case (.peer, .inboundStreams): limits.peer.inboundStreams
            case (.peer, .outboundStreams): limits.peer.outboundStreams
            case (.peer, .memory): limits.peer.memory
            case (.protocolName(let name), .inboundStreams):
                (limits.protocols[name] ?? limits.protocolStreams).inboundStreams
            case (.protocolName(let name), .outboundStreams):
                (limits.protocols[name] ?? limits.protocolStreams).outboundStreams
            case (.connection, .inboundStreams): limits.connection.inboundStreams
            case (.connection, .outboundStreams): limits.connection.outboundStreams
            case (.connection, .memory): limits.connection.memory
            case (.stream, .memory): limits.streamMemory
            default: nil
            }
        guard let plain, isReserved else { return plain }
        let extra =
            switch (scope.kind, resource) {
            case (.system, .memory): limits.reserve.memory
            case (.system, .inboundStreams), (.system, .outboundStreams), (.transient, .inboundStreams),
                (.transient, .outboundStreams):
                limits.reserve.streams
            case (.system, _), (.transient, .outboundConnections): limits.reserve.connections
            default: 0
            }
        return plain.addingReportingOverflow(extra).overflow ? .max : plain + extra
    }

    private func setting(of resource: Resource, in scope: ResourceScope) -> String {
        switch (scope.kind, resource) {
        case (.system, .connections): "connections.limit"
        case (.peer, .connections): "connections.limitPerPeer"
        case (.transient, .outboundConnections): "limits.transient.dials"
        case (.stream, _): "limits.streamMemory"
        case (.protocolName(let name), _):
            limits.protocols[name] == nil
                ? "limits.protocolStreams.\(resource)" : "limits.protocols[\"\(name)\"].\(resource)"
        default: "limits.\(scope.label).\(resource)"
        }
    }
}
