internal import Libp2pTLS
internal import PeerID
internal import QuicCore

extension Scenario {
    /// Cases about the end of connections, and about the next one.
    static let ends: [Scenario] = [
        Scenario("close-code", "a close in the middle of a transfer arrives with its code and reason") {
            simulation,
            _ in
            for isServerClosing in [false, true] {
                let (client, server) = try simulation.makePair(megabits: 10)
                let connection = try simulation.connect(from: client, to: server)
                simulation.open(StreamPlan(request: 1 << 20, response: 1 << 20), on: connection)
                simulation.run(for: .milliseconds(300))
                guard let accepted = simulation.peer(of: connection) else { return simulation.fail("no other side") }
                let (closing, told) = isServerClosing ? (accepted, connection) : (connection, accepted)
                simulation.close(closing, code: 0x1007, reason: "enough")
                simulation.run(for: .seconds(1)) { told.isOver }
                let end = told.termination
                simulation.expect(
                    end?.cause == .application && end?.code == 0x1007 && end?.reason == "enough" && end?.byPeer == true,
                    "\(told.label) was told \(end as Any)"
                )
            }
        },
        Scenario("vanished-peer", "a peer that vanishes is given up within the idle timeout, by either side") {
            simulation,
            _ in
            for isServerVanishing in [false, true] {
                let (client, server) = try simulation.makePair()
                let connection = try simulation.connect(from: client, to: server)
                simulation.carry([StreamPlan(request: 10_000, response: 10_000)], on: connection, within: .seconds(5))
                simulation.run(for: .seconds(1))
                guard let accepted = simulation.peer(of: connection) else { return simulation.fail("no other side") }
                let left = isServerVanishing ? connection : accepted
                left.allowed = [.idleTimeout]
                let idle = left.node.settings.configuration.timeouts.idle
                let start = simulation.network.now
                try simulation.vanish(isServerVanishing ? server : client)
                simulation.open(StreamPlan(request: 100_000, response: 0), on: left)
                left.mayEndEarly = true
                simulation.run(for: idle * 3) { left.isOver }
                let time = Duration.nanoseconds(Int64(clamping: (left.terminatedAt ?? start) - start))
                simulation.note("given up after", seconds(time))
                simulation.expect(left.termination?.cause == .idleTimeout, "ended with \(left.termination as Any)")
                simulation.expect(time > idle - .seconds(2) && time < idle + .seconds(3), "after \(time), not \(idle)")
            }
        },
        Scenario("restarted-server", "a server that lost its state ends the connection with a stateless reset") {
            simulation,
            _ in
            let (client, server) = try simulation.makePair()
            let connection = try simulation.connect(from: client, to: server)
            simulation.run(for: .seconds(1))
            try simulation.restart(server)
            connection.allowed = [.statelessReset]
            simulation.open(StreamPlan(request: 500, response: 0), on: connection)
            connection.mayEndEarly = true
            simulation.run(for: .seconds(5)) { connection.isOver }
            simulation.expect(
                connection.termination?.cause == .statelessReset,
                "ended with \(connection.termination as Any)"
            )
            let next = try simulation.connect(from: client, to: server)
            simulation.carry([StreamPlan(request: 500, response: 500)], on: next, within: .seconds(5))
        },
        Scenario(
            "resumption",
            "later handshakes need no certificates and know the peer; a restarted server has full ones"
        ) {
            simulation,
            _ in
            var configuration = QuicConfiguration.defaults
            configuration.resumption = .sessions
            // GnuTLS takes the times in tickets from the machine's clock: the same seed gives as many packets of the same sizes,
            // with other bytes in those that bear tickets.
            let (client, server) = try simulation.makePair(configuration: configuration)
            for (index, isResumed) in [false, true, true, false].enumerated() {
                if index == 3 { try simulation.restart(server) }
                let connection = try simulation.dial(from: client, to: server, expecting: server.identity.peerID)
                simulation.run(for: .seconds(30)) { connection.confirmedAt != nil || connection.isOver }
                for (end, peer) in [(connection, server), (server.connections.last, client)] {
                    let handshake = end?.handshake
                    simulation.expect(handshake?.isResumed == isResumed, "handshake \(index) was of the other kind")
                    simulation.expect(
                        handshake?.peer.peerID == peer.identity.peerID,
                        "handshake \(index): another peer"
                    )
                }
                simulation.carry([StreamPlan(request: 1000, response: 1000)], on: connection, within: .seconds(5))
                simulation.run(for: .seconds(1))
                simulation.close(connection, code: 0, reason: "")
                simulation.run(for: .seconds(60)) { client.endpoint.connectionCount == 0 }
            }
            simulation.note("resumed", server.connections.count { $0.handshake?.isResumed == true })
        },
    ]
}
