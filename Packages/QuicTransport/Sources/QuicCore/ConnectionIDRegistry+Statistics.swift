// MARK: - Queries

extension ConnectionIDRegistry {
    /// The number of connections, pending ones included.
    public var count: Int { records.count }

    /// Whether no connection is known.
    public var isEmpty: Bool { records.isEmpty }

    /// The established connections, in no particular order. Takes time proportional to the number of connections.
    public var establishedConnections: [Connection] {
        records.compactMap { $0.value.isEstablished ? $0.key : nil }
    }

    /// The pending connections, in no particular order. Takes time proportional to the number of connections.
    public var pendingConnections: [Connection] {
        records.compactMap { $0.value.isEstablished ? nil : $0.key }
    }

    /// Whether a connection is known.
    public func contains(_ connection: Connection) -> Bool { records[connection] != nil }

    /// Whether a connection is known and its handshake is done.
    public func isEstablished(_ connection: Connection) -> Bool { records[connection]?.isEstablished == true }

    /// The sequence number of an issued ID; `nil` if the ID or its number is not known.
    public func sequence(of id: ConnectionID) -> UInt64? { issued[id]?.sequence }

    /// The issued IDs of a connection, in ascending order of sequence number; those without a number come last.
    public func connectionIDs(of connection: Connection) -> [ConnectionID] {
        records[connection]?.issued.map(\.id) ?? []
    }

    /// The initial IDs of a connection, in the order in which they were registered.
    public func initialConnectionIDs(of connection: Connection) -> [ConnectionID] {
        records[connection]?.initial ?? []
    }

    /// The issued ID that stands for a connection.
    public func primaryConnectionID(of connection: Connection) -> ConnectionID? { records[connection]?.primary }

    /// Where a connection is.
    public func address(of connection: Connection) -> NetworkAddress? { records[connection]?.address }

    /// Where the connection of an issued or initial ID is.
    public func address(of id: ConnectionID) -> NetworkAddress? {
        (issued[id]?.connection ?? initial[id]).flatMap { records[$0]?.address }
    }

    /// The connections at an address, in no particular order.
    public func connections(at address: NetworkAddress) -> [Connection] {
        addresses[address]?.connections ?? []
    }
}

// MARK: - Statistics

/// Figures about a ``ConnectionIDRegistry``.
public struct ConnectionIDRegistryStatistics: Sendable, Hashable {
    /// The operations that are timed in debug mode.
    public enum Operation: Int, Sendable, Hashable, CaseIterable {
        /// Looking up a connection ID.
        case find
        /// Looking up an address.
        case findByAddress
        /// Registering an ID of any kind.
        case register
        /// Adding an ID to a known connection.
        case add
        /// Promoting a pending connection.
        case promote
        /// Moving a connection to another address.
        case move
        /// Removing IDs or connections.
        case remove
        /// Retiring a range of sequence numbers.
        case retire
    }

    /// How long an operation took.
    public struct Timing: Sendable, Hashable {
        /// How often it ran.
        public var count: UInt64 = 0
        /// All its runs together, in nanoseconds.
        public var totalNanoseconds: UInt64 = 0
        /// The longest run, in nanoseconds.
        public var maximumNanoseconds: UInt64 = 0

        /// Makes a timing of nothing.
        public init() {}
    }

    /// Initial IDs now.
    public var initialIDs = 0
    /// Issued IDs of established connections now.
    public var establishedIDs = 0
    /// Issued IDs of pending connections now.
    public var pendingIDs = 0
    /// All of these together.
    public var totalIDs = 0
    /// Connections now.
    public var connections = 0
    /// Addresses that have a connection now.
    public var addressMappings = 0
    /// Issued IDs whose sequence number is known now.
    public var trackedSequences = 0
    /// How many IDs there are now by size of their sequence number: element 0 counts number 0, element n the numbers
    /// from 2^(n−1) up to 2^n − 1. It has 65 elements whatever a peer does.
    public var sequenceDistribution: [Int] = []
    /// How often a packet was routed by its address since the last reset.
    public var fallbackRoutings: UInt64 = 0
    /// How long operations took since the last reset; empty unless the registry was given a clock.
    public var timings: [Operation: Timing] = [:]

    /// Makes figures that are all zero.
    public init() {}
}

extension ConnectionIDRegistry {
    /// The figures now.
    public var statistics: ConnectionIDRegistryStatistics {
        var statistics = ConnectionIDRegistryStatistics()
        statistics.initialIDs = initial.count
        statistics.establishedIDs = counters.established
        statistics.pendingIDs = issued.count - counters.established
        statistics.totalIDs = initial.count + issued.count
        statistics.connections = records.count
        statistics.addressMappings = addresses.count
        statistics.trackedSequences = counters.trackedSequences
        statistics.sequenceDistribution = counters.distribution
        statistics.fallbackRoutings = counters.fallbackRoutings
        for operation in ConnectionIDRegistryStatistics.Operation.allCases {
            let timing = counters.timings[operation.rawValue]
            if timing.count > 0 { statistics.timings[operation] = timing }
        }
        return statistics
    }

    /// Sets counters and timings to zero. What there is now, IDs and connections, is counted on.
    public mutating func resetStatistics() {
        counters.fallbackRoutings = 0
        counters.timings = Counters().timings
    }

    struct Counters: Sendable {
        var established = 0
        var trackedSequences = 0
        var distribution = [Int](repeating: 0, count: 65)
        var fallbackRoutings: UInt64 = 0
        var timings = [ConnectionIDRegistryStatistics.Timing](
            repeating: .init(),
            count: ConnectionIDRegistryStatistics.Operation.allCases.count
        )

        mutating func count(sequence: UInt64?) {
            guard let sequence else { return }
            trackedSequences += 1
            distribution[UInt64.bitWidth - sequence.leadingZeroBitCount] += 1
        }

        mutating func uncount(sequence: UInt64?) {
            guard let sequence else { return }
            trackedSequences -= 1
            distribution[UInt64.bitWidth - sequence.leadingZeroBitCount] -= 1
        }
    }

    /// Runs an operation and, in debug mode, notes how long it took.
    mutating func timed<Result>(
        _ operation: ConnectionIDRegistryStatistics.Operation,
        _ body: (inout Self) -> Result
    ) -> Result {
        guard let timingClock else { return body(&self) }
        let start = timingClock()
        defer {
            let end = timingClock()
            let elapsed = end > start ? end - start : 0
            var timing = counters.timings[operation.rawValue]
            timing.count += 1
            timing.totalNanoseconds &+= elapsed
            timing.maximumNanoseconds = max(timing.maximumNanoseconds, elapsed)
            counters.timings[operation.rawValue] = timing
        }
        return body(&self)
    }
}
