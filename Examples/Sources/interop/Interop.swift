import ArgumentParser
import ExampleSupport
import Host
import Logging
import Multiaddr
import NetStream
import PeerID
import QuicTransport

/// Takes part in libp2p's public interoperability tests: one process listens and leaves its address in Redis, the other
/// takes it, dials, pings and prints how long that took. Both harnesses are understood; see ``Harness``.
@main
struct Interop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Joins libp2p's interoperability tests over QUIC.",
        discussion: """
            Everything comes from the environment. libp2p/test-plans:
              transport=quic-v1 is_dialer=true|false ip=0.0.0.0 redis_addr=redis:6379 test_timeout_seconds=180
            libp2p/unified-testing:
              TRANSPORT=quic-v1 IS_DIALER=true|false TEST_KEY=… LISTENER_IP=0.0.0.0 REDIS_ADDR=redis:6379
              TEST_TIMEOUT_SECS=180 DEBUG=false
            """
    )

    static func main() async { await runExample(Interop.self) }

    func run() async throws {
        let harness = try Harness(environment)
        let logger = makeLogger("interop", fallback: harness.isDebug ? .debug : .warning)
        let redis = Redis(
            host: harness.redisHost,
            port: harness.redisPort,
            timeout: harness.timeout,
            logger: logger
        )
        try await stoppingOnSignals(logger: logger) {
            if harness.isDialer {
                try await withinTheTest(harness) { try await dial(harness, redis, logger) }
            } else {
                try await withinTheTest(harness) { try await listen(harness, redis, logger) }
                // The harness ends a listener by a signal, which cancels this task.
                try Task.checkCancellation()
                throw ExampleError("nobody ended the listener within \(harness.timeout)")
            }
        }
    }
}

/// Runs a part no longer than the harness allows.
private func withinTheTest(_ harness: Harness, _ part: @escaping @Sendable () async throws -> Void) async throws {
    do {
        try await withDeadline(harness.timeout, operation: part)
    } catch let error as NetStreamError where error.code == .timeout && !Task.isCancelled {
        let reason = error.cause.map { ": \(describe($0))" } ?? ""
        throw ExampleError("the test is not done within \(harness.timeout)\(reason)")
    }
}

private func listen(_ harness: Harness, _ redis: Redis, _ logger: Logger) async throws {
    let key = PrivateKey.ed25519()
    let quic = try makeTransport(identity: key, logger: logger)
    let address = try Multiaddr.quic(host: harness.listenerIP, port: 0)
    try await withHost(identity: key, transports: [quic], listen: [address], logger: logger) { host in
        // The first address that others can use, or loopback where there is no other.
        guard let published = host.addresses.first(where: { !isLoopback($0) }) ?? host.addresses.first else {
            throw ExampleError("the listener has no address")
        }
        try await redis.publish(published.description, as: harness.addressKey)
        logger.info("listening", metadata: ["address": "\(published)"])
        try await host.run()
    }
}

private func isLoopback(_ address: Multiaddr) -> Bool {
    let host = address.quicEndpoint.map { "\($0.host)" } ?? ""
    return host == "::1" || host.hasPrefix("127.")
}

private func dial(_ harness: Harness, _ redis: Redis, _ logger: Logger) async throws {
    let key = PrivateKey.ed25519()
    let quic = try makeTransport(identity: key, logger: logger)
    try await withHost(identity: key, transports: [quic], logger: logger) { host in
        let text = try await redis.take(harness.addressKey)
        let address: Multiaddr
        do throws(MultiaddrError) {
            address = try Multiaddr(parsing: text)
        } catch {
            throw ExampleError("the listener left '\(text.prefix(200))', which is no address: \(error.message)")
        }
        let clock = ContinuousClock()
        let start = clock.now
        let peer = try await host.connect(to: address)
        let ping = try await host.ping(peer)
        Output.line(harness.report(handshakePlusOneRTT: start.duration(to: clock.now), ping: ping))
    }
}
