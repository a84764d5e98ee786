extension QuicConfiguration {
    /// Checks every field.
    ///
    /// - Throws: ``QuicError`` of code ``QuicError/Code/invalidConfiguration`` whose ``QuicError/field`` names the first
    ///   field that is invalid, and whose message says what it must be.
    public func validate() throws(QuicError) {
        try validateGeneral()
        try timeouts.validate()
        try streams.validate()
        try flowControl.validate()
        try validateWatermarks()
        try endpoint.validate()
        try udp.validate()
        try frameGuard.validate()
    }

    private func validateGeneral() throws(QuicError) {
        try require(!versions.isEmpty, "versions", "must name at least one QUIC version")
        try require(!versions.contains(.negotiation), "versions", "must not contain 0, which is no version")
        try require(versions.contains(.v1), "versions", "must contain version 1, which /quic-v1 addresses mean")
        try require(Set(versions).count == versions.count, "versions", "must not name a version twice")
        try require(!alpn.isEmpty, "alpn", "must name at least one application protocol, such as libp2p")
        try require(
            alpn.allSatisfy { (1...255).contains($0.utf8.count) },
            "alpn",
            "must have names of 1 to 255 bytes"
        )
        try require((0...65_535).contains(maxDatagramFrameSize), "maxDatagramFrameSize", "must be between 0 and 65535")
        try require((1...65_536).contains(maxQueuedDatagrams), "maxQueuedDatagrams", "must be between 1 and 65536")
        try require(
            initialRoundTrip >= .milliseconds(1) && initialRoundTrip <= .seconds(10),
            "initialRoundTrip",
            "must be between 1 ms and 10 s"
        )
        if packetProtection == .ipsecMB, let obstacle = PacketProtection.ipsecMBObstacle {
            throw .invalidConfiguration(field: "packetProtection", "cannot be ipsecMB here: ipsec-mb \(obstacle)")
        }
        if let keepAliveInterval {
            try requirePositive(keepAliveInterval, "keepAliveInterval")
            try require(
                keepAliveInterval < timeouts.idle,
                "keepAliveInterval",
                "must be shorter than timeouts.idle (\(timeouts.idle)), or nil for none"
            )
        }
    }

    private func validateWatermarks() throws(QuicError) {
        try require(
            streams.receiveHighWatermark <= flowControl.maxStreamWindow,
            "streams.receiveHighWatermark",
            "must not exceed flowControl.maxStreamWindow (\(flowControl.maxStreamWindow))"
        )
    }
}

extension QuicConfiguration.Timeouts {
    fileprivate func validate() throws(QuicError) {
        try requirePositive(dial, "timeouts.dial")
        try requirePositive(handshake, "timeouts.handshake")
        try requirePositive(inboundHandshake, "timeouts.inboundHandshake")
        try requirePositive(idle, "timeouts.idle")
        try requirePositive(close, "timeouts.close")
        try requirePositive(streamOpen, "timeouts.streamOpen")
        try requirePositive(streamAccept, "timeouts.streamAccept")
        try requirePositive(streamRead, "timeouts.streamRead")
        try requirePositive(streamWrite, "timeouts.streamWrite")
        try requirePositive(streamClose, "timeouts.streamClose")
    }
}

extension QuicConfiguration.Streams {
    fileprivate func validate() throws(QuicError) {
        try requirePositive(maxInbound, "streams.maxInbound")
        // RFC 9000 §4.6: stream counts end at 2^60.
        try require(maxInbound <= 1 << 60, "streams.maxInbound", "must be at most 2^60")
        try requirePositive(maxOutbound, "streams.maxOutbound")
        try require(
            (0...maxInbound).contains(initialInboundCredit),
            "streams.initialInboundCredit",
            "must be between 0 and streams.maxInbound (\(maxInbound))"
        )
        try requirePositive(sendBufferHighWatermark, "streams.sendBufferHighWatermark")
        try require(
            maxSendBufferOfConnection >= max(sendBufferHighWatermark, 64 << 10),
            "streams.maxSendBufferOfConnection",
            "must be at least 65536 and streams.sendBufferHighWatermark (\(sendBufferHighWatermark))"
        )
        try require(receiveLowWatermark >= 0, "streams.receiveLowWatermark", "must not be negative")
        try require(
            receiveLowWatermark < receiveHighWatermark,
            "streams.receiveLowWatermark",
            "must be below streams.receiveHighWatermark (\(receiveHighWatermark))"
        )
    }
}

extension QuicConfiguration.FlowControl {
    fileprivate func validate() throws(QuicError) {
        try requirePositive(streamWindow, "flowControl.streamWindow")
        try require(
            connectionWindow >= streamWindow,
            "flowControl.connectionWindow",
            "must be at least flowControl.streamWindow (\(streamWindow))"
        )
        try require(
            maxStreamWindow >= streamWindow,
            "flowControl.maxStreamWindow",
            "must be at least flowControl.streamWindow (\(streamWindow))"
        )
        try require(
            maxConnectionWindow >= max(connectionWindow, maxStreamWindow),
            "flowControl.maxConnectionWindow",
            "must be at least flowControl.connectionWindow and flowControl.maxStreamWindow "
                + "(\(max(connectionWindow, maxStreamWindow)))"
        )
        // RFC 9000 §4.1: a window's end has to stay within 62 bits.
        try require(maxConnectionWindow <= 1 << 40, "flowControl.maxConnectionWindow", "must be at most 2^40")
    }
}

extension QuicConfiguration.Endpoint {
    fileprivate func validate() throws(QuicError) {
        try requirePositive(maxConnections, "endpoint.maxConnections")
        try requirePositive(maxHalfOpen, "endpoint.maxHalfOpen")
        try require(
            (1...maxHalfOpen).contains(maxHalfOpenPerSource),
            "endpoint.maxHalfOpenPerSource",
            "must be between 1 and endpoint.maxHalfOpen (\(maxHalfOpen))"
        )
        try requirePositive(acceptQueueLimit, "endpoint.acceptQueueLimit")
        if case .aboveRate(let rate) = retry {
            try require((1...1_000_000_000).contains(rate), "endpoint.retry", "must have a rate of 1 to 10^9 a second")
        }
        if let statelessResetKey {
            try require(
                statelessResetKey.count >= 32,
                "endpoint.statelessResetKey",
                "must have at least 32 random bytes, or be nil for a random key"
            )
        }
    }
}

extension QuicConfiguration.UDP {
    fileprivate func validate() throws(QuicError) {
        try require(
            (1200...65_000).contains(maxPayloadSize),
            "udp.maxPayloadSize",
            "must be between 1200 (RFC 9000 §14) and 65000 bytes"
        )
        let largest = max(1500, maxPayloadSize)
        try require(
            (1200...largest).contains(initialPayloadSize),
            "udp.initialPayloadSize",
            "must be between 1200 (RFC 9000 §14) and \(largest) bytes (1500, or udp.maxPayloadSize where that is larger)"
        )
        try require((1...256).contains(loops), "udp.loops", "must be between 1 and 256")
        try require(
            (.zero ... .milliseconds(1)).contains(busyPoll),
            "udp.busyPoll",
            "must be between zero and a millisecond"
        )
        if let sendBufferSize { try requireSocketBuffer(sendBufferSize, "udp.sendBufferSize") }
        if let receiveBufferSize { try requireSocketBuffer(receiveBufferSize, "udp.receiveBufferSize") }
    }

    private func requireSocketBuffer(_ size: Int, _ field: String) throws(QuicError) {
        try require((1...Int(Int32.max)).contains(size), field, "must be between 1 and 2^31 - 1 bytes, or nil")
    }
}

extension QuicConfiguration.FrameGuard {
    fileprivate func validate() throws(QuicError) {
        try validate(connectionControl, "frameGuard.connectionControl")
        try validate(streamControl, "frameGuard.streamControl")
        try validate(ping, "frameGuard.ping")
        try require((1...65_536).contains(maxAckRanges), "frameGuard.maxAckRanges", "must be between 1 and 65536")
    }

    private func validate(_ rate: Rate, _ field: String) throws(QuicError) {
        try require((1...1_000_000_000).contains(rate.perSecond), "\(field).perSecond", "must be between 1 and 10^9")
        try require((1...1_000_000_000).contains(rate.burst), "\(field).burst", "must be between 1 and 10^9")
    }
}

private func require(
    _ condition: Bool,
    _ field: String,
    _ message: @autoclosure () -> String
) throws(QuicError) {
    guard condition else { throw .invalidConfiguration(field: field, message()) }
}

private func requirePositive(_ value: Int, _ field: String) throws(QuicError) {
    try require(value > 0, field, "must be above 0")
}

private func requirePositive(_ value: Duration?, _ field: String) throws(QuicError) {
    guard let value else { return }
    // A deadline must fit into 64 bits of nanoseconds, with room to add the time of day.
    try require(value > .zero && value <= .seconds(1 << 32), field, "must be above 0 and at most 2^32 seconds")
}
