import QuicCore

/// The settings of a socket, once for all of its connections and streams.
final class SharedConfiguration: Sendable {
    let configuration: QuicConfiguration
    /// The sizes of every stream.
    let streamLimits: StreamMailbox.Limits

    init(_ configuration: QuicConfiguration) {
        self.configuration = configuration
        let highWater = configuration.streams.sendBufferHighWatermark
        streamLimits = StreamMailbox.Limits(
            window: configuration.flowControl.streamWindow,
            receiveHighWater: configuration.streams.receiveHighWatermark,
            receiveLowWater: configuration.streams.receiveLowWatermark,
            highWater: highWater,
            lowWater: highWater / 2
        )
    }
}
