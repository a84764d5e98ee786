internal import CNgtcp2Shims

/// What one connection is made with: `QuicConfiguration` as the C library wants it. Durations are nanoseconds.
struct ConnectionParameters {
    var version: UInt32
    var idleTimeout: UInt64
    /// What the round trip is taken to be before it is measured.
    var initialRoundTrip: UInt64
    var handshakeTimeout: UInt64
    /// The longest a closed connection is kept.
    var closeTimeout: UInt64
    var keepAlive: UInt64
    var connectionWindow: UInt64
    var streamWindow: UInt64
    /// 0: no auto-tuning.
    var maxConnectionWindow: UInt64
    var maxStreamWindow: UInt64
    var inboundStreams: UInt64
    var initialPayload: Int
    /// The largest payload that path MTU discovery may try.
    var maxPayload: Int
    /// The largest UDP payload that the peer may send: what UDP carries over IPv4 and IPv6 alike (RFC 9000 §18.2).
    var maxReceivedPayload: UInt64 = 65_527
    var congestion: UInt8
    var maxDatagramFrame: UInt64
    var maxQueuedDatagrams: Int
    var migration: QuicConfiguration.Migration
    var guardLimits: lp2p_frame_guard_limits
    var protection: lp2p_protection

    /// Translates a valid configuration.
    init(_ configuration: QuicConfiguration) {
        version = (configuration.versions.first ?? .v1).rawValue
        idleTimeout = configuration.timeouts.idle.clampedNanoseconds
        initialRoundTrip = configuration.initialRoundTrip.clampedNanoseconds
        closeTimeout = configuration.timeouts.close.clampedNanoseconds
        handshakeTimeout = configuration.timeouts.handshake.clampedNanoseconds
        keepAlive = configuration.keepAliveInterval?.clampedNanoseconds ?? 0
        let windows = configuration.flowControl
        connectionWindow = UInt64(clamping: windows.connectionWindow)
        streamWindow = UInt64(clamping: windows.streamWindow)
        maxConnectionWindow = windows.autoTuning ? UInt64(clamping: windows.maxConnectionWindow) : 0
        maxStreamWindow = windows.autoTuning ? UInt64(clamping: windows.maxStreamWindow) : 0
        inboundStreams = UInt64(
            clamping: min(configuration.streams.initialInboundCredit, configuration.streams.maxInbound)
        )
        initialPayload = configuration.udp.initialPayloadSize
        maxPayload = configuration.udp.maxPayloadSize
        congestion =
            switch configuration.congestionControl {
            case .cubic: 0
            case .reno: 1
            case .bbr: 2
            }
        migration = configuration.migration
        maxDatagramFrame = UInt64(clamping: configuration.maxDatagramFrameSize)
        maxQueuedDatagrams = configuration.maxQueuedDatagrams
        guardLimits = configuration.frameGuard.shimLimits
        protection = lp2p_protection(configuration.packetProtection)
    }
}

extension ConnectionParameters {
    /// The limits that a client remembers for early data, as what a server's tickets are bound to: a server must not take early
    /// data that was sent under larger ones than it has now (RFC 9000 §7.4.1). Endpoints of other settings may have the same
    /// TLS context, and so the same key for tickets; with this, a ticket is good where the limits are the same, and elsewhere
    /// it leads to a full handshake.
    var ticketPurpose: [UInt8] {
        let limits = [connectionWindow, streamWindow, inboundStreams, maxDatagramFrame]
        return limits.flatMap { limit in (0..<8).map { UInt8(truncatingIfNeeded: limit >> (8 * $0)) } }
    }

    /// What lets the windows of a connection and of each stream grow, where the library cannot be left to do it.
    var windowTuners: (connection: WindowTuner?, stream: WindowTuner?) {
        guard lp2p_library_tunes_windows() == 0, maxConnectionWindow > 0, maxStreamWindow > 0 else { return (nil, nil) }
        return (
            WindowTuner(window: connectionWindow, limit: maxConnectionWindow),
            WindowTuner(window: streamWindow, limit: maxStreamWindow)
        )
    }
}

extension lp2p_config {
    init(_ parameters: ConnectionParameters, now: UInt64) {
        self.init()
        version = parameters.version
        self.now = now
        idle_timeout = parameters.idleTimeout
        initial_rtt = parameters.initialRoundTrip
        handshake_timeout = parameters.handshakeTimeout
        keep_alive = parameters.keepAlive
        initial_max_data = parameters.connectionWindow
        initial_max_stream_data_local = parameters.streamWindow
        initial_max_stream_data_remote = parameters.streamWindow
        // libp2p uses bidirectional streams only: no credit for the other kind, so that a peer cannot open any.
        initial_max_stream_data_uni = 0
        initial_max_streams_bidi = parameters.inboundStreams
        initial_max_streams_uni = 0
        max_window = parameters.maxConnectionWindow
        max_stream_window = parameters.maxStreamWindow
        max_received_payload = parameters.maxReceivedPayload
        // The one in use, and three for moves: each costs both sides a key derivation, a place in their tables and a frame.
        active_connection_id_limit = 4
        max_datagram_frame_size = parameters.maxDatagramFrame
        udp_payload = parameters.initialPayload
        max_udp_payload = parameters.maxPayload
        congestion = parameters.congestion
        protection = UInt8(parameters.protection.rawValue)
        pins_peer = parameters.migration.followsPeer ? 0 : 1
        self.`guard` = parameters.guardLimits
    }
}

extension lp2p_cid {
    init(_ id: ConnectionID) {
        self.init()
        length = id.count
        id.withUnsafeBytes { source in
            withUnsafeMutableBytes(of: &bytes) { $0.copyMemory(from: source) }
        }
    }

    var connectionID: ConnectionID {
        withUnsafeBytes(of: bytes) { whole in
            ConnectionID(UnsafeRawBufferPointer(rebasing: whole[..<min(length, whole.count)])) ?? .empty
        }
    }
}
