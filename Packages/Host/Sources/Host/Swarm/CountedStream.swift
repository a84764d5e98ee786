import NetStream
import Synchronization

/// Bytes of the streams of one connection.
struct StreamTraffic: Sendable {
    var read: UInt64 = 0
    var written: UInt64 = 0
}

/// Counts the bytes of a stream for its connection and for the metrics: two additions for each read and write.
final class CountedStream: MuxedStream {
    private let base: any MuxedStream
    private let connection: HostConnection

    init(_ base: any MuxedStream, of connection: HostConnection) {
        self.base = base
        self.connection = connection
    }

    var id: UInt64 { base.id }
    var direction: Direction { base.direction }

    nonisolated(nonsending) func read(upTo maxLength: Int) async throws -> [UInt8]? {
        let bytes = try await base.read(upTo: maxLength)
        if let bytes { connection.countRead(bytes.count) }
        return bytes
    }

    nonisolated(nonsending) func write(_ bytes: [UInt8]) async throws {
        try await base.write(bytes)
        connection.countWritten(bytes.count)
    }

    func readAtOnce(upTo maxLength: Int) -> [UInt8]? {
        let bytes = base.readAtOnce(upTo: maxLength)
        if let bytes { connection.countRead(bytes.count) }
        return bytes
    }

    func writeAtOnce(_ bytes: [UInt8]) -> Bool {
        guard base.writeAtOnce(bytes) else { return false }
        connection.countWritten(bytes.count)
        return true
    }

    func closeWrite() async throws { try await base.closeWrite() }
    func closeRead() async throws { try await base.closeRead() }
    func close() async throws { try await base.close() }
    func reset(code: StreamErrorCode) { base.reset(code: code) }
    func note(protocolID: String?) { base.note(protocolID: protocolID) }
}
