internal import CSeededRandom
internal import Libp2pTLS
public import PeerID
internal import QuicCore

/// Nodes that run the whole protocol core over a ``SimulatedNetwork``, on virtual time, in one thread.
///
/// Everything follows from the seed: the network's accidents, keys, connection IDs, and the bytes that GnuTLS draws for
/// handshakes. The same seed gives the same packets at the same times, which ``SimulatedNetwork/hash`` shows.
///
/// Make it, and use it, inside ``Simulation/run(seed:_:)``.
public final class Simulation {
    /// The network.
    public let network: SimulatedNetwork
    /// The nodes in the order in which they were made.
    public private(set) var nodes: [SimulatedNode] = []
    /// What went wrong, for people; empty if all is well. The first hundred.
    public private(set) var problems: [String] = []
    /// Figures to print beside the outcome.
    public var figures: [(name: String, value: String)] = []
    /// For whatever a scenario decides by chance.
    public var generator: SeededGenerator

    /// Whether the network may lose, change or repeat datagrams, so that a close may not arrive and late copies may.
    public var isImpaired = false
    /// Whether nodes that are added, and addresses that nodes move to, are of IPv6.
    public var usesIPv6 = false

    let pattern: BytePattern
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    var connectionCount = 0
    /// How many connections ended as the scenario expected, or excused, and not by a close of either side.
    var excusedEnds = 0
    /// How often a node got another address.
    var rebindings = 0
    /// The codes with which streams were cut short, and the stream: nothing else may arrive.
    var abortCodes: [UInt64: StreamID] = [:]
    /// Every connection core there was, to see that none stays.
    private var cores: [WeakCore] = []
    private var steps = 0

    private struct WeakCore {
        weak var core: ConnectionCore?
        var label: String
    }

    /// The most events of one simulation: what takes more is stuck.
    static let maximumSteps = 50_000_000

    init(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        network = SimulatedNetwork(seed: generator.next(), start: 1_000_000_000)
        pattern = BytePattern(seed: generator.next())
        self.generator = generator
    }

    deinit { buffer.deallocate() }

    /// Runs a simulation to its end and checks what must hold for every one: see ``finish(within:)``.
    ///
    /// - Parameters:
    ///   - seed: What everything follows from.
    ///   - trace: Told every datagram and every event, one line each.
    ///   - body: Builds the nodes, lets them talk and says what must hold.
    /// - Throws: What `body` throws.
    public static func run(
        seed: UInt64,
        trace: ((String) -> Void)? = nil,
        _ body: (Simulation) throws -> Void
    ) rethrows -> SimulationReport {
        csim_random_begin(seed)
        defer { csim_random_end() }
        let simulation = Simulation(seed: seed)
        simulation.network.trace = trace
        defer { simulation.network.clear() }
        try body(simulation)
        simulation.finish()
        return SimulationReport(
            seed: seed,
            hash: simulation.network.hash,
            statistics: simulation.network.statistics,
            elapsed: simulation.network.elapsed,
            connections: simulation.connectionCount,
            tally: simulation.tally,
            problems: simulation.problems,
            figures: simulation.figures
        )
    }

    /// Bytes of heap memory in use in the whole process; 0 where the C library does not tell.
    public static var heapInUse: UInt64 { csim_heap_in_use() }

    /// What GnuTLS draws at random on this thread now: outside of a simulation, it is not to be foreseen.
    public static func libraryRandomness() -> UInt64 { csim_library_word() }

    /// Notes that something is wrong.
    public func fail(_ problem: String) {
        guard problems.count < 100 else { return }
        problems.append("\(network.elapsed.secondCount) s: \(problem)")
    }

    /// Notes that something is wrong unless it holds.
    public func expect(_ holds: Bool, _ problem: @autoclosure () -> String) {
        if !holds { fail(problem()) }
    }

    // MARK: building

    /// An address at port 4001 of this simulation's kind.
    func address(subnet: UInt8, _ number: Int) -> NetworkAddress {
        if usesIPv6 {
            return .ip6(high: 0xfd00 << 48 | UInt64(subnet), low: UInt64(number), port: 4001)
        }
        return .ip4(10, subnet, UInt8(number >> 8 & 255), UInt8(number & 255), port: 4001)
    }

    /// Adds a node. Each gets an address of its own and port 4001.
    public func addNode(_ name: String, _ settings: NodeSettings = NodeSettings()) throws -> SimulatedNode {
        try settings.configuration.validate()
        let number = nodes.count + 1
        let address = address(subnet: 0, number)
        let node = try SimulatedNode(name: name, address: address, seed: generator.next(), settings: settings)
        nodes.append(node)
        network.route(address, to: node, local: address)
        return node
    }

    /// Opens a connection.
    ///
    /// - Parameters:
    ///   - client: Who dials.
    ///   - server: Whom.
    ///   - expecting: The peer that must answer; `nil` for the server's own.
    ///   - early: Whether to offer early data, if the client has a ticket for it.
    public func dial(
        from client: SimulatedNode,
        to server: SimulatedNode,
        expecting: PeerID? = nil,
        early: Bool = false
    ) throws -> SimulatedConnection {
        // Whoever is dialed is not a stranger who sends first.
        client.amplification[server.address, default: .init()].isValidated = true
        let core = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: expecting ?? server.identity.peerID,
            early: early,
            now: network.now
        )
        let connection = adopt(core, of: client)
        service(connection)
        return connection
    }

    func adopt(_ core: ConnectionCore, of node: SimulatedNode) -> SimulatedConnection {
        connectionCount += 1
        let connection = SimulatedConnection(core: core, node: node, number: connectionCount, now: network.now)
        node.connections.append(connection)
        node.byHandle[core.handle] = connection
        cores.append(WeakCore(core: core, label: connection.label))
        return connection
    }

    /// The other side of a dialed connection, once it is there.
    public func peer(of connection: SimulatedConnection) -> SimulatedConnection? {
        guard let handshake = connection.handshake else { return nil }
        let server = nodes.first { $0.identity.peerID == handshake.peer.peerID }
        let dialed = connection.node.connections.filter {
            !$0.isServer && $0.handshake?.peer.peerID == handshake.peer.peerID
        }
        let accepted = server?.connections.filter {
            $0.isServer && $0.handshake?.peer.peerID == connection.node.identity.peerID
        }
        // Unambiguous where a client has one connection to a server, which is where scenarios ask.
        return dialed.count == 1 && accepted?.count == 1 ? accepted?.first : nil
    }

    // MARK: running

    /// Lets things happen until `condition` holds or so much time is over.
    ///
    /// - Returns: Whether the condition holds.
    @discardableResult
    public func run(for duration: Duration, until condition: () -> Bool = { false }) -> Bool {
        let limit = network.now + duration.nanosecondCount
        while !condition() {
            guard steps < Self.maximumSteps else {
                fail("stuck: more than \(Self.maximumSteps) events")
                return false
            }
            guard let happening = network.next(limit: limit) else {
                network.now = max(network.now, limit)
                return condition()
            }
            steps += 1
            handle(happening)
        }
        return true
    }

    /// Does something at a time from now.
    public func after(_ delay: Duration, _ action: @escaping () -> Void) {
        network.schedule(.action(action), at: network.now + delay.nanosecondCount)
    }

    private func handle(_ happening: SimulatedNetwork.Happening) {
        switch happening {
        case .arrived(let datagram): network.forward(datagram)
        case .delivered(let datagram, let node, let local): deliver(datagram, to: node, local: local)
        case .action(let action): action()
        case .timer(let connection, let generation):
            guard generation == connection.timerGeneration, let core = connection.core, connection.node.isPresent
            else { return }
            connection.armed = nil
            core.handleTimer(now: network.now)
            service(connection)
        }
    }

    // MARK: ending

    /// Lets every connection come to its end and checks that nothing is left: connections, routing entries, half-open
    /// handshakes, the cores' memory. Called at the end of each simulation.
    private func finish() {
        for node in nodes {
            for connection in node.connections where !connection.isServer { close(connection, code: 0, reason: "done") }
        }
        run(for: .seconds(1)) { allGone }
        for node in nodes { for connection in node.connections { close(connection, code: 0, reason: "done") } }
        // Twice the longest idle or handshake timeout, and the closing period.
        let longest =
            nodes.map { node in
                let timeouts = node.settings.configuration.timeouts
                return max(timeouts.idle, timeouts.handshake) * 2 + timeouts.close
            }.max() ?? .seconds(1)
        run(for: longest + .seconds(30)) { allGone }
        for node in nodes {
            let endpoint = node.endpoint
            expect(endpoint.connectionCount == 0, "\(node.name) keeps \(endpoint.connectionCount) connections")
            expect(endpoint.registry.isEmpty, "\(node.name) keeps routing entries")
            expect(endpoint.halfOpenCount == 0, "\(node.name) counts \(endpoint.halfOpenCount) half-open handshakes")
        }
        expect(
            connectionCount == 0 || csim_random_drawn() > 0,
            "GnuTLS does not draw from the seed: the program's gnutls_rnd is not in use"
        )
        network.clear()
        for node in nodes {
            node.onAccept = nil
            for connection in node.connections { (connection.onEvents, connection.onDatagram) = (nil, nil) }
        }
        for each in cores where each.core != nil { fail("\(each.label): the connection core is still alive") }
    }

    private var allGone: Bool {
        nodes.allSatisfy { $0.endpoint.connectionCount == 0 }
    }

    /// Closes a connection with a code of the application; nothing if it is over.
    public func close(_ connection: SimulatedConnection, code: UInt64, reason: String) {
        guard let core = connection.core, core.isOpen, connection.node.isPresent else { return }
        connection.closedByUs = true
        core.close(code: code, reason: reason, now: network.now)
        service(connection)
    }
}
