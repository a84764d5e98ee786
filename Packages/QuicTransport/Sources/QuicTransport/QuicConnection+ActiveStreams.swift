internal import NIOCore
public import NetStream
internal import QuicCore

/// One stream of a connection, at one moment.
public struct QuicStreamSummary: Sendable, Hashable {
    /// The QUIC stream number.
    public var id: UInt64
    /// Who opened the stream.
    public var direction: Direction
    /// The protocol spoken on it, once the layer above has told by `MuxedStream.note(protocolID:)`, as `NetStream` does.
    public var protocolID: String?
    /// What it has carried, and when.
    public var statistics: QuicStreamStatistics
}

extension QuicConnection {
    /// The streams that are not over in both directions, in the order of their numbers, with those that the peer has opened and
    /// nobody has accepted. None once the connection is over.
    ///
    /// QUIC knows nothing of protocols: they are known as far as the layer above notes them. To have the streams of one, take
    /// those of its ``QuicStreamSummary/protocolID``; for all of them, `Dictionary(grouping:by:)`.
    public func activeStreams() async -> [QuicStreamSummary] {
        let driver = driver
        return await withCheckedContinuation { continuation in
            eventLoop.execute { continuation.resume(returning: driver.value.activeStreams) }
        }
    }

    /// The active streams on which one protocol is spoken; see ``activeStreams()``.
    ///
    /// - Parameter protocolID: The protocol's name, such as `/ipfs/ping/1.0.0`.
    public func activeStreams(speaking protocolID: String) async -> [QuicStreamSummary] {
        await activeStreams().filter { $0.protocolID == protocolID }
    }
}

extension ConnectionDriver {
    fileprivate var activeStreams: [QuicStreamSummary] {
        streams.sorted { $0.key < $1.key }.map { id, mailbox in
            QuicStreamSummary(
                id: UInt64(id.rawValue),
                direction: id.isServerInitiated == core.isServer ? .outbound : .inbound,
                protocolID: mailbox.protocolID,
                statistics: mailbox.statistics
            )
        }
    }
}
