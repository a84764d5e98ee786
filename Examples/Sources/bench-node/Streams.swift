import Host
import NetStream
import PeerID

/// Cases about the streams of one connection.
extension BenchNode {
    /// `streams=N` streams at once, `bytes=B` from the listener on each. Figures: MiB/s of all together, from the first
    /// stream's opening to the last one's end.
    static func streams(_ address: String, _ options: Options) async throws -> [String: Double] {
        let (count, bytes) = (try options.integer("streams", 100), try options.integer("bytes", 1 << 20))
        return try await withHost(options) { host in
            let peer = try await connect(host, address)
            _ = try await host.perf(peer, upload: 0, download: 1)
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<count {
                    group.addTask { _ = try await host.perf(peer, upload: 0, download: UInt64(bytes)) }
                }
                try await group.waitForAll()
            }
            let seconds = (ContinuousClock.now - start).inSeconds
            return ["rate": Double(count * bytes) / Double(1 << 20) / seconds]
        }
    }

    /// Requests of `sizes=A,B` bytes that are answered with as many, on `concurrency=C,D` echo streams of one connection, each
    /// pair for `seconds=S`. Figures: answers per second, by `SIZExCONCURRENCY`.
    static func request(_ address: String, _ options: Options) async throws -> [String: Double] {
        let (sizes, levels) = (
            try options.integers("sizes", [1, 100, 10 << 10]), try options.integers("concurrency", [1, 32, 256])
        )
        let seconds = try options.number("seconds", 0.3)
        return try await withHost(options) { host in
            let peer = try await connect(host, address)
            var figures: [String: Double] = [:]
            var streams: [NetStream] = []
            for level in levels {
                while streams.count < level {
                    let stream = try await host.newStream(to: peer, protocols: [EchoProtocol.name])
                    // The listener gives credit for more streams only when it has seen this one.
                    try await stream.write([7])
                    _ = try await stream.readExactly(1)
                    streams.append(stream)
                }
                for size in sizes {
                    // Nobody pays for a first time: buffers, windows, the negotiation that was lazy.
                    _ = try await exchange(size, on: streams.prefix(level), for: seconds / 5)
                    figures["\(size)x\(level)"] = try await exchange(size, on: streams.prefix(level), for: seconds)
                }
            }
            return figures
        }
    }

    /// Answers per second of messages that go there and back on each stream, one at a time.
    private static func exchange(
        _ size: Int,
        on streams: ArraySlice<NetStream>,
        for seconds: Double
    ) async throws -> Double {
        let message = [UInt8](repeating: 7, count: size)
        return try await perSecond(streams.count, for: seconds, on: streams.first?.connection.taskExecutor) { index in
            let stream = streams[streams.startIndex + index]
            try await stream.write(message)
            guard try await stream.readExactly(size).count == size else { throw Failed("the answer is short") }
        }
    }

    /// Streams that are opened, negotiated, used for one message there and back, and closed, `concurrency=C,D` at once. With
    /// `protocol=ping` the message is a ping's 32 bytes, for listeners without an echo. Figures: streams per second.
    static func open(_ address: String, _ options: Options) async throws -> [String: Double] {
        let levels = try options.integers("concurrency", [1, 32])
        let seconds = try options.number("seconds", 0.5)
        let isPing = options.text("protocol", "echo") == "ping"
        let (name, size) = isPing ? (PingProtocol.name, PingProtocol.payloadSize) : (EchoProtocol.name, 1)
        return try await withHost(options) { host in
            let peer = try await connect(host, address)
            let message = [UInt8](repeating: 7, count: size)
            @Sendable func once() async throws -> (any TaskExecutor)? {
                let stream = try await host.newStream(to: peer, protocols: [name])
                try await stream.write(message)
                guard try await stream.readExactly(size) == message else { throw Failed("the echo is another") }
                try await stream.close()
                return stream.connection.taskExecutor
            }
            var place: (any TaskExecutor)?
            for _ in 0..<20 { place = try await once() }
            var figures: [String: Double] = [:]
            for level in levels {
                figures["\(level)"] = try await perSecond(level, for: seconds, on: place) { _ in _ = try await once() }
            }
            return figures
        }
    }

    /// Round trips of the ping protocol: `count=N` when nothing else happens, then for as long as `bytes=B` are sent by the
    /// listener on another stream of the connection. Figures: microseconds.
    static func ping(_ address: String, _ options: Options) async throws -> [String: Double] {
        let (count, bytes) = (try options.integer("count", 2000), try options.integer("bytes", 256 << 20))
        return try await withHost(options) { host in
            let peer = try await connect(host, address)
            let session = try await host.pingSession(with: peer)
            let first = try await host.newStream(to: peer, protocols: [PingProtocol.name])
            let place = first.connection.taskExecutor
            try await first.close()
            for _ in 0..<min(count, 100) { _ = try await session.ping() }
            let idle = try await withTaskExecutorPreference(place) {
                var times: [Double] = []
                for _ in 0..<count { times.append(try await session.ping().inSeconds * 1e6) }
                return times
            }
            var figures = ["median": quantile(idle, 0.5), "p99": quantile(idle, 0.99)]
            guard bytes > 0 else { return figures }
            let load = Task { _ = try await host.perf(peer, upload: 0, download: UInt64(bytes)) }
            let isLoading = Task { try await load.value }
            let loaded = try await pings(session, on: place, while: isLoading)
            figures["loaded median"] = quantile(loaded, 0.5)
            figures["loaded p99"] = quantile(loaded, 0.99)
            return figures
        }
    }

    private static func pings(
        _ session: PingSession,
        on place: (any TaskExecutor)?,
        while load: Task<Void, any Error>
    ) async throws -> [Double] {
        try await withThrowingTaskGroup(of: [Double].self) { group in
            group.addTask(executorPreference: place) {
                var times: [Double] = []
                while !Task.isCancelled {
                    guard let time = try? await session.ping() else { break }
                    times.append(time.inSeconds * 1e6)
                }
                return times
            }
            try await load.value
            group.cancelAll()
            return try await group.next() ?? []
        }
    }
}
