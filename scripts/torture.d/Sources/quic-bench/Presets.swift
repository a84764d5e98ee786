import NetStream
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

/// What each preset does differently from the default, measured in the four things that their names speak of. Fails when a
/// preset does not do what its name says.
enum Presets {
    private static let all: [(String, QuicConfiguration)] = [
        ("default", .defaults), ("highThroughput", .highThroughput), ("lowLatency", .lowLatency),
        ("manyStreams", .manyStreams), ("memoryConstrained", .memoryConstrained),
    ]

    static func print() async throws {
        let loops = Loops()
        var rows = [
            [
                "preset", "8 MiB at 80 ms round trip, MiB/s", "64 bytes there and back, ms (99 %)",
                "silent peer: gives up after, s", "streams at once", "a stalled stream, KiB",
            ]
        ]
        var figures: [String: Figures] = [:]
        note("bench presets: waiting for a silent peer, up to half a minute")
        let patience = try await withThrowingTaskGroup(of: (String, Double).self) { group in
            for (name, configuration) in all {
                group.addTask { (name, try await silence(configuration, loops)) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (name, configuration) in all {
            note("bench presets: \(name)")
            let throughput = try await throughput(configuration, loops)
            let latency = try await latency(configuration, loops)
            let streams = try await streams(configuration, loops)
            let stalled = try await stalledMemory(configuration, loops)
            figures[name] = Figures(
                throughput: throughput,
                patience: patience[name] ?? .infinity,
                streams: streams,
                stalled: stalled
            )
            rows.append([
                name, fixed(throughput, 1), "\(fixed(latency.median)) (\(fixed(latency.high)))",
                fixed(patience[name] ?? 0, 1),
                "\(streams)", fixed(stalled, 0),
            ])
        }
        printTable(rows)
        try await loops.close()
        try judge(figures)
    }

    /// What is judged of one preset.
    private struct Figures {
        var throughput: Double
        var patience: Double
        var streams: Int
        var stalled: Double
    }

    /// On a busy machine `highThroughput` was 1.9 times as fast as the default, and a stalled stream of `memoryConstrained` took a
    /// seventh.
    private static func judge(_ figures: [String: Figures]) throws {
        func of(_ name: String) throws -> Figures {
            guard let found = figures[name] else { throw Failed("\(name) was not measured") }
            return found
        }
        let usual = try of("default")
        var failures: [String] = []
        func demand(_ isSo: Bool, _ otherwise: String) { if !isSo { failures.append(otherwise) } }
        let (fast, quick) = (try of("highThroughput"), try of("lowLatency"))
        let (many, small) = (try of("manyStreams"), try of("memoryConstrained"))
        demand(
            fast.throughput >= 1.3 * usual.throughput,
            "highThroughput carries \(fixed(fast.throughput, 1)) MiB/s, the default \(fixed(usual.throughput, 1))"
        )
        demand(quick.patience <= 6, "lowLatency gives up after \(fixed(quick.patience, 1)) s, not within 6")
        demand(many.streams == 5000, "manyStreams has \(many.streams) streams at once, not 5000")
        demand(
            small.stalled <= usual.stalled / 4,
            "a stalled stream of memoryConstrained takes \(fixed(small.stalled, 0)) KiB, the default's "
                + fixed(usual.stalled, 0)
        )
        guard failures.isEmpty else { throw Failed("presets: " + failures.joined(separator: "; ")) }
    }

    /// One that has all the time in the world, so that it is always the client's deadline that counts.
    private static func service(_ configuration: QuicConfiguration, _ loops: Loops) async throws -> Service {
        var configuration = configuration
        configuration.timeouts.streamRead = nil
        configuration.timeouts.streamWrite = nil
        return try await Service(configuration, on: loops.server)
    }

    /// A service and a client with the same settings, and a connection.
    private static func withPair<Result>(
        _ configuration: QuicConfiguration,
        _ loops: Loops,
        link: LinkConditions? = nil,
        _ body: (QuicConnection) async throws -> Result
    ) async throws -> Result {
        let service = try await service(configuration, loops)
        var proxy: UDPProxy?
        if let link { proxy = try await loops.proxy(to: service, link, seed: 1) }
        let client = try loops.dialer(configuration)
        let connection = try await client.dialQuic(try service.dialAddress(by: proxy?.address))
        let result = try await body(connection)
        await client.close()
        await service.close()
        try await proxy?.close()
        return result
    }

    /// MiB per second of 8 MiB on a fresh connection whose path is long and fast: where windows count. Median of three.
    private static func throughput(_ configuration: QuicConfiguration, _ loops: Loops) async throws -> Double {
        var link = LinkConditions(delay: .milliseconds(40))
        link.queueBytes = 8 << 20
        var rates: [Double] = []
        for _ in 0..<3 {
            rates.append(
                try await withPair(configuration, loops, link: link) { connection in
                    let start = ContinuousClock.now
                    try await connection.download(8 << 20)
                    return 8 / (ContinuousClock.now - start).inSeconds
                }
            )
        }
        return rates.median
    }

    /// Milliseconds of a small request and its answer on one stream of the loopback interface.
    private static func latency(
        _ configuration: QuicConfiguration,
        _ loops: Loops
    ) async throws -> (median: Double, high: Double) {
        try await withPair(configuration, loops) { connection in
            let stream = try await connection.openEcho()
            var times: [Double] = []
            for _ in 0..<2000 {
                let start = ContinuousClock.now
                try await stream.exchange([UInt8](repeating: 1, count: 64))
                times.append((ContinuousClock.now - start).inSeconds * 1000)
            }
            times.sort()
            return (times.median, times[times.count * 99 / 100])
        }
    }

    /// Seconds until a read fails whose peer says nothing.
    private static func silence(_ configuration: QuicConfiguration, _ loops: Loops) async throws -> Double {
        try await withPair(configuration, loops) { connection in
            let stream = try await connection.openSilent()
            let start = ContinuousClock.now
            do {
                _ = try await stream.read()
            } catch let error as QuicError where error.code == .streamTimeout {
                return (ContinuousClock.now - start).inSeconds
            }
            throw Failed("a silent peer spoke")
        }
    }

    /// How many streams of one connection are open at once, each with an answer of the peer.
    private static func streams(_ configuration: QuicConfiguration, _ loops: Loops) async throws -> Int {
        var configuration = configuration
        // The limit shows as a wait for credit, and need not be waited for.
        configuration.timeouts.streamOpen = .seconds(1)
        return try await withPair(configuration, loops) { connection in
            var streams: [QuicStream] = []
            do {
                while streams.count < 10_000 {
                    let stream = try await connection.openEcho()
                    streams.append(stream)
                    try await stream.exchange([1])
                }
            } catch let error as QuicError where error.code == .streamTimeout || error.code == .streamLimit {}
            return streams.count
        }
    }

    /// Resident KiB, of both ends together, of a stream that is written to while its reader does not read. Of fifty
    /// connections with one such stream each.
    private static func stalledMemory(_ configuration: QuicConfiguration, _ loops: Loops) async throws -> Double {
        var configuration = configuration
        configuration.timeouts.streamWrite = .seconds(1)
        let service = try await service(configuration, loops)
        let client = try loops.dialer(configuration)
        let address = try service.dialAddress()
        var connections: [QuicConnection] = []
        for _ in 0..<50 {
            let connection = try await client.dialQuic(address)
            try await connection.echo()
            connections.append(connection)
        }
        let before = ProcessUsage.now().resident
        let streams = try await withThrowingTaskGroup(of: QuicStream.self) { group in
            for connection in connections {
                group.addTask {
                    // An echo whose answers nobody reads fills the buffers of both directions.
                    let stream = try await connection.openEcho()
                    do {
                        while true { try await stream.write([UInt8](repeating: 1, count: 16 << 10)) }
                    } catch let error as QuicError
                        where [.streamTimeout, .flowControlDeadlock, .sendMemoryExhausted].contains(error.code)
                    {}
                    return stream
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let after = ProcessUsage.now().resident
        withExtendedLifetime((connections, streams)) {}
        await client.close()
        await service.close()
        return Double(after - before) / 1024 / 50
    }
}
