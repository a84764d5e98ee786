import Libp2pTLS
import NetStream
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

extension Scenario {
    /// The ways to get connected, through the proxy.
    static let connecting = [
        Scenario(
            name: "handshake",
            threshold: "10 handshakes with either kind of certificate: each takes a round trip at least, median 0.5 s",
            run: handshake
        ),
        Scenario(
            name: "many-connections",
            threshold: "200 connections of one client at once at 1 % loss: all carry 1 KiB there and back, twice",
            run: manyConnections
        ),
        Scenario(
            name: "retry",
            threshold:
                "10 clients, 1 % loss: every address is proved; the token of the first time saves the second Retry",
            run: retry
        ),
        Scenario(
            name: "resumption",
            threshold: "10 dials of one client, 1 % loss: the first has a full handshake, 7 of 9 later ones resume",
            run: resumption
        ),
        Scenario(
            name: "zero-rtt",
            threshold: "10 early dials at 100 ms round trip, 1 % loss: 7 are taken, their answers come sooner",
            run: earlyData
        ),
        Scenario(
            name: "chacha20",
            threshold:
                "a client that offers ChaCha20-Poly1305 alone gets it: 1 MiB up and down at 1 % loss, within 60 s",
            run: chaCha20
        ),
        Scenario(
            name: "version-negotiation",
            threshold: "a dial of a version that the peer lacks fails with that reason; versions 1 and 2 connect",
            run: versionNegotiation
        ),
        Scenario(
            name: "ipv6",
            threshold: "1 MiB up and down over IPv6 at 1 % loss and with a new port each second, within 60 s",
            run: ipv6
        ),
    ]

    private static func lossy(_ share: Double) -> LinkConditions { .usual { $0.loss = share } }

    private static func handshake(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        let stage = try await Stage(setting, link: .usual)
        for kind in [CertificateKeyKind.ed25519, .p256] {
            for _ in 0..<10 {
                let client = try stage.stranger(tls: TLSConfiguration(certificateKey: kind))
                let (connection, time) = try await timed { try await client.dialQuic(stage.address) }
                outcome.figures.append(time)
                outcome.demand(connection.remotePeer == stage.service.transport.localPeer, "another peer")
                outcome.demand(time >= 0.03, "a handshake took \(fixed(time, 3)) s, less than a round trip")
                try await connection.echo()
                await client.close()
            }
        }
        let median = outcome.figures.median
        outcome.demand(median <= 0.5, "the median is \(fixed(median)) s")
        outcome.note = try await stage.close(&outcome).summary
        return outcome
    }

    private static func manyConnections(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        let stage = try await Stage(setting, link: lossy(0.01))
        let count = max(20, 200 / setting.divisor)
        let message = Pattern.bytes(from: 7, count: 1024)
        let start = ContinuousClock.now
        let connections = try await withThrowingTaskGroup(of: QuicConnection.self) { group in
            for _ in 0..<count {
                group.addTask {
                    let connection = try await stage.client.dialQuic(stage.address)
                    try await connection.echo(message)
                    return connection
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let counts = await stage.service.listener.statistics()
        outcome.demand(counts.active == count, "\(counts.active) of \(count) connections at the listener")
        // Now that all of them are there.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in connections { group.addTask { try await connection.echo(message) } }
            try await group.waitForAll()
        }
        let time = (ContinuousClock.now - start).inSeconds
        outcome.figures = [time]
        outcome.demand(time <= 60, "it took \(fixed(time)) s")
        outcome.note = "\(count) at once, \(counts.retries) Retries; \(try await stage.close(&outcome).summary)"
        return outcome
    }

    private static func retry(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        var configuration = setting.patient
        configuration.endpoint.retry = .always
        let stage = try await Stage(setting, link: lossy(0.01), configuration: configuration)
        let count = 10
        let clients = try (0..<count).map { _ in try stage.stranger() }
        var retries: [UInt64] = []
        for round in 0..<2 {
            let before = await stage.service.listener.statistics()
            for client in clients {
                let (connection, time) = try await timed { try await client.dialQuic(stage.address) }
                outcome.figures.append(time)
                outcome.demand(round > 0 || time >= 0.06, "\(fixed(time, 3)) s are less than two round trips")
                // The token for the next time comes before the second answer, unless it is lost.
                for _ in 0..<2 { try await connection.echo() }
                await connection.close(code: .none, reason: "")
            }
            let after = await stage.service.listener.statistics()
            retries.append(after.retries - before.retries)
            let proved = after.validatedByToken - before.validatedByToken
            outcome.demand(proved >= count, "\(proved) of \(count) addresses were proved")
            outcome.demand(after.invalidTokens == 0, "a token was refused")
        }
        outcome.demand(retries[0] >= count, "only \(retries[0]) Retries the first time")
        outcome.demand(retries[1] <= 3, "\(retries[1]) Retries the second time")
        for client in clients { await client.close() }
        outcome.note =
            "a dial's time; \(retries[0]) Retries the first time, \(retries[1]) the second; "
            + (try await stage.close(&outcome).summary)
        return outcome
    }

    private static func resumption(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        var configuration = setting.patient
        configuration.resumption = .sessions
        let stage = try await Stage(setting, link: lossy(0.01), configuration: configuration)
        var resumed: [Bool] = []
        for _ in 0..<10 {
            let (connection, time) = try await timed { try await stage.client.dialQuic(stage.address) }
            outcome.figures.append(time)
            resumed.append(connection.isResumed)
            outcome.demand(connection.remotePeer == stage.service.transport.localPeer, "another peer")
            // The ticket for the next time comes before the answer, unless it is lost.
            try await connection.echo()
            await connection.close(code: .none, reason: "")
        }
        let later = resumed.dropFirst().count(where: \.self)
        outcome.demand(!resumed[0] && later >= 7, "resumed: \(resumed)")
        let stranger = try stage.stranger()
        outcome.demand(try await !stranger.dialQuic(stage.address).isResumed, "a stranger's dial resumed")
        await stranger.close()
        outcome.note = "a dial's time; \(later) of 9 resumed; \(try await stage.close(&outcome).summary)"
        return outcome
    }

    private static func earlyData(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        var configuration = setting.patient
        configuration.resumption = .earlyData
        let link = LinkConditions.usual {
            $0.delay = .milliseconds(50)
            $0.loss = 0.01
        }
        let stage = try await Stage(setting, link: link, configuration: configuration, isEarly: true)
        var ordinary: [Double] = []
        var accepted = 0
        for _ in 0..<10 {
            let (first, time) = try await timed {
                let connection = try await stage.client.dialQuic(stage.address)
                try await connection.echo()
                return connection
            }
            ordinary.append(time)
            await first.close(code: .none, reason: "")
            let (early, earlyTime) = try await timed {
                let connection = try await stage.client.dialQuicEarly(stage.address)
                try await connection.echo()
                return connection
            }
            if try await early.waitForHandshake() {
                accepted += 1
                outcome.figures.append(earlyTime)
            }
            await early.close(code: .none, reason: "")
        }
        let counted = await stage.service.listener.statistics().earlyDataAccepted
        outcome.demand(accepted >= 7, "\(accepted) of 10 early dials were taken")
        // One whose first packets were lost has its early data after the handshake, as any other.
        outcome.demand((7...10).contains(counted), "the listener counts \(counted) of \(accepted)")
        let median = outcome.figures.median
        outcome.demand(
            median < ordinary.median,
            "early answers after \(fixed(median, 3)) s, others after \(fixed(ordinary.median, 3)) s"
        )
        outcome.note =
            "time to an early dial's answer; \(accepted) of 10 taken; other dials \(fixed(ordinary.median, 2)) s; "
            + (try await stage.close(&outcome).summary)
        return outcome
    }

    private static func chaCha20(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        let stage = try await Stage(setting, link: lossy(0.01), tls: TLSConfiguration(cipherSuites: [.chaCha20]))
        let (connection, time) = try await timed {
            let connection = try await stage.client.dialQuic(stage.address)
            try await connection.upload(1 << 20)
            try await connection.download(1 << 20)
            return connection
        }
        outcome.figures = [time]
        let cipher = connection.cipherSuite ?? "no cipher"
        outcome.demand(cipher == CipherSuite.chaCha20.rawValue, "\(cipher) was agreed on")
        outcome.demand(time <= 60, "it took \(fixed(time)) s")
        outcome.note = "\(cipher); \(try await stage.close(&outcome).summary)"
        return outcome
    }

    private static func versionNegotiation(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        guard QuicVersion.v2.isInstalled else {
            outcome.note = "not played: the installed library speaks version 1 only"
            return outcome
        }
        var both = setting.patient
        both.versions = [.v2, .v1]
        let stage = try await Stage(setting, link: .usual, configuration: both, server: setting.patient)
        let start = ContinuousClock.now
        do {
            _ = try await stage.client.dialQuic(stage.address)
            outcome.failures.append("a peer that speaks version 1 alone took a dial of version 2")
        } catch {
            let time = (ContinuousClock.now - start).inSeconds
            outcome.figures = [time]
            outcome.demand(error.code == .versionNegotiation, "the dial failed with \(error)")
            outcome.demand(time <= 10, "the dial failed after \(fixed(time)) s only")
        }
        let answers = await stage.service.listener.statistics().versionNegotiations
        outcome.demand(answers >= 1, "the peer did not say which versions it speaks")
        outcome.note = "until the dial failed; "
        // The same peer and one of version 2, each with whom can talk to it.
        let second = try await Stage(setting, link: .usual, configuration: both)
        let ordinary = try setting.loops.dialer(setting.patient)
        for (client, address, version) in [
            (ordinary, stage.address, QuicVersion.v1), (ordinary, second.address, .v1),
            (second.client, second.address, .v2),
        ] {
            let connection = try await client.dialQuic(address)
            try await connection.upload(100 << 10)
            outcome.demand(connection.version == version, "version \(connection.version), not \(version)")
            await connection.close(code: .none, reason: "")
        }
        await ordinary.close()
        _ = try await second.close(&outcome)
        outcome.note += try await stage.close(&outcome).summary
        return outcome
    }

    private static func ipv6(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        guard ProcessUsage.hasIPv6Loopback else {
            outcome.note = "not played: there is no ::1 here"
            return outcome
        }
        // The older library keeps a connection on its first path.
        let moves = !QuicVersion.libraryVersion.hasPrefix("0.")
        let stage = try await Stage(
            setting,
            link: lossy(0.01),
            usesIPv6: true,
            rebindingEvery: moves ? .seconds(1) : nil
        )
        let (_, time) = try await timed {
            let connection = try await stage.client.dialQuic(stage.address)
            try await connection.upload(1 << 20)
            try await connection.download(1 << 20)
        }
        outcome.figures = [time]
        outcome.demand(time <= 60, "it took \(fixed(time)) s")
        let statistics = try await stage.close(&outcome)
        outcome.demand(statistics.rebindings > 0 || !moves, "the port never changed")
        outcome.note = statistics.summary
        return outcome
    }
}
