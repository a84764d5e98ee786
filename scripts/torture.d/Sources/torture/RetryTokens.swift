import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

extension Scenario {
    /// A first packet, and the token that its Retry brought.
    private struct Asked {
        var packet: [UInt8]
        var socket: RawSocket
        /// The connection ID that the Retry says to go on with.
        var destination: [UInt8]
        var token: [UInt8]
    }

    /// Something that is done to each of the tokens, and what the listener has to count then, once for each.
    private struct TokenAttack {
        var name: String
        var counter: KeyPath<QuicTransportStatistics, UInt64>
        var send: (Asked) throws -> Void
    }

    /// Tokens that are no good are counted as such, kind by kind; only the one that is given back as it came, to the port
    /// that it went to, is proof.
    static func retryTokens(_ setting: Setting) async throws -> Outcome {
        let loops = setting.loops
        var generator = SeededGenerator(seed: setting.seed)
        var configuration = setting.patient
        configuration.endpoint.retry = .always
        let service = try await Service(configuration, on: loops.server)
        let genuine = try await Initials.capture(50, setting)
        var asked: [Asked] = []
        for packet in genuine.packets { asked.append(try await ask(packet, service, loops)) }
        var elsewhere: [RawSocket] = []
        let port = service.port
        let attacks = [
            TokenAttack(name: "altered", counter: \.invalidTokens) {
                var token = $0.token
                token[Int.random(in: 1..<token.count, using: &generator)] ^=
                    1 << UInt8.random(in: 0...7, using: &generator)
                $0.socket.send(try Initials.readdressed($0.packet, to: $0.destination, token: token), to: port)
            },
            // What has not a token's length is none, and none is what a client without a Retry has (RFC 9000 §8.1.3).
            TokenAttack(name: "cut short", counter: \.retries) {
                let token = Array($0.token.dropLast())
                $0.socket.send(try Initials.readdressed($0.packet, to: $0.destination, token: token), to: port)
            },
            TokenAttack(name: "from another port", counter: \.invalidTokens) {
                let socket = try RawSocket()
                elsewhere.append(socket)
                socket.send(try Initials.readdressed($0.packet, to: $0.destination, token: $0.token), to: port)
            },
            TokenAttack(name: "left out", counter: \.retries) {
                $0.socket.send(try Initials.readdressed($0.packet, to: $0.destination, token: []), to: port)
            },
            // The packet around it cannot be read, so that no connection comes of it.
            TokenAttack(name: "as it came", counter: \.validatedByToken) {
                $0.socket.send(try Initials.readdressed($0.packet, to: $0.destination, token: $0.token), to: port)
            },
        ]
        var outcome = Outcome()
        try await freshClient(of: service, loops, setting.patient)
        outcome.demand(try await isEmpty(service, loops), "connections are left before all")
        let heap = try await loops.restingUsage().heap
        let first = await service.listener.statistics()
        let counters: [KeyPath<QuicTransportStatistics, UInt64>] = [\.invalidTokens, \.retries, \.validatedByToken]
        for attack in attacks {
            let before = await service.listener.statistics()
            for each in asked { try attack.send(each) }
            var after = before
            _ = try await loops.wait(atMost: .seconds(10)) {
                after = await service.listener.statistics()
                return after.packetsReceived >= before.packetsReceived + UInt64(asked.count)
            }
            let counts = counters.map { after[keyPath: $0] - before[keyPath: $0] }
            let expected = counters.map { $0 == attack.counter ? UInt64(asked.count) : 0 }
            outcome.demand(
                counts == expected,
                "\(attack.name): \(counts[0]) refused, \(counts[1]) Retries, \(counts[2]) accepted, not \(expected)"
            )
        }
        let before = await service.listener.statistics()
        let start = ContinuousClock.now
        try await freshClient(of: service, loops, setting.patient)
        outcome.figures = [(ContinuousClock.now - start).inSeconds]
        let counts = await service.listener.statistics()
        let proved = counts.validatedByToken - before.validatedByToken
        outcome.demand(proved == 1, "a fresh client proved its address \(proved) times")
        outcome.demand(
            counts.accepted == first.accepted + 1,
            "\(counts.accepted - first.accepted) connections came about"
        )
        outcome.demand(try await isEmpty(service, loops), "connections or their IDs are left")
        let growth = try await heapGrowth(above: heap, loops, &outcome)
        outcome.note =
            "a fresh client's time; of 50 each, altered and from another port: \(counts.invalidTokens) refused; "
            + "cut short and left out: \(counts.retries - first.retries) Retries; as they were given: "
            + "\(before.validatedByToken - first.validatedByToken) taken; heap +\(growth) bytes"
        await service.close()
        return outcome
    }

    /// Sends a first packet and takes the token out of the Retry that comes.
    private static func ask(_ packet: [UInt8], _ service: Service, _ loops: Loops) async throws -> Asked {
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
        return Asked(
            packet: packet,
            socket: socket,
            destination: Array(answer[retry.sourceIDRange]),
            token: Array(answer[place])
        )
    }
}
