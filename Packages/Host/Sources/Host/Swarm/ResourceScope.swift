public import PeerID

/// A part of the host in which resources are counted and limited.
///
/// An open set that may grow; `description` names it for people.
public struct ResourceScope: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case system, transient, stream
        case peer(PeerID)
        case protocolName(String)
        case connection(UInt64)
    }

    let kind: Kind

    /// The whole host.
    public static let system = ResourceScope(kind: .system)
    /// What is not known yet: dials that have not ended, streams whose protocol is not agreed on.
    public static let transient = ResourceScope(kind: .transient)
    /// All that belongs to one peer.
    public static func peer(_ peer: PeerID) -> ResourceScope { ResourceScope(kind: .peer(peer)) }
    /// All streams of one protocol. Inbound streams count for the name that their handler was registered with, whatever
    /// name its predicate took.
    public static func protocolName(_ name: String) -> ResourceScope { ResourceScope(kind: .protocolName(name)) }
    /// One connection, by ``ConnectionInfo/id``.
    public static func connection(_ id: UInt64) -> ResourceScope { ResourceScope(kind: .connection(id)) }
    /// One stream.
    static let stream = ResourceScope(kind: .stream)
}

extension ResourceScope: CustomStringConvertible {
    /// The scope, for people.
    public var description: String {
        switch kind {
        case .system: "the system"
        case .transient: "the transient scope"
        case .stream: "the stream"
        case .peer(let peer): "the peer \(peer)"
        case .protocolName(let name): "the protocol \(name)"
        case .connection(let id): "connection \(id)"
        }
    }

    /// The kind of scope in one word, for metrics.
    var label: String {
        switch kind {
        case .system: "system"
        case .transient: "transient"
        case .stream: "stream"
        case .peer: "peer"
        case .protocolName: "protocol"
        case .connection: "connection"
        }
    }
}

/// What is counted, as an open set that may grow.
public struct Resource: Sendable, Hashable, CustomStringConvertible {
    private enum Kind: String {
        case connections, inboundConnections, outboundConnections, inboundStreams, outboundStreams, memory
    }

    private let kind: Kind

    private init(_ kind: Kind) {
        self.kind = kind
    }

    /// The resource's name, as that of the configuration's field.
    public var description: String { kind.rawValue }

    /// Connections of both directions together.
    public static let connections = Resource(.connections)
    /// Connections that peers opened.
    public static let inboundConnections = Resource(.inboundConnections)
    /// Connections that this host opened, and its dials.
    public static let outboundConnections = Resource(.outboundConnections)
    /// Streams that peers opened.
    public static let inboundStreams = Resource(.inboundStreams)
    /// Streams that this host opened.
    public static let outboundStreams = Resource(.outboundStreams)
    /// Bytes of memory, as far as they are accounted for.
    public static let memory = Resource(.memory)
}

/// How much of each resource is in use in a scope.
public struct ResourceUsage: Sendable, Hashable, Codable {
    /// Connections that peers opened.
    public var inboundConnections = 0
    /// Connections that this host opened, and its dials.
    public var outboundConnections = 0
    /// Streams that peers opened.
    public var inboundStreams = 0
    /// Streams that this host opened.
    public var outboundStreams = 0
    /// Bytes of memory.
    public var memory = 0

    /// Nothing.
    public init() {}

    /// Connections of both directions.
    public var connections: Int { inboundConnections + outboundConnections }
    /// Streams of both directions.
    public var streams: Int { inboundStreams + outboundStreams }

    static func + (left: ResourceUsage, right: ResourceUsage) -> ResourceUsage {
        var sum = left
        sum.inboundConnections += right.inboundConnections
        sum.outboundConnections += right.outboundConnections
        sum.inboundStreams += right.inboundStreams
        sum.outboundStreams += right.outboundStreams
        sum.memory += right.memory
        return sum
    }

    static func - (left: ResourceUsage, right: ResourceUsage) -> ResourceUsage {
        var rest = left
        rest.inboundConnections -= right.inboundConnections
        rest.outboundConnections -= right.outboundConnections
        rest.inboundStreams -= right.inboundStreams
        rest.outboundStreams -= right.outboundStreams
        rest.memory -= right.memory
        return rest
    }
}

/// A limit that does not allow what was asked for. The cause of a ``HostError`` of code
/// ``HostError/Code/resourceLimit``.
public struct ResourceLimitExceeded: Error, Sendable, Hashable {
    /// Where the limit is.
    public let scope: ResourceScope
    /// What there is not enough of.
    public let resource: Resource
    /// The limit, as a count or in bytes.
    public let limit: Int
    /// The field of ``HostConfiguration`` that sets it.
    public let setting: String
}

extension ResourceLimitExceeded: CustomStringConvertible {
    /// What the limit is and how to raise it.
    public var description: String {
        "\(scope) may use \(limit) of \(resource); close what is not needed or raise \(setting)"
    }
}
