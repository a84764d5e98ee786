import ExampleSupport
import Logging
import NIOCore
import NIOPosix

/// As much of a Redis client as two processes need to find each other. One connection for each use.
struct Redis: Sendable {
    /// The server's name or IP address.
    var host: String
    /// The server's port.
    var port: Int
    /// How long everything may take: the server may not be up yet, nor the other side.
    var timeout: Duration
    var logger: Logger

    /// Leaves a value under a key, for one reader to take.
    func publish(_ value: String, as key: String) async throws {
        try await withConnection { connection in
            // A value that an earlier run left would be taken for ours.
            _ = try await connection.ask(["DEL", key])
            _ = try await connection.ask(["RPUSH", key, value])
        }
    }

    /// Waits for a value under a key, and takes it.
    func take(_ key: String) async throws -> String {
        let seconds = max(1, timeout.components.seconds)
        let answer: RESPValue
        do {
            answer = try await withConnection { try await $0.ask(["BLPOP", key, String(seconds)]) }
        } catch is CancellationError {
            answer = .null
        }
        switch answer {
        case .list(let values):
            guard values.count == 2, case .bytes(let bytes) = values[1] else { break }
            return String(decoding: bytes, as: UTF8.self)
        case .null:
            throw ExampleError("no listener has left its address under '\(key)' within \(seconds) s")
        default: break
        }
        throw ExampleError("Redis answered BLPOP with something else than a key and a value")
    }

    /// Connects, as often as it takes: the harness starts the server beside us.
    private func withConnection<Result: Sendable>(
        _ body: @Sendable (inout RedisConnection) async throws -> Result
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup.singleton
        let start = ContinuousClock.now
        while true {
            let channel: NIOAsyncChannel<RESPValue, ByteBuffer>
            do {
                channel = try await ClientBootstrap(group: group)
                    .connectTimeout(.seconds(5))
                    .connect(host: host, port: port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let decoder = ByteToMessageHandler(
                                RESPDecoder(),
                                maximumBufferSize: RESPDecoder.bufferLimit
                            )
                            try channel.pipeline.syncOperations.addHandler(decoder)
                            return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                        }
                    }
            } catch {
                guard start.duration(to: .now) < timeout, !Task.isCancelled else {
                    throw ExampleError("no Redis server at \(host):\(port): \(error)")
                }
                logger.debug("Redis is not there yet", metadata: ["address": "\(host):\(port)", "error": "\(error)"])
                try await group.any().scheduleTask(in: .milliseconds(100)) {}.futureResult.get()
                continue
            }
            return try await channel.executeThenClose { inbound, outbound in
                var connection = RedisConnection(answers: inbound.makeAsyncIterator(), commands: outbound)
                return try await body(&connection)
            }
        }
    }
}

/// A connection to a Redis server. For one task.
private struct RedisConnection {
    var answers: NIOAsyncChannelInboundStream<RESPValue>.AsyncIterator
    let commands: NIOAsyncChannelOutboundWriter<ByteBuffer>

    /// Sends a command and waits for its answer. An error of the server's is thrown.
    mutating func ask(_ words: [String]) async throws -> RESPValue {
        var buffer = ByteBuffer(string: "*\(words.count)\r\n")
        for word in words { buffer.writeString("$\(word.utf8.count)\r\n\(word)\r\n") }
        try await commands.write(buffer)
        switch try await answers.next() {
        case .error(let message)?: throw ExampleError("Redis refuses \(words[0]): \(message)")
        case let answer?: return answer
        case nil:
            try Task.checkCancellation()
            throw ExampleError("Redis closed the connection instead of answering \(words[0])")
        }
    }
}
