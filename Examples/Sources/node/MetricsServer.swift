import ExampleSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NetStream
import ServiceLifecycle

/// Serves `GET /metrics` over HTTP to Prometheus, until its group shuts down.
struct MetricsServer: Service {
    /// How long a scraper may take.
    private static let patience: Duration = .seconds(5)
    /// Connections at once; further ones wait in the system's queue.
    private static let connectionLimit = 8

    typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPPart<HTTPResponseHead, ByteBuffer>>

    private let listener: NIOAsyncChannel<Connection, Never>
    private let metrics: PrometheusMetrics
    private let logger: Logger

    /// Listens on an address.
    init(host: String, port: Int, metrics: PrometheusMetrics, logger: Logger) async throws {
        self.metrics = metrics
        self.logger = logger
        do {
            listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: host, port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
                        try pipeline.addHandler(ResponsePartHandler())
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw ExampleError("cannot serve metrics on \(host):\(port): \(error)")
        }
    }

    /// Where it is found.
    var url: String {
        let address = listener.channel.localAddress
        return "http://\(address?.ipAddress ?? ""):\(address?.port ?? 0)/metrics"
    }

    func run() async throws {
        try await untilGracefulShutdown {
            try await listener.executeThenClose { connections in
                try await withThrowingDiscardingTaskGroup { group in
                    let slots = AsyncStream.makeStream(of: Void.self)
                    for _ in 0..<Self.connectionLimit { slots.continuation.yield() }
                    var slot = slots.stream.makeAsyncIterator()
                    for try await connection in connections {
                        await slot.next()
                        group.addTask {
                            await serve(connection)
                            slots.continuation.yield()
                        }
                    }
                }
            }
        }
    }

    /// Answers one request; a scraper that wants more connects again.
    private func serve(_ connection: Connection) async {
        do {
            try await withDeadline(Self.patience) {
                try await connection.executeThenClose { inbound, outbound in
                    var head: HTTPRequestHead?
                    for try await part in inbound {
                        if case .head(let found) = part { head = found }
                        guard case .end = part, let head else { continue }
                        // Inside the loop: its end closes the connection.
                        return try await answer(head, on: outbound)
                    }
                }
            }
        } catch {
            logger.debug("a scrape failed", metadata: ["error": "\(error)"])
        }
    }

    private func answer(
        _ request: HTTPRequestHead,
        on outbound: NIOAsyncChannelOutboundWriter<HTTPPart<HTTPResponseHead, ByteBuffer>>
    ) async throws {
        let isFound = request.uri == "/metrics" && request.method == .GET
        let body = ByteBuffer(string: isFound ? metrics.text() : "there is only GET /metrics\n")
        var head = HTTPResponseHead(version: .http1_1, status: isFound ? .ok : .notFound)
        head.headers.add(name: "Content-Type", value: "text/plain; version=0.0.4; charset=utf-8")
        head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        head.headers.add(name: "Connection", value: "close")
        try await outbound.write(.head(head))
        try await outbound.write(.body(body))
        try await outbound.write(.end(nil))
    }
}

/// The pipeline's parts carry files too, and are not Sendable for that; ours carry buffers.
private final class ResponsePartHandler: ChannelOutboundHandler {
    typealias OutboundIn = HTTPPart<HTTPResponseHead, ByteBuffer>
    typealias OutboundOut = HTTPServerResponsePart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part: HTTPServerResponsePart =
            switch unwrapOutboundIn(data) {
            case .head(let head): .head(head)
            case .body(let buffer): .body(.byteBuffer(buffer))
            case .end(let trailers): .end(trailers)
            }
        context.write(wrapOutboundOut(part), promise: promise)
    }
}
