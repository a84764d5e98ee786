import ExampleSupport
import NetStream

/// `/perf/1.0.0`: the client says how many bytes it wants back (8 bytes, big-endian), sends what it wants
/// and ends its side; then the server sends that many.
/// See https://github.com/libp2p/specs/blob/master/perf/perf.md.
enum PerfProtocol {
    static let name = "/perf/1.0.0"

    private static let block = [UInt8](repeating: 0, count: 65536)

    /// The server's side of one stream.
    @Sendable
    static func serve(_ stream: NetStream) async throws {
        let wanted = try await stream.readExactly(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        while try await stream.read(upTo: block.count) != nil {}
        try await send(wanted, on: stream) { _ in }
        try await stream.closeWrite()
    }

    /// The client's side of one stream.
    static func measure(_ stream: NetStream, upload: UInt64, download: UInt64, report: PerfReport) async throws {
        try await stream.write(withUnsafeBytes(of: download.bigEndian) { Array($0) })
        try await send(upload, on: stream) { report.add(upload: $0) }
        try await stream.closeWrite()
        var received: UInt64 = 0
        while let bytes = try await stream.read(upTo: block.count) {
            received += UInt64(bytes.count)
            report.add(download: bytes.count)
        }
        guard received == download else {
            throw ExampleError("asked the server for \(download) bytes, and \(received) came")
        }
        try await stream.close()
    }

    private static func send(_ count: UInt64, on stream: NetStream, sent: (Int) -> Void) async throws {
        var rest = count
        while rest > 0 {
            let bytes = rest < UInt64(block.count) ? Array(block.prefix(Int(rest))) : block
            try await stream.write(bytes)
            rest -= UInt64(bytes.count)
            sent(bytes.count)
        }
    }
}
