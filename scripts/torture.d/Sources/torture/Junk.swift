import NetStream
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

extension Scenario {
    /// A kind of bad packets, and what may come back.
    private struct Attack {
        var name: String
        var packets: [[UInt8]]
        /// Given a packet and the answers to it, says what is wrong.
        var judge: ([UInt8], [[UInt8]]) -> String? = { packet, answers in
            answers.reduce(0) { $0 + $1.count } > 3 * packet.count ? "more than three times the bytes came back" : nil
        }
    }

    private static func attacks(_ genuine: Initials, _ generator: inout SeededGenerator) -> [Attack] {
        func random(_ count: Int) -> [UInt8] { (0..<count).map { _ in .random(in: 0...255, using: &generator) } }
        let silence: ([UInt8], [[UInt8]]) -> String? = { _, answers in answers.isEmpty ? nil : "there was an answer" }
        let flipped = (0..<400).map { index in
            var packet = genuine[index]
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                packet[Int.random(in: 0..<packet.count, using: &generator)] ^=
                    1 << UInt8.random(in: 0...7, using: &generator)
            }
            return packet
        }
        // The start of the header is where a parser could stumble.
        let headers = (0..<400).map { index in
            var packet = genuine[index]
            packet[Int.random(in: 0..<40, using: &generator)] = .random(in: 0...255, using: &generator)
            return packet
        }
        let versioned: ([UInt8], Int) -> [UInt8] = { body, size in
            Array(([0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8] + body).prefix(size))
        }
        func offersVersion1(_ list: ArraySlice<UInt8>) -> Bool {
            stride(from: list.startIndex, to: list.endIndex, by: 4).contains { list[$0...].starts(with: [0, 0, 0, 1]) }
        }
        let shorts = (0..<300).map { index in [0x40 | UInt8(index & 0x3f)] + random(20 + index * 4) }
        let pieces = (0..<200).map { index -> [UInt8] in
            Array(genuine[index].prefix(600)) + Array(genuine[index + 1].prefix(300)) + random(400)
        }
        // A Handshake packet that nobody can read before a good Initial.
        let preceded = (0..<200).map { index -> [UInt8] in
            let header: [UInt8] = [0xe3, 0, 0, 0, 1, 8] + random(8)
            return header + [0, 0x41, 0] + random(256) + genuine[index]
        }
        return [
            Attack(name: "empty", packets: Array(repeating: [], count: 100), judge: silence),
            Attack(name: "one byte", packets: (0...255).map { [UInt8($0)] }, judge: silence),
            Attack(name: "truncated", packets: (1..<300).map { Array(genuine[$0].prefix($0 * 4)) }, judge: silence),
            Attack(name: "flipped bits", packets: flipped),
            Attack(name: "damaged headers", packets: headers),
            Attack(
                name: "unknown versions of 1200 bytes",
                packets: (0..<50).map { _ in versioned(random(8) + [8] + random(1200), 1200) },
                judge: { packet, answers in
                    let wanted =
                        answers.count == 1 && answers[0][0] & 0x80 != 0
                        // Version 0, both connection IDs swapped and whole, then whole versions, 1 among them.
                        && answers[0].dropFirst().starts(
                            with: [0, 0, 0, 0, 8] + packet[15..<23] + [8] + packet[6..<14]
                        )
                        && answers[0].count % 4 == 3 && offersVersion1(answers[0].dropFirst(23))
                    return wanted ? nil : "\(answers.count) answers, not one Version Negotiation packet"
                }
            ),
            Attack(
                name: "unknown versions of 1199 bytes",
                packets: (0..<50).map { _ in versioned(random(8) + [8] + random(1200), 1199) },
                judge: silence
            ),
            Attack(
                name: "unknown connection IDs",
                packets: shorts,
                judge: { packet, answers in
                    answers.contains { $0.count >= packet.count } ? "a reset that is not smaller" : nil
                }
            ),
            Attack(name: "noise", packets: (0..<300).map { random(1 + $0 * 4) }),
            Attack(
                name: "coalesced junk",
                packets: pieces + preceded
            ),
        ]
    }

    static func junk(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        var generator = SeededGenerator(seed: setting.seed)
        var configuration = setting.patient
        configuration.timeouts.inboundHandshake = .seconds(5)
        let service = try await Service(configuration, on: loops.server)
        let genuine = try await Initials.capture(400, setting)
        var outcome = Outcome()
        var sent = 0
        let attacks = attacks(genuine, &generator)
        // The first of them, once more, fill caches and pools.
        try await commit(attacks[3], on: service, setting, &generator, &outcome)
        outcome.demand(try await isEmpty(service, loops), "connections are left before all")
        let before = try await loops.restingUsage()
        var (heap, most) = (before.heap, 0)
        for attack in attacks {
            sent += attack.packets.count
            try await commit(attack, on: service, setting, &generator, &outcome)
            outcome.demand(try await isEmpty(service, loops), "\(attack.name): connections or their IDs are left")
            let growth = try await heapGrowth(above: heap, loops, of: "\(attack.name): ", &outcome)
            most = max(most, growth)
            heap = max(heap, heap + growth)
        }
        let left = Double(try await loops.restingUsage().resident - before.resident) / 1_048_576
        outcome.demand(left <= 16, "\(fixed(left, 1)) MiB stay")
        outcome.note =
            "a fresh client's time after each; \(sent) bad datagrams, heap at most +\(most) bytes after each, resident "
            + "memory after all +\(fixed(left, 1)) MiB"
        await service.close()
        return outcome
    }

    /// Demands that the heap comes back to what it was, within 256 KiB; says how much it is above that.
    static func heapGrowth(
        above heap: Int,
        _ loops: Loops,
        of what: String = "",
        _ outcome: inout Outcome
    ) async throws -> Int {
        // What was closed is freed a little later.
        var now = ProcessUsage.now().heap
        let isFree = try await loops.wait(atMost: .seconds(20)) {
            now = ProcessUsage.now().heap
            return now <= heap + 256 << 10
        }
        outcome.demand(isFree, "\(what)the heap grew by \(now - heap) bytes")
        return now - heap
    }

    /// Sends the packets of an attack, has a fresh client connect, and judges the answers.
    private static func commit(
        _ attack: Attack,
        on service: Service,
        _ setting: Setting,
        _ generator: inout SeededGenerator,
        _ outcome: inout Outcome
    ) async throws {
        // A socket each, so that it is known what an answer belongs to; few at a time, so that none is lost in the
        // listener's buffer.
        let sockets = try attack.packets.map { packet throws(Failed) in
            (packet, try RawSocket(ip: 0x7f02_0001 + UInt32.random(in: 0...0xffff, using: &generator)))
        }
        for (index, (packet, socket)) in sockets.enumerated() {
            socket.send(packet, to: service.port)
            if index % 20 == 19 { _ = await service.listener.statistics() }
        }
        let start = ContinuousClock.now
        do {
            try await freshClient(of: service, setting.loops, setting.patient)
            outcome.figures.append((ContinuousClock.now - start).inSeconds)
        } catch {
            outcome.failures.append("\(attack.name): \(error)")
        }
        var complaints: [String: Int] = [:]
        for (packet, socket) in sockets {
            var answers: [[UInt8]] = []
            while let answer = socket.receive() { answers.append(answer) }
            if let complaint = attack.judge(packet, answers) { complaints[complaint, default: 0] += 1 }
        }
        for (complaint, count) in complaints { outcome.failures.append("\(attack.name): \(count) × \(complaint)") }
    }
}
