import NIOCore

/// What a Redis server answers, as far as this program asks (RESP 2).
enum RESPValue: Sendable, Equatable {
    case text(String)
    case error(String)
    case number(Int)
    case bytes([UInt8])
    case list([RESPValue])
    case null
}

/// What is wrong with an answer of the server.
struct RESPError: Error, CustomStringConvertible {
    var description: String
}

/// Cuts the bytes of a server into values. Everything is bounded: a server that sends more than an address needs is not
/// the one we look for.
struct RESPDecoder: NIOSingleStepByteToMessageDecoder {
    typealias InboundOut = RESPValue

    /// The most bytes of a simple line.
    static let lineLimit = 1024
    /// The most bytes of a string.
    static let stringLimit = 16 << 10
    /// The most values of a list.
    static let listLimit = 8
    /// The most bytes that wait for the rest of a value.
    static let bufferLimit = 64 << 10

    func decode(buffer: inout ByteBuffer) throws -> RESPValue? {
        var rest = buffer
        guard let value = try Self.value(from: &rest, depth: 0) else { return nil }
        buffer = rest
        return value
    }

    func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> RESPValue? {
        try decode(buffer: &buffer)
    }

    /// The next value, or nil when it is not all there yet.
    private static func value(from buffer: inout ByteBuffer, depth: Int) throws -> RESPValue? {
        guard let line = try line(from: &buffer) else { return nil }
        guard let kind = line.utf8.first else { throw RESPError(description: "the server sent an empty line") }
        let text = String(line.dropFirst())
        switch kind {
        case UInt8(ascii: "+"): return .text(text)
        case UInt8(ascii: "-"): return .error(text)
        case UInt8(ascii: ":"): return .number(try number(text, atMost: .max))
        case UInt8(ascii: "$"): return try string(count: number(text, atMost: stringLimit), from: &buffer)
        case UInt8(ascii: "*"):
            return try list(count: number(text, atMost: listLimit), from: &buffer, depth: depth)
        default: throw RESPError(description: "the server does not speak Redis's protocol")
        }
    }

    private static func string(count: Int, from buffer: inout ByteBuffer) throws -> RESPValue? {
        guard count >= 0 else { return .null }
        guard buffer.readableBytes >= count + 2, let bytes = buffer.readBytes(length: count) else { return nil }
        guard buffer.readBytes(length: 2) == [13, 10] else {
            throw RESPError(description: "the server sent a string of another length than it said")
        }
        return .bytes(bytes)
    }

    private static func list(count: Int, from buffer: inout ByteBuffer, depth: Int) throws -> RESPValue? {
        guard count >= 0 else { return .null }
        guard depth == 0 else { throw RESPError(description: "the server sent a list in a list") }
        var values: [RESPValue] = []
        for _ in 0..<count {
            guard let value = try value(from: &buffer, depth: depth + 1) else { return nil }
            values.append(value)
        }
        return .list(values)
    }

    private static func line(from buffer: inout ByteBuffer) throws -> String? {
        let view = buffer.readableBytesView.prefix(lineLimit + 2)
        guard let feed = view.firstIndex(of: 10) else {
            guard view.count < lineLimit + 2 else { throw RESPError(description: "the server sent an endless line") }
            return nil
        }
        let bytes = view[..<feed]
        guard bytes.last == 13 else { throw RESPError(description: "the server does not speak Redis's protocol") }
        buffer.moveReaderIndex(forwardBy: bytes.count + 1)
        return String(decoding: bytes.dropLast(), as: UTF8.self)
    }

    private static func number(_ text: String, atMost limit: Int) throws -> Int {
        guard let number = Int(text), number >= -1 || limit == .max, number <= limit else {
            throw RESPError(description: "the server sent '\(text.prefix(32))', where a number up to \(limit) belongs")
        }
        return number
    }
}
