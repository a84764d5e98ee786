public import Libp2pTLS
public import PeerID
public import QuicCore

/// What a node of a simulation is like.
public struct NodeSettings: Sendable {
    /// The settings of its endpoint and connections.
    public var configuration = QuicConfiguration.defaults
    /// The kind of key in its certificate. Ed25519 is the quicker one; the signature of a P-256 key varies in length.
    public var certificateKey = CertificateKeyKind.ed25519
    /// The cipher suites it offers and accepts, in order of preference.
    public var cipherSuites = CipherSuite.allCases
    /// Whether strangers may open connections.
    public var accepts = true
    /// The most datagrams in one batch.
    public var maxSegments = 44
    /// How long the application takes to read what arrived; zero for at once.
    public var readingDelay: Duration = .zero
    /// What its link does to what it sends.
    public var uplink = LinkConditions()
    /// What its link does to what it receives.
    public var downlink: LinkConditions = {
        var conditions = LinkConditions()
        conditions.latency = .zero
        return conditions
    }()

    /// A node with the defaults, 1 ms away from the others.
    public init() {}
}

/// One endpoint of a simulation, with its link to the network and its connections.
public final class SimulatedNode {
    /// What it is called in messages.
    public let name: String
    /// Its key.
    public let identity: PrivateKey
    /// Its first address.
    public let address: NetworkAddress
    /// The protocol core.
    public internal(set) var endpoint: EndpointCore
    /// What it was made with.
    public let settings: NodeSettings
    /// Its connections, in the order in which they began, finished ones included.
    public internal(set) var connections: [SimulatedConnection] = []
    /// Which address the network sees in place of a local one.
    public internal(set) var translations: [NetworkAddress: NetworkAddress] = [:]
    /// Whether it takes and sends datagrams. One that does not has vanished.
    public internal(set) var isPresent = true
    /// Called for each new inbound connection.
    public var onAccept: ((SimulatedConnection) -> Void)?

    var uplink: Link
    var downlink: Link
    var byHandle: [ConnectionHandle: SimulatedConnection] = [:]
    /// Bytes exchanged with addresses that are not validated (RFC 9000 §8.1).
    var amplification: [NetworkAddress: Amplification] = [:]
    /// Its stateless reset tokens derive from this key, also after a restart.
    private let staticKey: [UInt8]

    struct Amplification {
        var received = 0
        var sent = 0
        var isValidated = false
    }

    init(name: String, address: NetworkAddress, seed: UInt64, settings: NodeSettings) throws {
        self.name = name
        self.address = address
        self.settings = settings
        var generator = SeededGenerator(seed: seed)
        identity = try PrivateKey.ed25519(seed: (0..<32).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        staticKey = (0..<32).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        uplink = Link(settings.uplink)
        downlink = Link(settings.downlink)
        endpoint = try Self.makeEndpoint(
            identity: identity,
            settings: settings,
            staticKey: staticKey,
            generator: generator
        )
    }

    /// The process starts anew: the same identity and keys, without any state.
    func restart(generator: SeededGenerator) throws {
        endpoint = try Self.makeEndpoint(
            identity: identity,
            settings: settings,
            staticKey: staticKey,
            generator: generator
        )
        byHandle = [:]
        amplification = [:]
    }

    private static func makeEndpoint(
        identity: PrivateKey,
        settings: NodeSettings,
        staticKey: [UInt8],
        generator: SeededGenerator
    ) throws -> EndpointCore {
        // The clock of certificates stands still: what is in them must not depend on the day.
        let tls = TLSConfiguration(
            certificateKey: settings.certificateKey,
            cipherSuites: settings.cipherSuites,
            sessionTickets: settings.configuration.resumption != .off,
            earlyData: settings.configuration.resumption == .earlyData,
            clock: { 1_700_000_000 }
        )
        let endpoint = EndpointCore(
            configuration: settings.configuration,
            tls: try TLSContext(identity: identity, configuration: tls),
            identifiers: try ServerConnectionIDs(staticKey: staticKey, owner: 0),
            random: generator
        )
        endpoint.acceptsConnections = settings.accepts
        return endpoint
    }

    /// Changes what the link does to what the node sends.
    public func setUplink(_ conditions: LinkConditions) { uplink.conditions = conditions }

    /// Changes what the link does to what the node receives.
    public func setDownlink(_ conditions: LinkConditions) { downlink.conditions = conditions }

    /// What the link does now to what the node sends.
    public var uplinkConditions: LinkConditions { uplink.conditions }

    /// What the link does now to what the node receives.
    public var downlinkConditions: LinkConditions { downlink.conditions }
}
