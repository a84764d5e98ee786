import Host
import Multiaddr
import NetStream
import PeerID
import QuicTransport

/// Cases about connections.
extension BenchNode {
    /// Full mutual handshakes of one transport, confirmed by the listener and closed again, `concurrency=C,D` at once.
    /// Figures: handshakes per second.
    static func handshakes(_ address: String, _ options: Options) async throws -> [String: Double] {
        let seconds = try options.number("seconds", 0.5)
        let target = try Multiaddr(parsing: address)
        let transport = try makeTransport(.ed25519())
        var figures: [String: Double] = [:]
        for level in try options.integers("concurrency", [1, 32]) {
            figures["\(level)"] = try await perSecond(level, for: seconds) { _ in
                let connection = try await transport.dialQuic(target)
                await connection.close(code: .none, reason: "")
            }
        }
        await transport.close()
        return figures
    }

    /// The same with hosts: handshake and identify, one after another. Figures: connections per second.
    static func connects(_ address: String, _ options: Options) async throws -> [String: Double] {
        let seconds = try options.number("seconds", 0.5)
        let target = try Multiaddr(parsing: address)
        return try await withHost { host in
            [
                "1": try await perSecond(1, for: seconds) { _ in
                    let peer = try await host.connect(to: target)
                    _ = try await host.identify(peer)
                    await host.disconnect(from: peer)
                }
            ]
        }
    }

    /// Opens connections, each of a peer of its own, and then streams on them, and says after each step that it is there; then
    /// it waits for a line. `connections=N`, `streams=S` on each of the first `busy=B`; `spread=1` takes another loopback
    /// address for every few peers, for listeners that count by address.
    static func idle(_ address: String, _ options: Options) async throws -> [String: Double] {
        let (count, each) = (try options.integer("connections", 1000), try options.integer("streams", 0))
        let busy = try options.integer("busy", count)
        let spreads = try options.integer("spread", 0) == 1
        let isPing = options.text("protocol", "echo") == "ping"
        let peers = try await Peers(address, name: isPing ? PingProtocol.name : EchoProtocol.name, spreads: spreads)
        // What everybody allocates once is there before the first sample.
        try await peers.connect(20)
        try await peers.openStreams(1, on: 1)
        say("ready 0 0")
        await waitForLine()
        try await peers.connect(count)
        say("ready \(count) 0")
        await waitForLine()
        if each > 0 {
            try await peers.openStreams(each, on: busy)
            say("ready \(count) \(each * busy)")
            await waitForLine()
        }
        return [:]
    }

    /// Round trips of one echo stream while the listener has more and more idle connections: `levels=1,100,10000`. Figures:
    /// answers per second, and the listener's handshakes per second, at each level.
    static func growth(_ address: String, _ options: Options) async throws -> [String: Double] {
        let seconds = try options.number("seconds", 0.3)
        let peers = try await Peers(address, name: EchoProtocol.name, spreads: false)
        let target = try Multiaddr(parsing: address)
        return try await withHost { host in
            let peer = try await host.connect(to: target)
            let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
            var figures: [String: Double] = [:]
            var connected = 1
            for level in try options.integers("levels", [1, 100, 1000, 10_000]) {
                try await peers.connect(max(0, level - connected))
                connected = max(connected, level)
                figures["requests at \(level)"] = try await perSecond(1, for: seconds) { _ in
                    try await stream.write([7])
                    _ = try await stream.readExactly(1)
                }
                figures["streams at \(level)"] = try await perSecond(1, for: seconds) { _ in
                    let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
                    try await stream.write([7])
                    _ = try await stream.readExactly(1)
                    try await stream.close()
                }
            }
            return figures
        }
    }
}

/// Many hosts in one process, each with a connection to the listener.
actor Peers {
    private let target: Multiaddr
    private let name: String
    private let spreads: Bool
    private var hosts: [(host: BasicHost, peer: PeerID)] = []
    private var streams: [NetStream] = []
    private var running: [Task<Void, any Error>] = []
    /// Peers of one source address.
    private static let peersPerAddress = 4

    init(_ address: String, name: String, spreads: Bool) async throws {
        target = try Multiaddr(parsing: address)
        self.name = name
        self.spreads = spreads
    }

    /// So many more connections, some at once.
    func connect(_ count: Int) async throws {
        let begin = hosts.count
        let more = try await withThrowingTaskGroup(of: (BasicHost, PeerID, Task<Void, any Error>).self) { group in
            var all: [(BasicHost, PeerID, Task<Void, any Error>)] = []
            for index in 0..<count {
                if index >= 16, let one = try await group.next() { all.append(one) }
                group.addTask { [target, spreads] in
                    try await Self.connect(to: target, number: begin + index, spreads: spreads)
                }
            }
            for try await one in group { all.append(one) }
            return all
        }
        hosts += more.map { ($0.0, $0.1) }
        running += more.map(\.2)
    }

    private static func connect(
        to target: Multiaddr,
        number: Int,
        spreads: Bool
    ) async throws -> (BasicHost, PeerID, Task<Void, any Error>) {
        let host = try BenchNode.makeHost(connections: 1)
        let task = Task { try await host.run() }
        if spreads {
            // A dial leaves from a listening socket that fits, and so from its address.
            let block = number / peersPerAddress
            try await host.listen(
                on: try Multiaddr(parsing: "/ip4/127.1.\(block / 250).\(block % 250 + 1)/udp/0/quic-v1")
            )
        }
        return (host, try await connect(host, to: target), task)
    }

    /// An answer to identify shows that the listener's host has accepted the connection: without waiting for it, dials would
    /// outrun a listener that accepts more slowly than it shakes hands.
    private static func connect(_ host: BasicHost, to target: Multiaddr) async throws -> PeerID {
        let peer = try await host.connect(to: target)
        _ = try await host.identify(peer)
        return peer
    }

    /// So many streams on each of the last connections, each with one message there and back.
    func openStreams(_ each: Int, on count: Int) async throws {
        let message = [UInt8](repeating: 7, count: PingProtocol.payloadSize)
        for (host, peer) in hosts.suffix(count) {
            for _ in 0..<each {
                let stream = try await host.newStream(to: peer, protocols: [name])
                try await stream.write(message)
                guard try await stream.readExactly(message.count) == message else {
                    throw Failed("the echo is another")
                }
                streams.append(stream)
            }
        }
    }
}
