import Multiaddr
import Synchronization

extension NetStream {
    /// Most bytes taken from the muxed stream at once by the readers that do not know how much they need.
    private static let refill = 4096
    /// Most bytes taken from the muxed stream at once, however many are needed.
    private static let largestFill = 1 << 20

    /// Waits for bytes.
    ///
    /// - Parameter maxLength: The most bytes to return, at least 1.
    /// - Returns: Between 1 and `maxLength` bytes, or `nil` when the end of the stream is reached. After that, reading
    ///   throws ``NetStreamError/Code/endOfStream``.
    public nonisolated(nonsending) func read(upTo maxLength: Int = 65536) async throws -> [UInt8]? {
        try Self.check(maxLength, atLeast: 1, name: "maxLength")
        if !readGate.tryEnter() { try await enter(readGate, for: .read) }
        defer { readGate.leave() }
        return try await readInTurn(upTo: maxLength)
    }

    /// Waits for exactly `count` bytes.
    ///
    /// - Throws: ``NetStreamError/Code/unexpectedEnd`` when the stream ends before; what had arrived can still be read.
    public nonisolated(nonsending) func readExactly(_ count: Int) async throws -> [UInt8] {
        try Self.check(count, atLeast: 0, name: "count")
        if !readGate.tryEnter() { try await enter(readGate, for: .read) }
        defer { readGate.leave() }
        guard try permitted(.read), count > 0 else { return [] }
        while true {
            let (bytes, present) = try buffered { shared in
                shared.buffer.count >= count ? (shared.take(count), count) : (nil, shared.buffer.count)
            }
            if let bytes { return bytes }
            guard try await fill(upTo: count - present) else { throw unexpectedEnd(wanted: "\(count) bytes") }
        }
    }

    /// Waits for the end of the stream and returns everything up to it.
    ///
    /// - Parameter limit: The most bytes to accept.
    /// - Throws: ``NetStreamError/Code/limitExceeded`` when the peer sends more; nothing is consumed then.
    public func readToEnd(limit: Int) async throws -> [UInt8] {
        try Self.check(limit, atLeast: 0, name: "limit")
        if !readGate.tryEnter() { try await enter(readGate, for: .read) }
        defer { readGate.leave() }
        _ = try permitted(.read)
        while true {
            let present = try buffered { $0.buffer.count }
            guard present <= limit else { throw Self.tooLong(limit, what: "stream") }
            let room = limit - present
            guard try await fill(upTo: room < Self.refill ? room + 1 : min(room, 65536)) else { break }
        }
        let (everything, action) = try buffered { ($0.take(Int.max), $0.endReading()) }
        perform(action)
        return everything
    }

    /// Waits for a line that ends in a line feed.
    ///
    /// - Parameter limit: The most bytes a line may have, without its line feed.
    /// - Returns: The line without its line feed, or `nil` when the stream ended in front of it.
    /// - Throws: ``NetStreamError/Code/limitExceeded`` for a longer line, ``NetStreamError/Code/unexpectedEnd`` when the
    ///   stream ends inside one.
    public func readLine(limit: Int) async throws -> [UInt8]? {
        try Self.check(limit, atLeast: 0, name: "limit")
        if !readGate.tryEnter() { try await enter(readGate, for: .read) }
        defer { readGate.leave() }
        _ = try permitted(.read)
        var searched = 0
        while true {
            let from = searched
            let (line, present) = try buffered { shared -> ([UInt8]?, Int) in
                let rest = shared.buffer.dropFirst(from)
                guard let feed = rest.firstIndex(of: UInt8(ascii: "\n")) else { return (nil, shared.buffer.count) }
                let length = feed - shared.buffer.startIndex
                guard length <= limit else { throw Self.tooLong(limit, what: "line") }
                return (Array(shared.take(length + 1).dropLast()), 0)
            }
            if let line { return line }
            guard present <= limit else { throw Self.tooLong(limit, what: "line") }
            searched = present
            guard try await fill(upTo: Self.refill) else {
                guard present == 0 else { throw unexpectedEnd(wanted: "a line") }
                return try endReached()
            }
        }
    }

    /// Waits for a message with its length in front, as an unsigned varint.
    ///
    /// - Parameter limit: The most bytes a message may have. Nothing is allocated before the length is checked.
    /// - Returns: The message without its length, or `nil` when the stream ended in front of it.
    /// - Throws: ``NetStreamError/Code/limitExceeded``, ``NetStreamError/Code/malformedLength``, or
    ///   ``NetStreamError/Code/unexpectedEnd`` when the stream ends inside the message.
    public func readMessage(limit: Int) async throws -> [UInt8]? {
        try Self.check(limit, atLeast: 0, name: "limit")
        if !readGate.tryEnter() { try await enter(readGate, for: .read) }
        defer { readGate.leave() }
        _ = try permitted(.read)
        while true {
            let (message, missing, present) = try buffered { shared -> ([UInt8]?, Int?, Int) in
                let present = shared.buffer.count
                guard let (length, prefix) = try Self.messageLength(shared.buffer.prefix(10)) else {
                    return (nil, nil, present)
                }
                let (whole, isTooLong) = prefix.addingReportingOverflow(Int(clamping: length))
                guard length <= UInt64(limit), !isTooLong else { throw Self.tooLong(limit, what: "message") }
                guard present >= whole else { return (nil, whole - present, present) }
                return (Array(shared.take(whole).dropFirst(prefix)), nil, present)
            }
            if let message { return message }
            if let missing {
                guard try await fill(upTo: missing) else { throw unexpectedEnd(wanted: "a message") }
            } else if try await !fill(upTo: Self.refill) {
                guard present == 0 else { throw unexpectedEnd(wanted: "a message's length") }
                return try endReached()
            }
        }
    }

    /// Sends a message with its length in front, as an unsigned varint, in one write.
    public func writeMessage(_ message: [UInt8]) async throws {
        try await write(Varint.encode(UInt64(message.count)) + message)
    }

    /// Puts bytes back in front of what will be read next.
    ///
    /// For those who took more than was theirs, such as a negotiation that found application data behind its own.
    ///
    /// - Throws: ``NetStreamError`` when the reading half is over.
    public func unread(_ bytes: [UInt8]) throws {
        _ = try permitted(.read)
        guard !bytes.isEmpty else { return }
        shared.withLock { shared in
            shared.buffer = ArraySlice(bytes + shared.buffer)
        }
    }

    // MARK: Inside; all of it runs inside the read gate

    private enum Step {
        case bytes([UInt8])
        case ended(StreamStateMachine.Action)
        case pull
    }

    private nonisolated(nonsending) func readInTurn(upTo maxLength: Int) async throws -> [UInt8]? {
        _ = try permitted(.read)
        let step: Step = shared.withLock { shared in
            if !shared.buffer.isEmpty {
                let bytes = Array(shared.buffer.prefix(maxLength))
                shared.buffer = shared.buffer.count == bytes.count ? [] : shared.buffer.dropFirst(bytes.count)
                return .bytes(bytes)
            }
            guard shared.isEndPending else { return .pull }
            shared.isEndPending = false
            return .ended(shared.machine.apply(.readEnded))
        }
        switch step {
        case .bytes(let bytes): return bytes
        case .ended(let action):
            perform(action)
            return nil
        case .pull: break
        }
        if let bytes = muxed.readAtOnce(upTo: maxLength) { return bytes }
        do {
            guard let bytes = try await muxed.read(upTo: maxLength) else {
                perform(apply(.readEnded))
                return nil
            }
            return bytes
        } catch {
            throw absorb(error, during: .read)
        }
    }

    /// Takes more bytes into the buffer. Returns `false` at the end of the stream.
    private nonisolated(nonsending) func fill(upTo count: Int) async throws -> Bool {
        guard try permitted(.read), !shared.withLock({ $0.isEndPending }) else { return false }
        // Whoever asks for the end of all bytes shall not make a transport reserve them.
        let most = min(count, Self.largestFill)
        var bytes = muxed.readAtOnce(upTo: most)
        if bytes == nil {
            do {
                bytes = try await muxed.read(upTo: most)
            } catch {
                throw absorb(error, during: .read)
            }
        }
        try buffered { shared in
            guard let bytes else { return shared.isEndPending = true }
            // Into the empty buffer, which is nearly always the case, they go as they are.
            if shared.buffer.isEmpty { shared.buffer = bytes[...] } else { shared.buffer += bytes }
        }
        return bytes != nil
    }

    /// Looks at what is buffered, and takes from it, in one go. A reset, a `closeRead` or the end of the connection empties
    /// the buffer at any time: from then on this throws what ended the reading half, and `body` sees nothing of it.
    private func buffered<Result: Sendable>(_ body: (inout sending Shared) throws -> sending Result) throws -> Result {
        let result: Result? = try shared.withLock { shared in
            guard shared.machine.permission(for: .read) == .proceed else { return nil }
            return try body(&shared)
        }
        if let result { return result }
        _ = try permitted(.read)
        throw unexpectedEnd(wanted: "what was asked for")
    }

    /// The end of the stream, reached with nothing left in the buffer.
    private func endReached() throws -> [UInt8]? {
        perform(try buffered { $0.endReading() })
        return nil
    }

    private static func messageLength(_ bytes: ArraySlice<UInt8>) throws -> (length: UInt64, prefix: Int)? {
        var length: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            let isMinimal = index == 0 || byte != 0
            let isShort = index < 8 || (index == 8 && byte & 0x80 == 0)
            guard isShort, isMinimal else {
                throw NetStreamError(
                    .malformedLength,
                    "the length in front of a message is not a minimal varint of at most 9 bytes; reset the stream",
                    operation: .read
                )
            }
            length |= UInt64(byte & 0x7f) << UInt64(7 * index)
            if byte & 0x80 == 0 { return (length, index + 1) }
        }
        return nil
    }

    private func unexpectedEnd(wanted: String) -> NetStreamError {
        NetStreamError(
            .unexpectedEnd,
            "the stream ended before \(wanted) had arrived; the peer left early",
            operation: .read,
            state: state
        )
    }

    private static func tooLong(_ limit: Int, what: String) -> NetStreamError {
        NetStreamError(
            .limitExceeded,
            "the peer's \(what) is longer than \(limit) bytes; raise the limit or reset the stream",
            operation: .read
        )
    }

    private static func check(_ value: Int, atLeast minimum: Int, name: String) throws {
        guard value >= minimum else {
            throw NetStreamError(.invalidArgument, "\(name) is \(value), but must be at least \(minimum)")
        }
    }
}
