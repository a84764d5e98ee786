import NetStream
import PeerID
import Synchronization

/// The books of a running host, for many tasks. Holds no lock while it calls out, and reports no refusal where its caller
/// holds one.
final class ResourceAccounts: Sendable {
    let limits: ResourceLimits
    private let ledger: Mutex<ResourceLedger>
    private let onRefusal: @Sendable (ResourceLimitExceeded) -> Void

    init(
        _ configuration: HostConfiguration,
        onRefusal: @escaping @Sendable (ResourceLimitExceeded) -> Void = { _ in }
    ) {
        limits = configuration.limits
        self.onRefusal = onRefusal
        ledger = Mutex(
            ResourceLedger(
                limits: configuration.limits,
                connections: configuration.connections.limit,
                connectionsPerPeer: configuration.connections.limitPerPeer
            )
        )
    }

    func usage(of scope: ResourceScope) -> ResourceUsage { ledger.withLock { $0.usage(of: scope) } }

    var usages: [ResourceScope: ResourceUsage] { ledger.withLock { $0.usages } }

    /// What a connection uses.
    func connection(_ direction: Direction) -> ResourceUsage {
        var usage = dial
        usage.memory = limits.memoryPerConnection
        guard direction == .inbound else { return usage }
        swap(&usage.inboundConnections, &usage.outboundConnections)
        return usage
    }

    /// What a dial uses.
    var dial: ResourceUsage {
        var usage = ResourceUsage()
        usage.outboundConnections = 1
        return usage
    }

    /// What a stream uses.
    func stream(_ direction: Direction) -> ResourceUsage {
        var usage = ResourceUsage()
        switch direction {
        case .inbound: usage.inboundStreams = 1
        case .outbound: usage.outboundStreams = 1
        }
        usage.memory = limits.memoryPerStream
        return usage
    }

    func open(
        _ amount: ResourceUsage,
        in scopes: [ResourceScope],
        replacing old: ResourceSpan? = nil,
        isReserved: Bool,
        isReported: Bool = true
    ) throws(HostError) -> ResourceSpan {
        let id = try changing(isReported: isReported) { ledger throws(ResourceLimitExceeded) in
            guard let old else { return try ledger.open(amount, in: scopes, isReserved: isReserved) }
            return try ledger.replace(old.id, with: amount, in: scopes, isReserved: isReserved)
        }
        return ResourceSpan(id, of: self)
    }

    func check(_ amount: ResourceUsage, in scopes: [ResourceScope], isReserved: Bool) throws(HostError) {
        try changing { ledger throws(ResourceLimitExceeded) in
            try ledger.check(amount, in: scopes, isReserved: isReserved)
        }
    }

    func move(_ id: UInt64, to scopes: [ResourceScope]) throws(HostError) {
        try changing { ledger throws(ResourceLimitExceeded) in _ = try ledger.move(id, to: scopes) }
    }

    func resize(_ id: UInt64, memoryBy delta: Int) throws(HostError) -> Bool {
        try changing { ledger throws(ResourceLimitExceeded) in try ledger.resize(id, memoryBy: delta) }
    }

    func close(_ id: UInt64) {
        ledger.withLock { $0.close(id) }
    }

    /// Reports what a limit did not allow, for those who had to wait until they let go of a lock.
    func report(_ error: HostError) {
        if let exceeded = error.cause as? ResourceLimitExceeded { onRefusal(exceeded) }
    }

    private func changing<Result: Sendable>(
        isReported: Bool = true,
        _ body: (inout ResourceLedger) throws(ResourceLimitExceeded) -> Result
    ) throws(HostError) -> Result {
        do {
            return try ledger.withLock { ledger throws(ResourceLimitExceeded) in try body(&ledger) }
        } catch {
            if isReported { onRefusal(error) }
            throw HostError(.resourceLimit, error.description, cause: error)
        }
    }
}

/// Something in use. Its end gives everything back; so does letting go of it.
final class ResourceSpan: Sendable {
    let id: UInt64
    private let accounts: ResourceAccounts

    init(_ id: UInt64, of accounts: ResourceAccounts) {
        self.id = id
        self.accounts = accounts
    }

    deinit { end() }

    func move(to scopes: [ResourceScope]) throws(HostError) { try accounts.move(id, to: scopes) }

    /// Accounts for more memory, or for less. `false` when the span has ended.
    @discardableResult
    func resize(memoryBy delta: Int) throws(HostError) -> Bool { try accounts.resize(id, memoryBy: delta) }

    func end() { accounts.close(id) }
}
