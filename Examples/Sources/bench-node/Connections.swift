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
        let transport = try makeTransport(.ed25519(), options)
        var figures: [String: Double] = [:]
        // A transport that does not listen dials from one socket, and so on one event loop: that of its first connection.
        let first = try await transport.dialQuic(target)
        await first.close(code: .none, reason: "")
        for level in try options.integers("concurrency", [1, 32]) {
            figures["\(level)"] = try await perSecond(level, for: seconds, on: first.taskExecutor) { _ in
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
        return try await withHost(options) { host in
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
    /// it waits for a line. `connections=N`, `streams=S` on each of the last `busy=B`; `spread=1` takes another loopback
    /// address for every few peers, for listeners that count by address. The first step has 20 connections, so that what
    /// everybody allocates once is there.
    ///
    /// With `levels=20,1000,10000` it also measures, when so many are connected, what one of them can do for `seconds=S`.
    /// Figures: one-byte requests answered per second, and new streams with an echo, at each level.
    ///
    /// Connections that this process has no descriptors for are another's (``Companion``), which opens them last.
    static func idle(_ address: String, _ options: Options) async throws -> [String: Double] {
        let (count, each) = (try options.integer("connections", 1000), try options.integer("streams", 0))
        let busy = try options.integer("busy", count)
        let seconds = try options.number("seconds", 0.3)
        let levels = try options.integers("levels", [])
        let isPing = options.text("protocol", "echo") == "ping"
        let spreads = try options.integer("spread", 0) == 1
        let peers = try Peers(
            address,
            name: isPing ? PingProtocol.name : EchoProtocol.name,
            spreads: spreads,
            firstNumber: try options.integer("block", 0) * 100_000
        )
        let others = max(0, count + Peers.firstStep - Companion.room)
        let companion = others > 0 ? try Companion(address, connections: others, spreads: spreads) : nil
        try await companion?.waitUntilReady()
        var figures: [String: Double] = [:]
        func measure(at level: Int) async throws {
            guard levels.contains(level) else { return }
            figures["requests at \(level)"] = try await peers.requestsPerSecond(for: seconds)
            figures["streams at \(level)"] = try await peers.streamsPerSecond(for: seconds)
        }
        try await peers.connect(Peers.firstStep)
        try await peers.openStreams(1, on: 1)
        try await measure(at: Peers.firstStep)
        say("ready 0 0")
        await readLine()
        var connected = 0
        for level in levels.filter({ Peers.firstStep < $0 && $0 < count }) + [count] {
            let own = min(level, count - others)
            try await peers.connect(own - connected)
            connected = own
            if level == count {
                companion?.goOn()
                try await companion?.waitUntilReady()
            }
            try await measure(at: level)
        }
        say("ready \(count) 0")
        await readLine()
        if each > 0 {
            try await peers.openStreams(each, on: busy)
            say("ready \(count) \(each * busy)")
            await readLine()
        }
        return figures
    }
}

/// Many hosts in one process, each with a connection to the listener.
actor Peers {
    private let target: Multiaddr
    private let name: String
    private let spreads: Bool
    /// The number of the first of them, from which its source address follows.
    private let firstNumber: Int
    private var hosts: [(host: BasicHost, peer: PeerID)] = []
    private var streams: [NetStream] = []
    private var running: [Task<Void, any Error>] = []
    /// Peers of one source address.
    private static let peersPerAddress = 4
    /// Connections that are there before anything is measured.
    static let firstStep = 20

    init(_ address: String, name: String, spreads: Bool, firstNumber: Int) throws {
        target = try Multiaddr(parsing: address)
        self.name = name
        self.spreads = spreads
        self.firstNumber = firstNumber
    }

    /// So many more connections, some at once.
    func connect(_ count: Int) async throws {
        let begin = firstNumber + hosts.count
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
        let host = try BenchNode.makeHost(Options([String]()), connections: 1)
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

    /// Messages of one byte there and back per second, on one stream of the first connection.
    func requestsPerSecond(for seconds: Double) async throws -> Double {
        let (host, peer) = hosts[0]
        let stream = try await host.newStream(to: peer, protocols: [name])
        let rate = try await perSecond(1, for: seconds, on: stream.connection.taskExecutor) { _ in
            try await stream.write([7])
            _ = try await stream.readExactly(1)
        }
        try await stream.close()
        return rate
    }

    /// New streams with one byte there and back per second, one after another on the first connection.
    func streamsPerSecond(for seconds: Double) async throws -> Double {
        let (host, peer) = hosts[0]
        let name = name
        @Sendable func once() async throws -> (any TaskExecutor)? {
            let stream = try await host.newStream(to: peer, protocols: [name])
            try await stream.write([7])
            _ = try await stream.readExactly(1)
            try await stream.close()
            return stream.connection.taskExecutor
        }
        let place = try await once()
        return try await perSecond(1, for: seconds, on: place) { _ in _ = try await once() }
    }
}
