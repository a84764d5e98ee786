import NetStream

/// `/echo/1.0.0`: everything comes back until the end of the stream.
public enum EchoProtocol {
    /// The protocol's name.
    public static let name = "/echo/1.0.0"

    /// Sends everything back, and the end of the stream with it.
    ///
    /// ```swift
    /// await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
    /// ```
    public static let handler: StreamHandler = { stream in
        for try await chunk in stream.chunks { try await stream.write(chunk) }
        try await stream.closeWrite()
    }
}
