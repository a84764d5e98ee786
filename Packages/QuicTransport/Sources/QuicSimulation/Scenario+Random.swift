internal import Libp2pTLS
internal import PeerID
internal import QuicCore

extension Scenario {
    /// Whatever the seed says: nodes, links, settings, streams, moves, failures.
    public static let random = Scenario(
        "random",
        "whatever the seed says; every byte arrives once and in order, or the stream ends as its cause demands"
    ) { simulation, size in
        try RandomScenario(simulation, size: size).play()
    }
}

/// A scenario drawn from a seed. What it has planned keeps it alive; the end of the simulation forgets that.
final class RandomScenario {
    let simulation: Simulation
    private let size: ScenarioSize
    var generator: SeededGenerator
    /// The unreliable datagrams of all connections.
    var datagrams = RandomDatagrams()
    /// The most bytes of one stream: less where the network is bad.
    private var most = 200_000
    private var isHarsh = false
    private var isSlow = false
    /// All nodes prefer version 2, or none does: a client gives up a peer that lacks the version it begins with.
    private var usesVersion2 = false
    private var servers: [SimulatedNode] = []
    private var clients: [SimulatedNode] = []
    private var dialed: [SimulatedConnection] = []
    private var pendingDials = 0

    init(_ simulation: Simulation, size: ScenarioSize) {
        self.simulation = simulation
        self.size = size
        generator = simulation.generator.fork()
    }

    func play() throws {
        if generator.chance(0.3) { simulation.usesIPv6 = true }
        usesVersion2 = generator.chance(0.15) && QuicVersion.v2.isInstalled
        try addNodes()
        for client in clients {
            for _ in 0..<generator.pick(1...3) { planDial(from: client, to: generator.pick(from: servers)) }
        }
        planMoves()
        planFailures()
        var turns = 0
        let done = simulation.run(for: .seconds(900)) {
            // Looking at everyone takes longer than most events do.
            turns += 1
            return turns % 32 == 0 && isAllDone
        }
        if !done, !isAllDone {
            for connection in everyone where !connection.isOver && !isDone(connection) {
                let open = connection.streams.filter { !$0.isClosed }.map(\.id.description).joined(separator: " ")
                simulation.fail(
                    "\(connection.label) is not done: up \(connection.isUp), streams \(open), waiting \(connection.waiting.count)"
                        + ", \(connection.node.settings.configuration.congestionControl), \(path(of: connection))"
                )
            }
        }
    }

    private func path(of connection: SimulatedConnection) -> String {
        guard let path = connection.core?.pathStatistics else { return "no path" }
        return "\(path.bytesInFlight) of \(path.congestionWindow) bytes in flight, \(path.smoothedRoundTrip) round trip"
    }

    private var isAllDone: Bool {
        pendingDials == 0 && dialed.allSatisfy { $0.isOver || isDone($0) }
            && servers.allSatisfy { $0.connections.allSatisfy { $0.isOver || isDone($0) } }
    }

    private var everyone: [SimulatedConnection] { dialed + servers.flatMap(\.connections) }

    /// Half-open connections of copies or of clients that have gone on are not waited for.
    private func isDone(_ connection: SimulatedConnection) -> Bool {
        connection.handshake == nil ? connection.isServer : connection.isSettled
    }

    // MARK: nodes

    private func addNodes() throws {
        let link = drawLink()
        for index in 0..<generator.pick(1...2) {
            var settings = drawSettings()
            settings.uplink.latency = .zero
            let server = try simulation.addNode("server\(index)", settings)
            server.onAccept = { [self] in accepted($0) }
            servers.append(server)
        }
        for index in 0..<generator.pick(1...4) {
            var settings = drawSettings()
            settings.accepts = generator.chance(0.2)
            settings.cipherSuites = generator.pick(from: [CipherSuite.allCases, [.chaCha20], [.aes256]])
            settings.uplink = link
            settings.downlink = link
            clients.append(try simulation.addNode("client\(index)", settings))
        }
    }

    private func drawLink() -> LinkConditions {
        var link = LinkConditions()
        link.latency = .microseconds(generator.pick(from: [50, 500, 5_000, 15_000, 50_000, 200_000]))
        if generator.chance(0.5) { link.jitter = link.latency * generator.pick(0.0...0.5) }
        if generator.chance(0.5) { link.loss = generator.pick(from: [0.001, 0.01, 0.03, 0.1, 0.2]) }
        if generator.chance(0.3) { link.corruption = generator.pick(from: [0.001, 0.02, 0.1]) }
        if generator.chance(0.3) { link.duplication = generator.pick(0.0...0.2) }
        if generator.chance(0.3) {
            link.reordering = generator.pick(0.0...0.3)
            link.reorderingDelay = .microseconds(generator.pick(10...30_000))
        }
        if generator.chance(0.5) {
            link.bitsPerSecond = Double(generator.pick(from: [1, 5, 10, 50, 500])) * 1e6
            link.queueBytes = generator.pick(from: [15_000, 64_000, 500_000])
        }
        if generator.chance(0.3) { link.maximumPayload = generator.pick(1200...1500) }
        if generator.chance(0.3) { link.congestionMarking = generator.pick(0.0...0.1) }
        link.clearsECN = generator.chance(0.1)
        if generator.chance(0.15) {
            // Not whole seconds: probe timeouts that double to multiples of the period meet every blackhole for ever.
            link.blackhole = .init(
                start: .milliseconds(generator.pick(0...3000)),
                period: .milliseconds(generator.pick(5000...10_000)),
                length: .milliseconds(generator.pick(100...2000))
            )
        }
        simulation.isImpaired =
            link.loss > 0 || link.corruption > 0 || link.duplication > 0 || link.reordering > 0 || link.blackhole != nil
            || link.bitsPerSecond != nil || link.jitter > .zero
        isHarsh = link.loss + link.corruption > 0.05 || link.blackhole != nil
        isSlow = link.latency > .milliseconds(100) && link.loss + link.corruption > 0.01
        if isHarsh || isSlow { most = 50_000 }
        return link
    }

    private func drawSettings() -> NodeSettings {
        var settings = NodeSettings()
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.idle = .seconds(generator.pick(20...60))
        configuration.keepAliveInterval =
            generator.chance(0.7) ? configuration.timeouts.idle / generator.pick(2...4) : nil
        configuration.congestionControl = generator.pick(from: [.cubic, .cubic, .reno, .bbr])
        configuration.streams.initialInboundCredit = generator.pick(from: [1, 5, 100])
        if generator.chance(0.5) {
            configuration.flowControl.streamWindow = generator.pick(from: [4 << 10, 64 << 10, 1 << 20])
            configuration.flowControl.connectionWindow = max(
                configuration.flowControl.streamWindow,
                generator.pick(from: [16 << 10, 256 << 10, 2 << 20])
            )
            configuration.flowControl.autoTuning = generator.chance(0.5)
        }
        configuration.maxDatagramFrameSize = generator.pick(from: [0, 100, 65_535])
        configuration.endpoint.retry = generator.pick(from: [.never, .always, .aboveRate(1000), .aboveRate(1)])
        if usesVersion2 { configuration.versions = [.v2, .v1] }
        settings.configuration = configuration
        settings.certificateKey = generator.pick(from: [.ed25519, .p256])
        settings.maxSegments = generator.pick(from: [1, 2, 10, 44])
        if generator.chance(0.2) { settings.readingDelay = .milliseconds(generator.pick(1...100)) }
        settings.downlink.latency = .zero
        return settings
    }

    // MARK: connections and streams

    private func planDial(from client: SimulatedNode, to server: SimulatedNode) {
        pendingDials += 1
        let isWrong = generator.chance(0.03)
        simulation.after(.milliseconds(generator.pick(0...3000))) { [self] in
            pendingDials -= 1
            guard client.isPresent else { return }
            do {
                let connection = try simulation.dial(
                    from: client,
                    to: server,
                    expecting: isWrong ? client.identity.peerID : nil
                )
                if isWrong { connection.allowed = [.transport] }
                excuse(connection)
                if !server.isPresent { connection.mayEndEarly = true }
                dialed.append(connection)
                connection.onDatagram = { [self] in received($0, on: $1) }
                for _ in 0..<generator.pick(0...12) { planStream(on: connection) }
                planExtras(on: connection)
                if generator.chance(0.1) { planClose(of: connection) }
            } catch {
                simulation.fail("a dial failed: \(error)")
            }
        }
    }

    private func accepted(_ connection: SimulatedConnection) {
        // A client that expects somebody else refuses with an alert.
        connection.allowed = [.transport]
        excuse(connection)
        connection.onDatagram = { [self] in received($0, on: $1) }
        connection.onEvents = { [self] connection in
            guard connection.handshake != nil else { return }
            connection.onEvents = nil
            connection.allowed.remove(.transport)
            excuse(connection)
            for _ in 0..<generator.pick(0...4) { planStream(on: connection) }
            planExtras(on: connection)
            if generator.chance(0.03) { planClose(of: connection) }
        }
    }

    /// On a bad network a handshake or a connection may come to its deadline; whose other side did before learns it by a reset.
    private func excuse(_ connection: SimulatedConnection) {
        guard isHarsh || isSlow else { return }
        connection.allowed.formUnion([.handshakeTimeout, .idleTimeout, .statelessReset])
    }

    private func planStream(on connection: SimulatedConnection) {
        var plan = StreamPlan(request: drawLength(), response: drawLength())
        if generator.chance(0.15) {
            plan.abort = .init(
                half: generator.chance(0.5) ? .sending : .receiving,
                after: .microseconds(generator.pick(0...500_000))
            )
        }
        simulation.after(.milliseconds(generator.pick(0...2000))) { [self, unowned connection] in
            guard connection.node.isPresent else { return }
            simulation.open(plan, on: connection)
        }
    }

    /// Short ones, long ones, and none at all.
    private func drawLength() -> Int {
        switch generator.pick(0...5) {
        case 0: 0
        case 1, 2: generator.pick(1...100)
        case 3, 4: generator.pick(100...20_000)
        default: generator.pick(20_000...(size == .full ? most : max(20_000, most / 4)))
        }
    }

    private func planClose(of connection: SimulatedConnection) {
        let code = UInt64(generator.pick(0...0xffff))
        simulation.after(.milliseconds(generator.pick(0...3000))) { [self, unowned connection] in
            excuseLostClose(of: connection)
            simulation.close(connection, code: code, reason: "by chance")
        }
    }

    /// Where packets are lost the word of the close can be, too. Then the other side has streams open and learns of it late: by
    /// a reset when it sends something, by silence when it waits.
    private func excuseLostClose(of connection: SimulatedConnection) {
        guard simulation.isImpaired, let peer = connection.handshake?.peer.peerID else { return }
        let here = connection.node.identity.peerID
        for other in everyone where other.node.identity.peerID == peer && other.handshake?.peer.peerID == here {
            other.allowed.formUnion([.idleTimeout, .statelessReset])
        }
    }

    // MARK: moves and failures

    /// The older library keeps a connection on its first path.
    var isAbleToMigrate: Bool { !QuicVersion.libraryVersion.hasPrefix("0.") }

    private func planMoves() {
        guard isAbleToMigrate, generator.chance(0.25) else { return }
        let client = generator.pick(from: clients)
        simulation.isImpaired = true
        for _ in 0..<generator.pick(1...3) {
            let isPort = generator.chance(0.5)
            simulation.after(.milliseconds(generator.pick(100...8000))) { [self] in
                guard client.isPresent else { return }
                // A client whose address changes before the server has its last message is a new one to it.
                for connection in client.connections where connection.confirmedAt == nil {
                    connection.mayEndEarly = true
                    excuseOtherSide(of: connection)
                }
                excuseSilence(of: client)
                if isPort { simulation.rebindPort(of: client) } else { simulation.rebindAddress(of: client) }
            }
        }
    }

    /// The client does not know that the server has all it needs, and what it says from elsewhere counts for nothing.
    private func excuseOtherSide(of connection: SimulatedConnection) {
        let here = connection.node.identity.peerID
        for other in servers.flatMap(\.connections) where other.handshake?.peer.peerID == here {
            other.allowed.insert(.idleTimeout)
        }
    }

    /// A server that cannot validate the new path goes back to the old one, where nobody is. A client that waits for an answer
    /// and sends no keep-alive does not learn of it.
    private func excuseSilence(of client: SimulatedNode) {
        guard client.settings.configuration.keepAliveInterval == nil else { return }
        for connection in client.connections { connection.allowed.insert(.idleTimeout) }
        for connection in servers.flatMap(\.connections)
        where connection.handshake == nil || connection.handshake?.peer.peerID == client.identity.peerID {
            connection.allowed.insert(.idleTimeout)
        }
    }

    private func planFailures() {
        guard generator.chance(0.15) else { return }
        let isRestart = generator.chance(0.5)
        let node = generator.pick(from: generator.chance(0.5) ? servers : clients)
        simulation.isImpaired = true
        simulation.after(.milliseconds(generator.pick(100...5000))) { [self] in
            // Whoever talks to it learns of it late, by a reset or by silence.
            for other in simulation.nodes where other !== node {
                for connection in other.connections { connection.mayEndEarly = true }
            }
            do {
                if isRestart { try simulation.restart(node) } else { try simulation.vanish(node) }
            } catch {
                simulation.fail("a node did not start again: \(error)")
            }
        }
    }
}
