import Libp2pTLS
import PeerID

@testable import QuicCore

/// One endpoint in memory, with what its connections reported.
final class CoreNode {
    let identity: PrivateKey
    let address: NetworkAddress
    let endpoint: EndpointCore
    var events: [ConnectionHandle: [ConnectionEvent]] = [:]
    var opened: [ConnectionCore] = []
    /// Bytes of each stream that arrived, in order.
    var received: [StreamID: [UInt8]] = [:]
    var ended: Set<StreamID> = []
    /// Whether bytes are given back as credit at once.
    var consumes = true

    init(
        identity: PrivateKey = .ed25519(),
        port: UInt16,
        seed: UInt64,
        configuration: QuicConfiguration = .defaults,
        accepts: Bool = true,
        tls: TLSConfiguration = .defaults,
        keySeed: UInt64? = nil,
        budget: ConnectionBudget? = nil,
        group: EndpointGroup? = nil
    ) throws {
        self.identity = identity
        address = .ip4(127, 0, 0, 1, port: port)
        let key = [UInt8](repeating: UInt8(truncatingIfNeeded: keySeed ?? seed), count: 32)
        endpoint = EndpointCore(
            configuration: configuration,
            tls: try TLSContext(identity: identity, configuration: tls),
            identifiers: try ServerConnectionIDs(staticKey: key, owner: 0),
            budget: budget,
            group: group,
            random: SeededGenerator(seed: seed)
        )
        endpoint.acceptsConnections = accepts
    }

    /// A node with an endpoint that was made elsewhere.
    init(_ identity: PrivateKey, port: UInt16, endpoint: EndpointCore) {
        self.identity = identity
        address = .ip4(127, 0, 0, 1, port: port)
        self.endpoint = endpoint
    }

    func events(of core: ConnectionCore) -> [ConnectionEvent] { events[core.handle] ?? [] }
}

/// Nodes joined by a network in memory, on virtual time, in one thread.
final class CoreNetwork {
    struct Packet {
        var bytes: [UInt8]
        var from: NetworkAddress
        var to: NetworkAddress
        var due: UInt64
        var order: Int
    }

    var now: UInt64 = 1_000_000_000
    let latency: UInt64
    var nodes: [NetworkAddress: CoreNode] = [:]
    var inFlight: [Packet] = []
    var order = 0
    /// Says what becomes of a datagram: drop it (`nil`), or change it.
    var filter: (Packet) -> Packet? = { $0 }
    var delivered = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 16)

    init(latency: UInt64 = 1_000_000, _ nodes: CoreNode...) {
        self.latency = latency
        for node in nodes { self.nodes[node.address] = node }
    }

    deinit { buffer.deallocate() }

    func send(_ bytes: [UInt8], from: NetworkAddress, to: NetworkAddress) {
        order += 1
        let packet = Packet(bytes: bytes, from: from, to: to, due: now + latency, order: order)
        guard let kept = filter(packet) else { return }
        // In the order of arrival: nearly always the last one.
        let index = inFlight.lastIndex { ($0.due, $0.order) < (kept.due, kept.order) }
        inFlight.insert(kept, at: index.map { $0 + 1 } ?? 0)
    }

    /// Drains one connection as the driver does: events, then datagrams.
    func service(_ core: ConnectionCore, of node: CoreNode) {
        while let event = core.nextEvent() {
            node.events[core.handle, default: []].append(event)
            if case .streamData(let id, let bytes, let isEnd) = event {
                node.received[id, default: []] += bytes
                if isEnd { node.ended.insert(id) }
                if node.consumes { core.consumed(bytes.count, on: id) }
            }
        }
        while let batch = core.writeBatch(into: buffer, maxSegments: 44, now: now) {
            var offset = 0
            while offset < batch.count {
                let end = min(offset + batch.segmentSize, batch.count)
                send(Array(buffer[offset..<end]), from: batch.local, to: batch.remote)
                offset = end
            }
        }
        node.endpoint.synchronize(core)
        // Writing can fail the connection, and that is an event too.
        while let event = core.nextEvent() { node.events[core.handle, default: []].append(event) }
        if core.isFinished { node.endpoint.remove(core) }
    }

    /// Has a connection send more than a packet takes, again and again for five seconds, so that path MTU discovery finds out
    /// what the path carries. Returns how many bytes that were.
    @discardableResult
    func discoverPathSize(_ core: ConnectionCore, of node: CoreNode) throws -> Int {
        guard let stream = try core.openStream() else { return 0 }
        let piece = [UInt8](repeating: 9, count: 10_000)
        for _ in 0..<20 {
            core.send([SendSegment(copying: piece)].compactMap { $0 }, isEnd: false, on: stream)
            service(core, of: node)
            run(seconds: 0.25)
        }
        return 20 * piece.count
    }

    /// Delivers the next datagram or fires the next timer. Returns false when nothing is left to happen before `limit`.
    func step(limit: UInt64) -> Bool {
        let timer = nodes.values.flatMap { node in node.endpoint.allConnections.map { (node, $0) } }
            .compactMap { node, core in core.nextDeadline.map { ($0, node, core) } }
            .min { $0.0 < $1.0 }
        let packetTime = inFlight.first?.due ?? .max
        let timerTime = timer?.0 ?? .max
        guard min(packetTime, timerTime) <= limit else { return false }
        if packetTime <= timerTime, !inFlight.isEmpty {
            let datagram = inFlight.removeFirst()
            now = max(now, datagram.due)
            delivered += 1
            guard let node = nodes[datagram.to] else { return true }
            deliver(datagram.bytes, to: node, from: datagram.from, at: datagram.to)
        } else if let timer {
            now = max(now, timer.0)
            timer.2.handleTimer(now: now)
            service(timer.2, of: timer.1)
        }
        return true
    }

    func deliver(_ bytes: [UInt8], to node: CoreNode, from: NetworkAddress, at local: NetworkAddress? = nil) {
        let local = local ?? node.address
        let outcome = bytes.withUnsafeBytes {
            node.endpoint.receive($0, from: from, to: local, ecn: 0, now: now)
        }
        switch outcome {
        case .connection(let core): service(core, of: node)
        case .opened(let core):
            node.opened.append(core)
            service(core, of: node)
        case .reply(let bytes): send(bytes, from: local, to: from)
        case .dropped, .elsewhere: break
        }
    }

    /// Runs until `condition` holds or `seconds` of virtual time are over.
    @discardableResult
    func run(seconds: Double, until condition: () -> Bool = { false }) -> Bool {
        let limit = now + UInt64(seconds * 1e9)
        while !condition() {
            if !step(limit: limit) {
                now = max(now, limit)
                return condition()
            }
        }
        return true
    }

    func dial(from client: CoreNode, to server: CoreNode, expecting: PeerID?) throws -> ConnectionCore {
        let core = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: expecting,
            now: now
        )
        service(core, of: client)
        return core
    }
}

extension [ConnectionEvent] {
    var handshake: HandshakeResult? {
        for case .handshakeCompleted(let result) in self { return result }
        return nil
    }

    var isConfirmed: Bool {
        contains { if case .handshakeConfirmed = $0 { true } else { false } }
    }

    var termination: ConnectionTermination? {
        for case .terminated(let end) in self { return end }
        return nil
    }
}
