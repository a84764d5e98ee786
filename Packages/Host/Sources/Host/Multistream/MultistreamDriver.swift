import NetStream

/// Runs the negotiation of multistream-select 1.0 on streams.
enum MultistreamDriver {
    /// Bytes taken from a stream at once.
    private static let chunk = 2048

    /// Proposes protocols on a stream that this side opened.
    ///
    /// - Returns: Which of them the peer took.
    static func propose(_ names: [[UInt8]], on stream: NetStream) async throws -> Int {
        var dialer = MultistreamDialer(proposals: names)
        try await stream.write(dialer.opening)
        while true {
            guard let bytes = try await stream.read(upTo: chunk) else {
                throw HostError(.negotiationFailed, "the peer ended the stream during the negotiation")
            }
            var action = try dialer.receive(bytes)
            while case .send(let bytes) = action {
                try await stream.write(bytes)
                // A peer may have answered before it was asked.
                action = try dialer.receive([])
            }
            switch action {
            case .wait, .send: continue
            case .agreed(let proposal, let rest):
                try stream.unread(rest)
                return proposal
            case .exhausted:
                let list = names.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ", ")
                throw HostError(.protocolsNotSupported, "the peer speaks none of: \(list)")
            }
        }
    }

    /// Answers proposals on a stream that the peer opened.
    ///
    /// - Parameters:
    ///   - stream: The stream.
    ///   - current: What this host speaks at the moment.
    /// - Returns: The name that was agreed on, or `nil` when there will be none, because the peer ended the stream or went on
    ///   as if there had been no refusal: close it.
    static func answer(on stream: NetStream, current: () -> HandlerRegistry) async throws -> [UInt8]? {
        var listener = MultistreamListener()
        while let bytes = try await stream.read(upTo: chunk) {
            let handlers = current()
            let output = try await handlers.awayFromTransport { () throws(HostError) in
                try listener.receive(bytes, accepts: { handlers.handler(for: $0) != nil }, names: { handlers.names })
            }
            if let agreed = output.agreed {
                try stream.unread(agreed.rest)
                do {
                    try await stream.write(output.bytes)
                } catch let error as NetStreamError where error.code == .reset && error.byPeer {
                    // The peer does not read; it may still have said something, as with a lazy one-way message.
                }
                return agreed.name
            }
            if !output.bytes.isEmpty { try await stream.write(output.bytes) }
            if output.isGivenUp { return nil }
        }
        return nil
    }
}
