import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where the bytes to send come from, as a sequence of chunks.
public struct Payload: AsyncSequence, Sendable {
    /// The most bytes one chunk has.
    public static let chunkSize = 65_536

    private enum Source: Sendable {
        case text([UInt8])
        case random(count: Int, seed: UInt64)
        case descriptor(Int32)
    }

    private let source: Source

    /// How many bytes there are, where that is known beforehand.
    public let count: Int?

    /// The bytes of `text`.
    public static func text(_ text: String) -> Payload {
        Payload(source: .text(Array(text.utf8)), count: text.utf8.count)
    }

    /// `count` random bytes, the same for the same seed.
    public static func random(count: Int, seed: UInt64) -> Payload {
        Payload(source: .random(count: count, seed: seed), count: count)
    }

    /// Standard input, to its end.
    public static var standardInput: Payload {
        Payload(source: .descriptor(STDIN_FILENO), count: nil)
    }

    /// The contents of a file.
    public static func file(_ path: String) throws -> Payload {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            let reason = descriptor < 0 ? String(cString: strerror(errno)) : "it is a folder"
            throw ExampleError("cannot read \(path): \(reason)")
        }
        let regular = status.st_mode & S_IFMT == S_IFREG
        return Payload(source: .descriptor(descriptor), count: regular ? Int(status.st_size) : nil)
    }

    /// Iterates over the chunks.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private var source: Source
        private var random = RandomBytes(seed: 0)

        fileprivate init(_ payload: Payload) {
            source = payload.source
            if case .random(_, let seed) = source { random = RandomBytes(seed: seed) }
        }

        /// The next chunk, nil at the end.
        public mutating func next() async throws -> [UInt8]? {
            switch source {
            case .text(let bytes):
                source = .text([])
                return bytes.isEmpty ? nil : bytes
            case .random(let count, let seed):
                guard count > 0 else { return nil }
                let size = Swift.min(count, Payload.chunkSize)
                source = .random(count: count - size, seed: seed)
                return random.next(size)
            case .descriptor(let descriptor):
                return try await readChunk(descriptor)
            }
        }
    }

    /// Starts reading the bytes from the beginning.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}

/// Reads on a thread of its own, since a terminal or a pipe may keep us waiting; looks ten times a
/// second whether it is still wanted.
private func readChunk(_ descriptor: Int32) async throws -> [UInt8]? {
    while true {
        try Task.checkCancellation()
        let chunk: [UInt8]? = try await NIOThreadPool.singleton.runIfActive {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 100) > 0 else { return nil }
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Payload.chunkSize) { buffer, size in
                count = read(descriptor, buffer.baseAddress, buffer.count)
                size = Swift.max(0, count)
            }
            guard count >= 0 || errno == EINTR || errno == EAGAIN else {
                throw ExampleError("cannot read: \(String(cString: strerror(errno)))")
            }
            return count < 0 ? nil : bytes
        }
        if let chunk { return chunk.isEmpty ? nil : chunk }
    }
}

/// Random bytes that can be made again from the same seed, to check an echo without keeping it
/// (SplitMix64: fast, and not for secrets).
public struct RandomBytes: Sendable {
    private var state: UInt64
    private var rest: [UInt8] = []

    /// A generator that starts at `seed`.
    public init(seed: UInt64) {
        state = seed
    }

    /// The next `count` bytes, however the earlier ones were cut.
    public mutating func next(_ count: Int) -> [UInt8] {
        var bytes = Array(rest.prefix(count))
        rest.removeFirst(bytes.count)
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            withUnsafeBytes(of: (word ^ (word >> 31)).littleEndian) { bytes.append(contentsOf: $0) }
        }
        rest.append(contentsOf: bytes[count...])
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
