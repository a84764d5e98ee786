extension QuicConfiguration {
    /// Few streams that carry much: large windows and buffers.
    public static var highThroughput: QuicConfiguration {
        var configuration = QuicConfiguration()
        configuration.flowControl.streamWindow = 2 << 20
        configuration.flowControl.connectionWindow = 10 << 20
        configuration.flowControl.maxStreamWindow = 4 << 20
        configuration.flowControl.maxConnectionWindow = 24 << 20
        configuration.streams.sendBufferHighWatermark = 4 << 20
        configuration.streams.maxSendBufferOfConnection = 400 << 20
        return configuration
    }

    /// Requests that had better fail than wait: short deadlines.
    public static var lowLatency: QuicConfiguration {
        var configuration = QuicConfiguration()
        configuration.timeouts.streamOpen = .seconds(1)
        configuration.timeouts.streamRead = .seconds(5)
        configuration.timeouts.streamWrite = .seconds(5)
        return configuration
    }

    /// Thousands of streams at once, each with little to say.
    public static var manyStreams: QuicConfiguration {
        var configuration = QuicConfiguration()
        configuration.streams.initialInboundCredit = 5000
        configuration.streams.maxInbound = 5000
        configuration.streams.maxOutbound = 5000
        configuration.flowControl.streamWindow = 128 << 10
        configuration.setReceiveBuffer(256 << 10)
        configuration.streams.sendBufferHighWatermark = 128 << 10
        return configuration
    }

    /// Small machines, or very many connections: small windows and buffers.
    public static var memoryConstrained: QuicConfiguration {
        var configuration = QuicConfiguration()
        configuration.streams.initialInboundCredit = 100
        configuration.streams.maxInbound = 100
        configuration.streams.maxOutbound = 100
        configuration.flowControl.streamWindow = 64 << 10
        configuration.flowControl.connectionWindow = 256 << 10
        configuration.setReceiveBuffer(128 << 10)
        configuration.flowControl.maxConnectionWindow = 512 << 10
        configuration.streams.sendBufferHighWatermark = 64 << 10
        configuration.streams.maxSendBufferOfConnection = 4 << 20
        configuration.endpoint.maxHalfOpen = 64
        configuration.endpoint.maxHalfOpenPerSource = 16
        configuration.endpoint.acceptQueueLimit = 32
        configuration.udp.sendBufferSize = nil
        configuration.udp.receiveBufferSize = nil
        return configuration
    }

    /// Sets what a stream may buffer, and the watermarks in the same proportion as the defaults have (a quarter and a
    /// thirty-second of it).
    private mutating func setReceiveBuffer(_ bytes: Int) {
        flowControl.maxStreamWindow = bytes
        streams.receiveHighWatermark = bytes / 4
        streams.receiveLowWatermark = bytes / 32
    }
}
