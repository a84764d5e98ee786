internal import QuicCore

extension Scenario {
    /// Cases about early data (0-RTT).
    static let early: [Scenario] = [
        Scenario("zero-rtt", "early data is answered after one round trip; a resumed session alone takes two") {
            simulation,
            _ in
            let (client, server) = try simulation.makeEarlyPair()
            var answered: [Duration] = []
            for isEarly in [false, true, true, false] {
                let connection = try simulation.dial(from: client, to: server, early: isEarly)
                simulation.carry([request], on: connection, within: .seconds(5))
                // The server's handshake ends later than its answer arrives.
                simulation.run(for: .seconds(1))
                simulation.expect(connection.handshake?.isResumed == true, "the session was not resumed")
                for end: SimulatedConnection? in [connection, server.connections.last] {
                    let handshake = end?.handshake
                    simulation.expect(
                        handshake?.isEarlyDataAccepted == isEarly,
                        "early data was not dealt with as asked"
                    )
                    simulation.expect(
                        (end?.early != nil) == isEarly,
                        "early data came without being asked for, or not at all"
                    )
                }
                answered.append(connection.streams.first?.answerTime(since: connection.begun) ?? .zero)
                simulation.end(connection)
            }
            // 30 ms each, and what the server's acknowledgement delay and the rest of the application's turn cost.
            let (early, late) = (max(answered[1], answered[2]), min(answered[0], answered[3]))
            simulation.note("answered after", "\(seconds(early)), else \(seconds(late))")
            simulation.expect(early < .milliseconds(40), "early data was answered after \(seconds(early))")
            simulation.expect(late >= .milliseconds(60), "an ordinary dial was answered after \(seconds(late))")
            simulation.expect(server.endpoint.statistics.earlyDataAccepted == 2, "not two connections with early data")
        },
        Scenario("zero-rtt-large", "100 KiB of early data on 20 streams arrive, within the limits of the time before") {
            simulation,
            _ in
            let (client, server) = try simulation.makeEarlyPair()
            let connection = try simulation.dial(from: client, to: server, early: true)
            let plans = Array(repeating: StreamPlan(request: 5 << 10, response: 5 << 10), count: 20)
            simulation.carry(plans, on: connection, within: .seconds(10))
            simulation.expect(connection.handshake?.isEarlyDataAccepted == true, "early data was refused")
        },
        Scenario("zero-rtt-retry", "early data outlives a Retry, for one more round trip") { simulation, _ in
            var configuration = QuicConfiguration.defaults
            configuration.endpoint.retry = .always
            let (client, server) = try simulation.makeEarlyPair(configuration: configuration)
            // From another address, for which the client has no token.
            simulation.rebindAddress(of: client)
            let connection = try simulation.dial(from: client, to: server, early: true)
            simulation.carry([request], on: connection, within: .seconds(5))
            let time = connection.streams.first?.answerTime(since: connection.begun)
            simulation.note("answered after", seconds(time))
            simulation.expect(connection.handshake?.isEarlyDataAccepted == true, "early data was refused")
            simulation.expect(time.map { $0 < .milliseconds(75) } ?? false, "answered after \(seconds(time))")
        },
        Scenario("zero-rtt-refused", "a server that lost its keys refuses early data, says so, and takes it repeated") {
            simulation,
            _ in
            let (client, server) = try simulation.makeEarlyPair()
            try simulation.restart(server)
            let connection = try simulation.dial(from: client, to: server, early: true)
            for _ in 0..<3 { simulation.open(request, on: connection) }
            simulation.run(for: .seconds(5)) { connection.confirmedAt != nil || connection.isOver }
            simulation.expect(connection.early != nil, "no early data was offered")
            simulation.expect(connection.handshake?.isEarlyDataAccepted == false, "early data was accepted")
            simulation.expect(connection.handshake?.isResumed == false, "the session was resumed")
            simulation.expect(
                connection.rejected.count == 3,
                "\(connection.rejected.count) streams were refused, not 3"
            )
            simulation.expect(
                connection.rejected.allSatisfy { $0.received == 0 } && server.connections.last?.streams.isEmpty == true,
                "something of a refused stream was handled"
            )
            simulation.carry([request, request], on: connection, within: .seconds(5))
            simulation.expect(
                connection.streams.first?.id == connection.rejected.first?.id,
                "the numbers do not begin anew"
            )
            // The next one is taken again.
            simulation.end(connection)
            let next = try simulation.dial(from: client, to: server, early: true)
            simulation.carry([request], on: next, within: .seconds(5))
            simulation.expect(next.handshake?.isEarlyDataAccepted == true, "early data was refused again")
        },
        Scenario("zero-rtt-replay", "the datagrams of an early connection, sent again, are not handled again") {
            simulation,
            _ in
            let (client, server) = try simulation.makeEarlyPair()
            var recorded: [SimulatedDatagram] = []
            simulation.network.filter = { datagram in
                if datagram.from == client.address { recorded.append(datagram) }
                return true
            }
            let connection = try simulation.dial(from: client, to: server, early: true)
            simulation.carry([request], on: connection, within: .seconds(5))
            simulation.expect(connection.handshake?.isEarlyDataAccepted == true, "early data was refused")
            simulation.network.filter = nil
            var settings = NodeSettings()
            settings.accepts = false
            let attacker = try simulation.addNode("attacker", settings)
            // While the connection is there its copies go to it; afterwards they look like a new one.
            for isOver in [false, true] {
                if isOver {
                    simulation.end(connection)
                    simulation.run(for: .seconds(60)) { server.endpoint.connectionCount == 0 }
                }
                let before = server.connections.count
                for datagram in recorded { simulation.inject(datagram, from: attacker) }
                simulation.run(for: .seconds(1))
                let opened = server.connections[before...]
                simulation.expect(!isOver || !opened.isEmpty, "the copies were not taken for a connection")
                simulation.expect(
                    opened.allSatisfy { $0.streams.isEmpty && $0.early == nil && $0.handshake == nil },
                    "a copy was handled"
                )
            }
            simulation.expect(server.connections.reduce(0) { $0 + $1.streams.count } == 1, "another stream was opened")
            // Whatever the attacker did, the client's next connection has early data again.
            let next = try simulation.dial(from: client, to: server, early: true)
            simulation.carry([request], on: next, within: .seconds(5))
            simulation.expect(next.handshake?.isEarlyDataAccepted == true, "early data was refused")
        },
        Scenario("zero-rtt-loss", "30 early connections at 20 % loss and reordering: every request is answered once") {
            simulation,
            size in
            var configuration = QuicConfiguration.defaults
            // The deadline for dials bounds early handshakes, and at this loss some take longer than its 10 s.
            configuration.timeouts.dial = .seconds(60)
            let (client, server) = try simulation.makeEarlyPair(configuration: configuration)
            var conditions = LinkConditions()
            conditions.latency = .milliseconds(15)
            conditions.loss = 0.2
            conditions.reordering = 0.2
            client.setUplink(conditions)
            client.setDownlink(conditions)
            simulation.isImpaired = true
            var accepted = 0
            let count = size == .full ? 30 : 6
            for _ in 0..<count {
                let connection = try simulation.dial(from: client, to: server, early: true)
                let plans = Array(repeating: StreamPlan(request: 2000, response: 2000), count: 3)
                simulation.carry(plans, on: connection, within: .seconds(60))
                if connection.handshake?.isEarlyDataAccepted == true { accepted += 1 }
                simulation.expect(connection.rejected.isEmpty, "early data was refused")
                simulation.end(connection)
            }
            simulation.note("early", "\(accepted) of \(count)")
            simulation.expect(accepted > count / 2, "only \(accepted) of \(count) had early data")
        },
    ]

    private static let request = StreamPlan(request: 500, response: 500)
}

extension Simulation {
    /// A client and a server that take early data, at a round trip of 30 ms, the client with a ticket.
    fileprivate func makeEarlyPair(
        configuration: QuicConfiguration = .defaults
    ) throws -> (client: SimulatedNode, server: SimulatedNode) {
        var configuration = configuration
        configuration.resumption = .earlyData
        // GnuTLS takes the times in tickets from the machine's clock: the same seed gives as many packets of the same sizes,
        // with other bytes in those that bear tickets.
        let (client, server) = try makePair(configuration: configuration)
        let connection = try connect(from: client, to: server)
        end(connection)
        return (client, server)
    }

    /// Gives the next ticket time to arrive, closes the connection and waits until the client has forgotten it.
    fileprivate func end(_ connection: SimulatedConnection) {
        let client = connection.node
        run(for: .seconds(2))
        close(connection, code: 0, reason: "")
        run(for: .seconds(60)) { client.endpoint.connectionCount == 0 }
    }

    /// Sends a recorded datagram again, from another node's address.
    fileprivate func inject(_ datagram: SimulatedDatagram, from node: SimulatedNode) {
        datagram.bytes.withUnsafeBytes {
            network.send($0, from: node, local: node.address, to: datagram.to, ecn: 0)
        }
    }
}

extension SimulatedStream {
    /// How long after a time the answer was whole.
    fileprivate func answerTime(since start: UInt64) -> Duration? {
        endedAt.map { .nanoseconds(Int64(clamping: $0 - start)) }
    }
}
