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
                        answers.count == 1
                        && answers[0].prefix(7).dropFirst().elementsEqual([0, 0, 0, 0, 8, packet[15]])
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
        try await freshClient(of: service, loops, setting.patient)
        let before = try await loops.restingUsage()
        var outcome = Outcome()
        var sent = 0
        for attack in attacks(genuine, &generator) {
            // A socket each, so that it is known what an answer belongs to; few at a time, so that none is lost in the
            // listener's buffer.
            let sockets = try attack.packets.map { packet throws(Failed) in
                (packet, try RawSocket(ip: 0x7f02_0001 + UInt32.random(in: 0...0xffff, using: &generator)))
            }
            for (index, (packet, socket)) in sockets.enumerated() {
                socket.send(packet, to: service.port)
                if index % 20 == 19 { _ = await service.listener.statistics() }
            }
            sent += sockets.count
            let start = ContinuousClock.now
            do {
                try await freshClient(of: service, loops, setting.patient)
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
        outcome.demand(try await isEmpty(service, loops), "connections are left")
        let left = Double(try await loops.restingUsage().resident - before.resident) / 1_048_576
        outcome.demand(left <= 16, "\(fixed(left, 1)) MiB stay")
        outcome.note =
            "a fresh client's time after each; \(sent) bad datagrams, memory after all +\(fixed(left, 1)) MiB"
        await service.close()
        return outcome
    }

    static func retryTokens(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        var generator = SeededGenerator(seed: setting.seed)
        var configuration = setting.patient
        configuration.endpoint.retry = .always
        let service = try await Service(configuration, on: loops.server)
        let genuine = try await Initials.capture(50, setting)
        var outcome = Outcome()
        for packet in genuine.packets {
            let socket = try RawSocket()
            socket.send(packet, to: service.port)
            var answer: [UInt8]?
            _ = try await loops.wait(atMost: .seconds(10)) {
                answer = socket.receive()
                return answer != nil
            }
            guard let answer else { throw Failed("no Retry came") }
            let retry = try PacketHeader(parsing: answer.span.bytes, shortHeaderIDLength: 8)
            guard retry.kind == .retry, let place = retry.tokenRange else {
                throw Failed("\(retry.kind) in place of a Retry")
            }
            let destination = Array(answer[retry.sourceIDRange])
            let token = Array(answer[place])
            var altered = token
            altered[Int.random(in: 1..<token.count, using: &generator)] ^=
                1 << UInt8.random(in: 0...7, using: &generator)
            let elsewhere = try RawSocket()
            socket.send(try Initials.readdressed(packet, to: destination, token: altered), to: service.port)
            socket.send(
                try Initials.readdressed(packet, to: destination, token: Array(token.dropLast())),
                to: service.port
            )
            elsewhere.send(try Initials.readdressed(packet, to: destination, token: token), to: service.port)
            socket.send(try Initials.readdressed(packet, to: destination, token: []), to: service.port)
        }
        let start = ContinuousClock.now
        try await freshClient(of: service, loops, setting.patient)
        outcome.figures = [(ContinuousClock.now - start).inSeconds]
        let counts = await service.listener.statistics()
        outcome.demand(counts.invalidTokens >= 100, "only \(counts.invalidTokens) tokens were refused")
        outcome.demand(counts.accepted == 1, "\(counts.accepted) connections came about")
        outcome.demand(try await isEmpty(service, loops), "connections are left")
        outcome.note = "a fresh client's time; \(counts.retries) Retries, \(counts.invalidTokens) tokens refused"
        await service.close()
        return outcome
    }
}
