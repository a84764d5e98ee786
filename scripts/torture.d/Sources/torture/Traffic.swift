import NIOCore
import NIOPosix
import NetStream
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

extension Scenario {
    /// What happens to connections while they carry bytes through the proxy.
    static let traffic = [
        Scenario(
            name: "transfer",
            threshold: "2, 3 and 5 MB at once, each way, at 50 Mbit/s and 0.1 % loss: arrive, within 60 s",
            run: transfer
        ),
        Scenario(
            name: "key-update",
            threshold: "2 MiB up and down at 1 % loss, with new keys every 100 ms: arrive, after 3 updates at least",
            run: keyUpdate
        ),
        Scenario(
            name: "migration",
            threshold: "4 MiB down, the client moves to another socket twice meanwhile: arrive, within 60 s",
            run: migration
        ),
        Scenario(
            name: "cross-traffic",
            threshold:
                "5 MiB of two clients each, and 2 Mbit/s of others on one link: 70 % of what is left, none starves",
            run: crossTraffic
        ),
        Scenario(
            name: "ecn",
            threshold: "3 MiB at 50 Mbit/s: a link that marks 2 % (CE) and loses nothing slows the sender down",
            run: ecn
        ),
    ]

    private static func transfer(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        let link = LinkConditions.usual {
            $0.bitsPerSecond = 50e6
            $0.loss = 0.001
        }
        let stage = try await Stage(setting, link: link)
        let sizes = [2_000_000, 3_000_000, 5_000_000].map { $0 / setting.divisor }
        let (_, time) = try await timed {
            let connection = try await stage.client.dialQuic(stage.address)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for size in sizes {
                    group.addTask { try await connection.upload(size) }
                    group.addTask { try await connection.download(size) }
                }
                try await group.waitForAll()
            }
        }
        outcome.figures = [time]
        outcome.demand(time <= 60, "it took \(fixed(time)) s")
        outcome.note =
            "\(fixed(Double(sizes.reduce(0, +)) * 8e-6 / time)) Mbit/s each way; \(try await stage.close(&outcome).summary)"
        return outcome
    }

    private static func keyUpdate(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        let stage = try await Stage(setting, link: .usual { $0.loss = 0.01 })
        let connection = try await stage.client.dialQuic(stage.address)
        let isOver = Counter()
        let loops = setting.loops
        let updating = Task {
            var updates = 0
            while isOver.value == 0 {
                // Refused while the peer has not acknowledged the one before.
                do throws(QuicError) {
                    try await connection.updateKeys()
                    updates += 1
                } catch {
                    guard error.code == .state else { throw error }
                }
                try await loops.pause(.milliseconds(100))
            }
            return updates
        }
        let (_, time) = try await timed {
            try await connection.upload(2 << 20)
            try await connection.download(2 << 20)
        }
        isOver.add(1)
        let updates = try await updating.value
        outcome.figures = [time]
        outcome.demand(updates >= 3, "only \(updates) updates of the keys")
        outcome.demand(time <= 60, "it took \(fixed(time)) s")
        outcome.note = "\(updates) updates; \(try await stage.close(&outcome).summary)"
        return outcome
    }

    private static func migration(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        guard !QuicVersion.libraryVersion.hasPrefix("0.") else {
            outcome.note = "not played: ngtcp2 \(QuicVersion.libraryVersion) keeps a connection on its first path"
            return outcome
        }
        let stage = try await Stage(setting, link: .usual)
        let connection = try await stage.client.dialQuic(stage.address)
        var addresses = [connection.localAddress]
        let start = ContinuousClock.now
        async let download: Void = connection.download(4 << 20)
        // 4 MiB take more than three seconds here: the moves are done before.
        for _ in 0..<2 {
            try await connection.migrate()
            addresses.append(connection.localAddress)
        }
        let moved = (ContinuousClock.now - start).inSeconds
        try await download
        let time = (ContinuousClock.now - start).inSeconds
        try await connection.upload(1 << 20)
        outcome.figures = [time]
        outcome.demand(Set(addresses).count == 3, "the client was at \(addresses)")
        outcome.demand(moved < time, "the moves were done after the transfer")
        outcome.demand(time <= 60, "it took \(fixed(time)) s")
        let statistics = try await stage.close(&outcome)
        outcome.demand(statistics.clients == 3, "the proxy saw \(statistics.clients) addresses of the client")
        outcome.note = "moved twice within \(fixed(moved)) s; \(statistics.summary)"
        return outcome
    }

    private static func crossTraffic(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        let stage = try await Stage(setting, link: .usual)
        let second = try stage.stranger()
        let connections = [
            try await stage.client.dialQuic(stage.address), try await second.dialQuic(stage.address),
        ]
        // A datagram of 1250 bytes every 5 ms, which the listener throws away: it is none of QUIC.
        guard let port = stage.proxy.address.port else { throw Failed("the proxy has no address") }
        let loop = setting.loops.client.next()
        let noise = try await loop.submit {
            let socket = NIOLoopBound(try RawSocket(), eventLoop: loop)
            let repeated = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(5)) { _ in
                socket.value.send([UInt8](repeating: 0, count: 1250), to: UInt16(port))
            }
            return NIOLoopBound((task: repeated, socket: socket), eventLoop: loop)
        }.get()
        let size = 5 << 20
        let start = ContinuousClock.now
        let ends = try await withThrowingTaskGroup(of: Double.self) { group in
            for connection in connections {
                group.addTask {
                    try await connection.upload(size)
                    return (ContinuousClock.now - start).inSeconds
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let others = try await loop.submit {
            noise.value.task.cancel()
            return noise.value.socket.value.bytesSent
        }.get()
        outcome.figures = ends
        let last = outcome.worst
        let first = ends.min() ?? 0
        // What the others really sent, headers included: a busy machine sends less.
        let left = 10e6 - Double(others) * 1278 / 1250 * 8 / last
        let share = Double(2 * size) * 8 / last / left
        outcome.demand(share >= 0.7, "only \(fixed(share * 100, 0)) % of what the other traffic leaves")
        outcome.demand(first >= 0.55 * last, "one starved: \(fixed(first)) s, \(fixed(last)) s")
        await second.close()
        outcome.note =
            "\(fixed(share * 100, 0)) % of the \(fixed(left / 1e6, 1)) Mbit/s that \(fixed(Double(others) * 8e-6 / last, 1)) "
            + "Mbit/s leave, in \(fixed(first)) and \(fixed(last)) s; \(try await stage.close(&outcome).summary)"
        return outcome
    }

    private static func ecn(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        var times: [Double] = []
        for share in [0, 0.02] {
            let link = LinkConditions.usual {
                $0.bitsPerSecond = 50e6
                $0.queueBytes = 4 << 20
                $0.congestionMarking = share
            }
            let stage = try await Stage(setting, link: link)
            let (_, time) = try await timed {
                let connection = try await stage.client.dialQuic(stage.address)
                try await connection.download(3 << 20)
            }
            times.append(time)
            let down = try await stage.close(&outcome).down
            outcome.demand(down.lost + down.overflowed == 0, "\(down.lost + down.overflowed) datagrams were lost")
            outcome.demand(
                down.markable > down.received * 3 / 4,
                "only \(down.markable) of \(down.received) datagrams take marks"
            )
            outcome.demand(share == 0 || down.marked > 5, "only \(down.marked) were marked")
            outcome.note = "\(down.marked) of \(down.markable) markable datagrams marked"
        }
        outcome.figures = times
        outcome.demand(times[1] > times[0], "marks slow nobody down: \(times)")
        outcome.note += "; \(fixed(times[0])) s without marks, \(fixed(times[1])) s with them"
        return outcome
    }
}
