import NetStream

/// `/echo/1.0.0`: everything comes back until the end of the stream.
public enum EchoProtocol {
    /// The protocol's name.
    public static let name = "/echo/1.0.0"

    /// Sends everything back, and the end of the stream with it.
    ///
    /// The stream may be idle for as long as its connection lives: when the transport ends a read that waits for long,
    /// the handler reads again.
    ///
    /// ```swift
    /// await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
    /// ```
    public static let handler: StreamHandler = { stream in
        while let chunk = try await stream.readPatiently(upTo: 65536) { try await stream.write(chunk) }
        try await stream.closeWrite()
    }
}

extension NetStream {
    /// Reads, and reads again when the transport's own deadline ends the wait: silence is no error here.
    nonisolated(nonsending) func readPatiently(upTo maxLength: Int) async throws -> [UInt8]? {
        while true {
            do {
                return try await read(upTo: maxLength)
            } catch let error as NetStreamError where error.code == .timeout {
                if Task.isCancelled { throw error }
            }
        }
    }
}
