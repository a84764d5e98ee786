internal import Glibc
public import Libp2pTLS
internal import Logging
internal import Multiaddr
internal import NIOCore
public import NIOPosix
internal import NetStream
internal import PeerID
public import QuicCore
public import QuicTransport
public import UDPProxy

/// The event loops of one run: one for the server, one for clients, one for the proxy.
public final class Loops: Sendable {
    /// For listeners.
    public let server = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// For those who dial.
    public let client = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// For the proxy.
    public let proxy = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// Three threads.
    public init() {}

    /// Waits so long without holding a thread. For paces and for looking again, never in place of an event.
    public func pause(_ duration: Duration) async throws {
        let (seconds, attoseconds) = duration.components
        let time = TimeAmount.nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        try await proxy.next().scheduleTask(in: time) {}.futureResult.get()
    }

    /// Looks again until something is so. Returns whether it became so in time.
    public func wait(atMost limit: Duration, until condition: () async throws -> Bool) async throws -> Bool {
        let start = ContinuousClock.now
        while try await !condition() {
            if ContinuousClock.now - start > limit { return false }
            try await pause(.milliseconds(50))
        }
        return true
    }

    /// What the process uses when that has not changed for four seconds: what was closed is freed a little later.
    public func restingUsage() async throws -> ProcessUsage {
        var last = ProcessUsage.now()
        var calm = 0
        _ = try await wait(atMost: .seconds(30)) {
            let now = ProcessUsage.now()
            calm = abs(now.resident - last.resident) < 256 << 10 ? calm + 1 : 0
            last = now
            return calm == 80
        }
        return last
    }

    /// Ends the threads.
    public func close() async throws {
        for group in [server, client, proxy] { try await group.shutdownGracefully() }
    }

    /// A transport that dials.
    public func dialer(_ configuration: QuicConfiguration, tls: TLSConfiguration = .defaults) throws -> QuicTransport {
        try QuicTransport(
            identity: .ed25519(),
            configuration: configuration,
            tls: tls,
            eventLoopGroup: client,
            logger: .silent
        )
    }

    /// A proxy in front of a service, alike in both directions.
    public func proxy(
        to service: Service,
        _ conditions: LinkConditions,
        seed: UInt64,
        rebindingEvery rebinding: Duration? = nil,
        changesAddress: Bool = false
    ) async throws -> UDPProxy {
        try await UDPProxy.start(
            to: service.address,
            up: conditions,
            down: conditions,
            seed: seed,
            rebindingEvery: rebinding,
            changesAddress: changesAddress,
            on: proxy.next()
        )
    }
}

/// A fresh client connects, hears its echo and goes.
public func freshClient(of service: Service, _ loops: Loops, _ configuration: QuicConfiguration) async throws {
    let client = try loops.dialer(configuration)
    do {
        let connection = try await client.dialQuic(try service.dialAddress())
        try await connection.echo()
        await connection.close(code: .none, reason: "")
    } catch {
        await client.close()
        throw error
    }
    await client.close()
}

extension Logger {
    /// Thousands of dials fail on purpose here: nobody wants to read of them.
    static var silent: Logger { Logger(label: "torture") { _ in SwiftLogNoOpLogHandler() } }
}

extension Duration {
    /// Seconds as a floating-point number.
    public var inSeconds: Double { self / .seconds(1) }
}

extension Sequence where Element == Double {
    /// The middle value; 0 of none.
    public var median: Double {
        let sorted = sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }
}

/// A number with so many decimals.
public func fixed(_ value: Double, _ decimals: Int = 2) -> String {
    let scale = (0..<decimals).reduce(1.0) { scale, _ in scale * 10 }
    let scaled = Int((abs(value) * scale).rounded())
    guard decimals > 0 else { return (value < 0 ? "-" : "") + String(scaled) }
    let digits = String(scaled % Int(scale))
    let fraction = String(repeating: "0", count: decimals - digits.count) + digits
    return (value < 0 ? "-" : "") + String(scaled / Int(scale)) + "." + fraction
}

/// Says something to the person who waits, on standard error.
public func note(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}
