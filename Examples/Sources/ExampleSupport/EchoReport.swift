public import ArgumentParser

/// What `echo dial` sends, and what it does with the answer.
public struct PayloadOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("Send this text; what comes back goes to standard output.", valueName: "text"))
    var message: String?

    @Option(
        help: ArgumentHelp(
            "Send this many random bytes, check what comes back, and print a summary.",
            valueName: "count"
        )
    )
    var bytes: Int?

    @Option(help: "Send this file; what comes back goes to standard output.")
    var file: String?

    @Flag(help: "Show a progress bar on standard error, also when that is no terminal.")
    var progress = false

    /// For ArgumentParser.
    public init() {}

    /// For ArgumentParser.
    public func validate() throws {
        guard [message != nil, bytes != nil, file != nil].count(where: { $0 }) <= 1 else {
            throw ValidationError("--message, --bytes and --file exclude each other")
        }
        guard bytes.map({ $0 >= 0 }) ?? true else { throw ValidationError("--bytes has to be 0 or more") }
    }

    /// What to send, ready to be checked against what comes back.
    public func makeEcho(json: Bool) throws -> EchoReport {
        let seed = UInt64.random(in: .min ... .max)
        let payload: Payload =
            if let message {
                .text(message)
            } else if let bytes {
                .random(count: bytes, seed: seed)
            } else if let file {
                try .file(file)
            } else {
                .standardInput
            }
        return EchoReport(
            payload: payload,
            expected: bytes.map { _ in RandomBytes(seed: seed) },
            // The text alone is no progress to watch.
            progress: Progress(total: message == nil ? payload.count : nil, always: progress),
            json: json
        )
    }
}

/// Takes the echoed bytes: checks them, or writes them to standard output.
public struct EchoReport {
    private struct Summary: Encodable {
        var type = "echo"
        var bytes: Int
        var seconds: Double
        var mebibytesPerSecond: Double
        var checked: Bool
        var text: String?
    }

    /// What to send.
    public let payload: Payload
    private var expected: RandomBytes?
    private let progress: Progress
    private let json: Bool
    private let started = ContinuousClock.now
    private var received = 0
    private var text: [UInt8] = []

    init(payload: Payload, expected: RandomBytes?, progress: Progress, json: Bool) {
        self.payload = payload
        self.expected = expected
        self.progress = progress
        self.json = json
    }

    /// Takes the next bytes that came back.
    public mutating func take(_ chunk: [UInt8]) throws {
        if let wanted = expected?.next(chunk.count) {
            guard chunk == wanted else {
                throw ExampleError(
                    "the echo differs from what was sent, between byte \(received) and the next \(chunk.count)"
                )
            }
        } else if json {
            text += chunk.prefix(max(0, 65_536 - text.count))
        } else {
            try Output.bytes(chunk)
        }
        received += chunk.count
        progress.advance(chunk.count)
    }

    /// Says how it went. An echo of another length than what was sent is a failure.
    ///
    /// `sent` is nil when the peer ended its side before ours was all sent.
    public func finish(sent: Int?) throws {
        guard let sent else {
            throw ExampleError("the peer ended the echo after \(received) bytes, before everything was sent")
        }
        guard received == sent else { throw ExampleError("sent \(sent) bytes, but \(received) came back") }
        let seconds = (ContinuousClock.now - started) / .seconds(1)
        let rate = Double(received) / 1_048_576 / max(seconds, 1e-9)
        if json {
            let echoed = expected == nil ? String(decoding: text, as: UTF8.self) : nil
            try Output.json(
                Summary(
                    bytes: received,
                    seconds: seconds,
                    mebibytesPerSecond: rate,
                    checked: expected != nil,
                    text: echoed
                )
            )
        } else if expected != nil {
            Output.line(
                "echoed \(received) bytes in \(fixed(seconds, 3)) s, \(fixed(rate, 1)) MiB/s each way, all as sent"
            )
        }
    }
}
