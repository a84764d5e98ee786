internal import NetStream
public import QuicTransport

func bytes(of count: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * (7 - $0))) }
}

func writePattern(_ count: Int, to stream: QuicStream) async throws {
    var position = 0
    while position < count {
        let step = min(64 << 10, count - position)
        try await stream.write(Pattern.bytes(from: position, count: step))
        position += step
    }
}

/// Reads so many bytes of a stream and no more.
struct ExactReader {
    private let stream: QuicStream
    private var rest: ArraySlice<UInt8> = []

    init(_ stream: QuicStream) { self.stream = stream }

    mutating func next() async throws -> [UInt8]? {
        if !rest.isEmpty {
            defer { rest = [] }
            return Array(rest)
        }
        return try await stream.read(upTo: 256 << 10)
    }

    /// `nil` when the stream ends before.
    mutating func take(_ count: Int) async throws -> [UInt8]? {
        while rest.count < count {
            guard let more = try await stream.read(upTo: 256 << 10) else { return nil }
            rest += more
        }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func count() async throws -> Int {
        guard let bytes = try await take(8) else { throw Failed("the stream ended before its count") }
        return bytes.reduce(0) { $0 << 8 | Int($1) }
    }

    /// Reads so many bytes, or to the end, and says how many came and were right.
    mutating func checkPattern(_ count: Int) async throws -> Int {
        var position = 0
        while position < count, let bytes = try await next() {
            guard Pattern.matches(bytes, at: position) else { throw Failed("wrong bytes after \(position)") }
            position += bytes.count
        }
        return position
    }
}

extension QuicConnection {
    /// Sends so many bytes and waits until the peer says that they came and were right.
    public func upload(_ count: Int) async throws {
        let stream = try await openQuicStream()
        try await stream.write([UInt8(ascii: "u")] + bytes(of: count))
        try await writePattern(count, to: stream)
        try await stream.closeWrite()
        var reader = ExactReader(stream)
        let right = try await reader.count()
        guard right == count else { throw Failed("\(right) of \(count) bytes arrived") }
        try await stream.close()
    }

    /// Asks for so many bytes and checks every one.
    public func download(_ count: Int) async throws {
        let stream = try await openQuicStream()
        try await stream.write([UInt8(ascii: "d")] + bytes(of: count))
        try await stream.closeWrite()
        var reader = ExactReader(stream)
        let right = try await reader.checkPattern(count)
        guard right == count else { throw Failed("\(right) of \(count) bytes arrived") }
        try await stream.close()
    }

    /// Sends some bytes and waits for them to come back, on a stream of its own.
    public func echo(_ message: [UInt8] = Array("hello".utf8)) async throws {
        let stream = try await openQuicStream()
        try await stream.write([UInt8(ascii: "e")] + message)
        try await stream.closeWrite()
        var reader = ExactReader(stream)
        guard try await reader.take(message.count) == message else { throw Failed("the echo is another") }
        try await stream.close()
    }

    /// A stream whose every byte comes back; see ``QuicTransport/QuicStream/exchange(_:)``.
    public func openEcho() async throws -> QuicStream {
        let stream = try await openQuicStream()
        try await stream.write([UInt8(ascii: "e")])
        return stream
    }

    /// A stream whose peer never reads nor answers.
    public func openSilent() async throws -> QuicStream {
        let stream = try await openQuicStream()
        try await stream.write([UInt8(ascii: "s")])
        return stream
    }
}

extension QuicStream {
    /// Sends a message and waits until as many bytes came back.
    public func exchange(_ message: [UInt8]) async throws {
        try await write(message)
        var reader = ExactReader(self)
        guard try await reader.take(message.count) == message else { throw Failed("the echo is another") }
    }
}
