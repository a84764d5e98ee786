import Testing

@testable import QuicCore

/// Floods of control frames, with the limits that the configuration sets: as many as it allows pass, one more ends the
/// connection.
@Suite(.timeLimit(.minutes(1))) struct ControlFrameFloodTests {
    /// Which of the limits a frame draws on.
    enum Limit { case connectionControl, streamControl, ping }

    struct Flood: Sendable, CustomTestStringConvertible {
        var name: String
        var limit: Limit
        var frame: [UInt8]
        var victims: [Victim] = Victim.allCases
        /// The number of a stream that the attacker may open.
        var stream: @Sendable (Victim) -> UInt64 = { $0 == .server ? 0 : 1 }
        /// Whether the stream's number follows the type.
        var namesStream = false

        var testDescription: String { name }

        func bytes(for victim: Victim) -> [UInt8] {
            namesStream ? [frame[0]] + varint(stream(victim)) + frame[1...] : frame
        }
    }

    static let floods: [Flood] = [
        // ID number 8 is one more than the attacker's library has issued. It says the same each time.
        .init(name: "NEW_CONNECTION_ID", limit: .connectionControl, frame: newConnectionID(8, retire: 2)),
        // The first ID but one: that of the handshake is in use.
        .init(name: "RETIRE_CONNECTION_ID", limit: .connectionControl, frame: [0x19, 1]),
        .init(name: "PATH_CHALLENGE", limit: .connectionControl, frame: [0x1a, 1, 2, 3, 4, 5, 6, 7, 8]),
        .init(name: "PATH_RESPONSE", limit: .connectionControl, frame: [0x1b, 1, 2, 3, 4, 5, 6, 7, 8]),
        .init(name: "NEW_TOKEN", limit: .connectionControl, frame: [7, 2, 1, 2], victims: [.client]),
        .init(name: "HANDSHAKE_DONE", limit: .connectionControl, frame: [0x1e], victims: [.client]),
        .init(name: "RESET_STREAM", limit: .streamControl, frame: [4, 0, 0], namesStream: true),
        .init(name: "STOP_SENDING", limit: .streamControl, frame: [5, 0], namesStream: true),
        .init(name: "STREAM without data", limit: .streamControl, frame: [0x0a, 0], namesStream: true),
        .init(name: "MAX_DATA", limit: .streamControl, frame: [0x10, 1]),
        .init(name: "MAX_STREAM_DATA", limit: .streamControl, frame: [0x11, 1], namesStream: true),
        .init(name: "MAX_STREAMS bidirectional", limit: .streamControl, frame: [0x12, 1]),
        .init(name: "MAX_STREAMS unidirectional", limit: .streamControl, frame: [0x13, 1]),
        .init(name: "DATA_BLOCKED", limit: .streamControl, frame: [0x14, 1]),
        .init(name: "STREAM_DATA_BLOCKED", limit: .streamControl, frame: [0x15, 1], namesStream: true),
        .init(name: "STREAMS_BLOCKED bidirectional", limit: .streamControl, frame: [0x16, 1]),
        // The library refuses one that names more streams than were allowed.
        .init(name: "STREAMS_BLOCKED unidirectional", limit: .streamControl, frame: [0x17, 0]),
        .init(name: "PING", limit: .ping, frame: [1]),
    ]

    /// All limits differ, so that a frame which draws on another than its own is noticed.
    private static func configuration() -> QuicConfiguration {
        var configuration = QuicConfiguration.defaults
        configuration.frameGuard.connectionControl = .init(perSecond: 10, burst: 25)
        configuration.frameGuard.streamControl = .init(perSecond: 20, burst: 40)
        configuration.frameGuard.ping = .init(perSecond: 30, burst: 60)
        return configuration
    }

    @Test(arguments: floods) func aFloodEndsAtTheConfiguredLimit(flood: Flood) throws {
        let (burst, perSecond) =
            switch flood.limit {
            case .connectionControl: (25, 10)
            case .streamControl: (40, 20)
            case .ping: (60, 30)
            }
        for victim in flood.victims {
            let attack = try FrameAttack(on: victim, at: .oneRTT, configuration: Self.configuration())
            let frame = flood.bytes(for: victim)
            attack.inject(frame, times: burst)
            #expect(attack.end == nil, "\(burst) at once are allowed, \(victim)")
            // A second later as many more as the rate says.
            attack.network.now += 1_000_000_000
            attack.inject(frame, times: perSecond)
            #expect(attack.end == nil, "\(perSecond) a second are allowed, \(victim)")
            attack.inject(frame)
            #expect(attack.end != nil, "\(victim)")
            try attack.expectClosed(.protocolViolation, frame: frame[0])
        }
    }

    @Test(arguments: Victim.allCases) func theDefaultsEndFloodsToo(victim: Victim) throws {
        let limits = QuicConfiguration.defaults.frameGuard
        for (frame, rate) in [([0x1a] + [UInt8](repeating: 7, count: 8), limits.connectionControl), ([1], limits.ping)]
        {
            let attack = try FrameAttack(on: victim, at: .oneRTT)
            attack.inject(frame, times: rate.burst)
            #expect(attack.end == nil)
            attack.inject(frame)
            try attack.expectClosed(.protocolViolation, frame: frame[0])
        }
    }

    @Test(arguments: Victim.allCases) func pingsAreCountedInHandshakePacketsToo(victim: Victim) throws {
        let attack = try FrameAttack(on: victim, at: .handshake, configuration: Self.configuration())
        attack.inject([1], times: 61)
        try attack.expectClosed(.protocolViolation, frame: 1)
    }

    @Test func anAcknowledgementHasNoMoreRangesThanConfigured() throws {
        func ack(ranges: Int) -> [UInt8] {
            // Ranges of one packet with gaps of one, all of packets that were sent.
            [2] + varint(UInt64(2 * ranges)) + [0] + varint(UInt64(ranges)) + [0]
                + [UInt8](repeating: 0, count: 2 * ranges)
        }
        var configuration = QuicConfiguration.defaults
        configuration.frameGuard.maxAckRanges = 3
        let attack = try FrameAttack(on: .server, at: .oneRTT, configuration: configuration)
        // The victim has sent several packets: its number is taken from the highest one acknowledged.
        attack.inject(ack(ranges: 4))
        try attack.expectClosed(.protocolViolation, frame: 2)
        let other = try FrameAttack(on: .server, at: .oneRTT)
        other.inject(ack(ranges: 512))
        // Not the guard: the library minds that these packets were never sent.
        #expect(other.end?.reason == "")
        let third = try FrameAttack(on: .server, at: .oneRTT)
        third.inject(ack(ranges: 513))
        try third.expectClosed(.protocolViolation, frame: 2)
    }
}
