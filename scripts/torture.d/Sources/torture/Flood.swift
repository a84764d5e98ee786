import NetStream
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

extension Scenario {
    static let hostile = [
        Scenario(
            name: "initial-flood",
            threshold:
                "100,000 Initials from 1,000 addresses: every dial beside them connects, memory at most 64 MiB more, "
                + "no more than 3 times the bytes sent back, nor to 50 that send one Initial each",
            run: flood
        ),
        Scenario(
            name: "amplification",
            threshold: "50 addresses that send one Initial and fall silent: each gets more than that, at most 3 times",
            run: amplification
        ),
        Scenario(
            name: "half-open",
            threshold:
                "2,000 handshakes begun and left: at most 512 are kept, a fresh client connects, all are forgotten",
            run: halfOpen
        ),
        Scenario(
            name: "junk",
            threshold: "after each kind of bad packet the process lives and a fresh client connects",
            run: junk
        ),
        Scenario(
            name: "retry-tokens",
            threshold:
                "of 50 tokens each: altered and from another port, all refused; cut short, all asked again; a fresh client connects",
            run: retryTokens
        ),
    ]

    /// Sockets on so many loopback addresses.
    private static func sources(_ count: Int) throws -> [RawSocket] {
        ProcessUsage.limitDescriptors(to: 20_000)
        return try (0..<count).map { try RawSocket(ip: 0x7f01_0001 + UInt32($0 / 200) << 8 + UInt32($0 % 200)) }
    }

    private static func flood(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        var generator = SeededGenerator(seed: setting.seed)
        let service = try await Service(.defaults, on: loops.server)
        let shared = 2000 / setting.divisor
        let genuine = try await Initials.capture(shared + 50, setting)
        let sources = try sources(1000)
        // The junk of the others earns no answer; what these send does.
        let silent = try (0..<50).map { try RawSocket(ip: 0x7f03_0001 + UInt32($0)) }
        let total = 100_000 / setting.divisor
        func send(_ index: Int) async {
            let source = sources[index % sources.count]
            // One in fifty is what a client would send. Each round over the addresses it is others' turn, so that all of
            // them open handshakes.
            let isGenuine = index % 50 == index / sources.count % 50
            source.send(isGenuine ? genuine[index / 50] : Initials.pretended(&generator), to: service.port)
            if index % 100 == 99 {
                // The answer comes from the listener's loop, so it waits for what the loop has to do.
                _ = await service.listener.statistics()
                for source in sources[(index % sources.count - 99)...(index % sources.count)] { source.drain() }
            }
        }
        try await freshClient(of: service, loops, setting.patient)
        let before = try await loops.restingUsage()
        var outcome = Outcome()
        // The beginning of it, once before, fills caches and tables.
        for index in 0..<total / 10 { await send(index) }
        outcome.demand(try await isEmpty(service, loops), "connections are left before all")
        let (heap, first) = (try await loops.restingUsage().heap, await service.listener.statistics())
        var peak = before.resident
        let isOver = Counter()
        let dialing = Task {
            var times: [Double] = []
            while isOver.value == 0 {
                let start = ContinuousClock.now
                try await freshClient(of: service, loops, setting.patient)
                times.append((ContinuousClock.now - start).inSeconds)
            }
            return times
        }
        for index in 0..<total {
            await send(index)
            if index % (total / silent.count) == 0 {
                let turn = index / (total / silent.count)
                silent[turn].send(genuine[shared + turn], to: service.port)
            }
            if index % 5000 == 4999 { peak = max(peak, ProcessUsage.now().resident) }
        }
        isOver.add(1)
        outcome.figures = try await dialing.value
        for source in sources { source.drain() }
        let isEmpty = try await isEmpty(service, loops)
        // Whatever their handshakes were sent has been sent now.
        for source in silent { source.drain() }
        let seen = await service.listener.statistics()
        let growth = Double(peak - before.resident) / 1_048_576
        let worstRatio = sources.map(\.answerRatio).max() ?? 0
        let answers = sources.reduce(0) { $0 + $1.bytesReceived }
        let sent = sources.reduce(0) { $0 + $1.bytesSent }
        outcome.demand(!outcome.figures.isEmpty, "no dial ended while the flood lasted")
        outcome.demand(
            seen.packetsReceived - first.packetsReceived >= total * 9 / 10,
            "the listener saw only \(seen.packetsReceived - first.packetsReceived) datagrams"
        )
        outcome.demand(growth <= 64, "resident memory grew by \(fixed(growth, 1)) MiB")
        outcome.demand(worstRatio <= 3, "an address got \(fixed(worstRatio)) times what it sent")
        outcome.demand(answers > 0, "nothing was answered, so nothing was counted")
        let ratios = silent.map(\.answerRatio)
        outcome.demand(
            ratios.allSatisfy { $0 <= 3 },
            "a silent address got \(fixed(ratios.max() ?? 0)) times what it sent"
        )
        outcome.demand(ratios.count { $0 > 0 } >= 45, "only \(ratios.count { $0 > 0 }) of 50 silent ones were answered")
        outcome.demand(isEmpty, "connections are left")
        let left = try await heapGrowth(above: heap, loops, &outcome)
        outcome.note =
            "dials beside the flood; \(seen.packetsReceived) datagrams seen, \(seen.retries) Retries, memory "
            + "+\(fixed(growth, 1)) MiB, heap +\(left) bytes after all, "
            + "answers \(fixed(Double(answers) / Double(sent))) of the bytes, at most "
            + "\(fixed(worstRatio)) for one address, \(fixed(ratios.max() ?? 0)) for a silent one"
        await service.close()
        return outcome
    }

    /// Without Retry, so that whole handshakes are on their way to whom nothing is known of.
    private static func amplification(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        var configuration = setting.patient
        configuration.endpoint.retry = .never
        // Probe timeouts enough to send many times as much.
        configuration.timeouts.inboundHandshake = .seconds(5)
        let service = try await Service(configuration, on: loops.server)
        let genuine = try await Initials.capture(50, setting)
        let sources = try sources(50)
        for (index, source) in sources.enumerated() { source.send(genuine[index], to: service.port) }
        var outcome = Outcome(unit: "×")
        outcome.demand(try await isEmpty(service, loops), "connections or their IDs are left")
        for source in sources { source.drain() }
        outcome.figures = sources.map(\.answerRatio)
        let (least, most) = (outcome.figures.min() ?? 0, outcome.figures.max() ?? 0)
        outcome.demand(least > 1, "the least is \(fixed(least)) times")
        outcome.demand(most <= 3, "the most is \(fixed(most)) times")
        try await freshClient(of: service, loops, setting.patient)
        outcome.note = "bytes back for each one sent: \(fixed(least)) to \(fixed(most))"
        await service.close()
        return outcome
    }

    /// Whether every connection goes within the deadlines of handshakes, and every connection ID with it.
    static func isEmpty(_ service: Service, _ loops: Loops) async throws -> Bool {
        try await loops.wait(atMost: .seconds(60)) {
            let counts = await service.listener.statistics()
            return counts.active == 0 && counts.pending == 0 && counts.connectionIDs == 0
        }
    }

    private static func halfOpen(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        let count = 2000 / setting.divisor
        let genuine = try await Initials.capture(count, setting)
        let sources = try sources(min(1000, count))
        var outcome = Outcome()
        // By default half of the places are for those who prove their address; without Retry all can be taken.
        for (name, retry) in [("default", QuicConfiguration.defaults.endpoint.retry), ("without Retry", .never)] {
            var configuration = QuicConfiguration.defaults
            configuration.endpoint.retry = retry
            let service = try await Service(configuration, on: loops.server)
            try await freshClient(of: service, loops, setting.patient)
            let before = try await loops.restingUsage()
            var most = 0
            func begin(_ handshakes: Range<Int>) async {
                for index in handshakes {
                    sources[index % sources.count].send(genuine[index], to: service.port)
                    if index % 20 == 19 { most = max(most, await service.listener.statistics().pending) }
                }
            }
            // Half of them, once before, fill caches and tables.
            await begin(0..<count / 2)
            outcome.demand(try await isEmpty(service, loops), "\(name): handshakes are left before all")
            let heap = try await loops.restingUsage().heap
            let first = await service.listener.statistics()
            await begin(0..<count)
            // The last of them may still wait in the socket.
            _ = try await loops.wait(atMost: .seconds(2)) {
                let counts = await service.listener.statistics()
                most = max(most, counts.pending)
                return counts.packetsReceived >= first.packetsReceived + UInt64(count)
            }
            let peak = ProcessUsage.now()
            let start = ContinuousClock.now
            // Without Retry it has to wait until places become free.
            try await freshClient(of: service, loops, setting.patient)
            let time = (ContinuousClock.now - start).inSeconds
            outcome.figures.append(time)
            let counts = await service.listener.statistics()
            outcome.demand(most >= min(count / 2, 250), "\(name): only \(most) were ever half open")
            outcome.demand(most <= configuration.endpoint.maxHalfOpen, "\(name): \(most) were half open")
            outcome.demand(try await isEmpty(service, loops), "\(name): handshakes are left")
            let left = Double(try await loops.restingUsage().resident - before.resident) / 1_048_576
            outcome.demand(left <= 16, "\(name): \(fixed(left, 1)) MiB stay")
            let growth = try await heapGrowth(above: heap, loops, of: "\(name): ", &outcome)
            outcome.note +=
                "\(outcome.note.isEmpty ? "" : "; ")\(name): at most \(most) half open, \(counts.retries) Retries, "
                + "\(counts.rejected) refused, a fresh client after \(fixed(time)) s, memory "
                + "+\(fixed(Double(peak.resident - before.resident) / 1_048_576, 1)) MiB, after all "
                + "\(fixed(left, 1)) MiB more, heap +\(growth) bytes"
            await service.close()
        }
        return outcome
    }
}
