import ArgumentParser
import ExampleSupport
import Host
import Multiaddr
import NetStream
import PeerID
import QuicTransport
import Synchronization

/// Sends back what it gets (`echo listen`), or dials somebody who does (`echo dial`).
@main
struct Echo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Echo over libp2p QUIC.",
        subcommands: [Listen.self, Dial.self]
    )

    static let protocolID = "/echo/1.0.0"

    static func main() async { await runExample(Echo.self) }
}

extension Echo {
    struct Listen: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Listen, and send back what comes.")

        @Option(help: "Send back at most this many bytes of a stream, then end it.", transform: byteCount)
        var limit: Int?

        @OptionGroup var listen: ListenOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let key = try common.identity()
            let logger = makeLogger("echo")
            try await stoppingOnSignals(logger: logger) {
                let quic = try makeTransport(identity: key, logger: logger)
                try await withHost(
                    identity: key,
                    transports: [quic],
                    listen: listen.addresses,
                    logger: logger
                ) { host in
                    await host.handle(protocolID) { stream in
                        var left = limit ?? .max
                        for try await chunk in stream.chunks {
                            try await stream.write(Array(chunk.prefix(left)))
                            left -= min(left, chunk.count)
                            if left == 0 { break }
                        }
                        try await stream.closeWrite()
                    }
                    try listen.announce(host.listenAddresses, json: common.json)
                    try await host.run()
                }
            }
        }
    }

    struct Dial: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Dial, send, and take back what was sent. Without an option it sends standard input."
        )

        @OptionGroup var dial: DialOptions
        @OptionGroup var payload: PayloadOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let key = try common.identity()
            let logger = makeLogger("echo")
            try await stoppingOnSignals(logger: logger) {
                let quic = try makeTransport(identity: key, logger: logger)
                try await withHost(identity: key, transports: [quic], logger: logger) { host in
                    let peer = try await host.connect(to: dial.address)
                    let stream = try await host.newStream(to: peer, protocols: [protocolID])
                    var echo = try payload.makeEcho(json: common.json)
                    let sent = SentBytes()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { [bytes = echo.payload] in
                            var count = 0
                            for try await chunk in bytes {
                                try await stream.write(chunk)
                                count += chunk.count
                            }
                            sent.complete(count)
                            try await stream.closeWrite()
                        }
                        for try await chunk in stream.chunks { try echo.take(chunk) }
                        // The peer has ended. Nobody waits then for input that it would not take.
                        if sent.total == nil {
                            group.cancelAll()
                        } else {
                            try await group.waitForAll()
                        }
                    }
                    try echo.finish(sent: sent.total)
                }
            }
        }
    }
}

/// How many bytes were sent, known once all of them were.
private final class SentBytes: Sendable {
    private let count = Mutex<Int?>(nil)

    var total: Int? { count.withLock { $0 } }

    func complete(_ total: Int) { count.withLock { $0 = total } }
}
