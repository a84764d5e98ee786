import CNgtcp2Shims
import Testing

@testable import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct QuicConfigurationTests {
    typealias Change = @Sendable (inout QuicConfiguration) -> Void

    @Test func defaultsAndPresetsAreValid() throws {
        for configuration in [
            QuicConfiguration.defaults, .highThroughput, .lowLatency, .manyStreams, .memoryConstrained,
        ] {
            try configuration.validate()
        }
    }

    @Test func namesTheFieldThatIsInvalid() {
        let cases: [(String, Change)] = [
            ("versions", { $0.versions = [] }),
            ("versions", { $0.versions = [.v1, .negotiation] }),
            ("versions", { $0.versions = [.v1, .v1] }),
            ("versions", { $0.versions = [.v2] }),
            ("alpn", { $0.alpn = [] }),
            ("alpn", { $0.alpn = [""] }),
            ("alpn", { $0.alpn = [String(repeating: "x", count: 256)] }),
            ("keepAliveInterval", { $0.keepAliveInterval = .zero }),
            ("initialRoundTrip", { $0.initialRoundTrip = .zero }),
            ("initialRoundTrip", { $0.initialRoundTrip = .seconds(11) }),
            ("keepAliveInterval", { $0.keepAliveInterval = .seconds(30) }),
            ("timeouts.dial", { $0.timeouts.dial = .zero }),
            ("timeouts.handshake", { $0.timeouts.handshake = .seconds(-1) }),
            ("timeouts.inboundHandshake", { $0.timeouts.inboundHandshake = .zero }),
            (
                "timeouts.idle",
                {
                    $0.timeouts.idle = .zero; $0.keepAliveInterval = nil
                }
            ),
            ("timeouts.idle", { $0.timeouts.idle = .seconds(Int64.max) }),
            ("timeouts.close", { $0.timeouts.close = .zero }),
            ("udp.loops", { $0.udp.loops = 0 }),
            ("udp.loops", { $0.udp.loops = 257 }),
            ("timeouts.streamOpen", { $0.timeouts.streamOpen = .zero }),
            ("timeouts.streamAccept", { $0.timeouts.streamAccept = .zero }),
            ("timeouts.streamRead", { $0.timeouts.streamRead = .zero }),
            ("timeouts.streamWrite", { $0.timeouts.streamWrite = .zero }),
            ("timeouts.streamClose", { $0.timeouts.streamClose = .zero }),
            ("streams.maxInbound", { $0.streams.maxInbound = 0 }),
            ("streams.maxInbound", { $0.streams.maxInbound = .max }),
            ("streams.maxOutbound", { $0.streams.maxOutbound = 0 }),
            ("streams.initialInboundCredit", { $0.streams.initialInboundCredit = 1001 }),
            ("streams.initialInboundCredit", { $0.streams.initialInboundCredit = -1 }),
            ("streams.sendBufferHighWatermark", { $0.streams.sendBufferHighWatermark = 0 }),
            ("streams.maxSendBufferOfConnection", { $0.streams.maxSendBufferOfConnection = 0 }),
            ("streams.maxSendBufferOfConnection", { $0.streams.maxSendBufferOfConnection = 1 << 20 - 1 }),
            ("streams.receiveLowWatermark", { $0.streams.receiveLowWatermark = 512 << 10 }),
            ("streams.receiveLowWatermark", { $0.streams.receiveLowWatermark = -1 }),
            ("streams.receiveHighWatermark", { $0.streams.receiveHighWatermark = 3 << 20 }),
            ("flowControl.streamWindow", { $0.flowControl.streamWindow = 0 }),
            ("flowControl.connectionWindow", { $0.flowControl.connectionWindow = 1 }),
            ("flowControl.maxStreamWindow", { $0.flowControl.maxStreamWindow = 1 }),
            ("flowControl.maxConnectionWindow", { $0.flowControl.maxConnectionWindow = 1 << 20 }),
            ("flowControl.maxConnectionWindow", { $0.flowControl.maxConnectionWindow = .max }),
            ("endpoint.maxConnections", { $0.endpoint.maxConnections = 0 }),
            ("endpoint.maxHalfOpen", { $0.endpoint.maxHalfOpen = 0 }),
            ("endpoint.maxHalfOpenPerSource", { $0.endpoint.maxHalfOpenPerSource = 513 }),
            ("endpoint.acceptQueueLimit", { $0.endpoint.acceptQueueLimit = 0 }),
            ("endpoint.retry", { $0.endpoint.retry = .aboveRate(0) }),
            ("endpoint.retry", { $0.endpoint.retry = .aboveRate(.max) }),
            ("endpoint.statelessResetKey", { $0.endpoint.statelessResetKey = [1, 2, 3] }),
            ("udp.initialPayloadSize", { $0.udp.initialPayloadSize = 1199 }),
            ("udp.initialPayloadSize", { $0.udp.initialPayloadSize = 65_528 }),
            ("udp.initialPayloadSize", { $0.udp.initialPayloadSize = 1501 }),
            ("udp.maxPayloadSize", { $0.udp.maxPayloadSize = 1199 }),
            ("maxDatagramFrameSize", { $0.maxDatagramFrameSize = -1 }),
            ("maxDatagramFrameSize", { $0.maxDatagramFrameSize = 65_536 }),
            ("maxQueuedDatagrams", { $0.maxQueuedDatagrams = 0 }),
            ("udp.maxPayloadSize", { $0.udp.maxPayloadSize = 65_001 }),
            ("udp.sendBufferSize", { $0.udp.sendBufferSize = 0 }),
            ("udp.receiveBufferSize", { $0.udp.receiveBufferSize = .max }),
            ("udp.busyPoll", { $0.udp.busyPoll = .microseconds(-1) }),
            ("udp.busyPoll", { $0.udp.busyPoll = .microseconds(1001) }),
            ("frameGuard.ping.perSecond", { $0.frameGuard.ping.perSecond = 0 }),
            ("frameGuard.streamControl.burst", { $0.frameGuard.streamControl.burst = 0 }),
            ("frameGuard.connectionControl.perSecond", { $0.frameGuard.connectionControl.perSecond = 0 }),
            ("frameGuard.connectionControl.burst", { $0.frameGuard.connectionControl.burst = .max }),
            ("frameGuard.maxAckRanges", { $0.frameGuard.maxAckRanges = 0 }),
        ]
        for (field, change) in cases {
            var configuration = QuicConfiguration.defaults
            change(&configuration)
            let error = #expect(throws: QuicError.self, "\(field)") { try configuration.validate() }
            #expect(error?.code == .invalidConfiguration)
            #expect(error?.field == field)
            #expect(error?.message.hasPrefix(field) == true)
        }
    }

    @Test func takesNoDeadlineWhereNoneIsAllowed() throws {
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.streamOpen = nil
        configuration.timeouts.streamRead = nil
        configuration.timeouts.streamWrite = nil
        configuration.timeouts.streamAccept = .seconds(30)
        configuration.keepAliveInterval = nil
        configuration.udp.sendBufferSize = nil
        try configuration.validate()
    }

    /// In a process of its own: other tests may read the environment meanwhile.
    @Test func qlogsGoWhereTheEnvironmentSaysOnlyIfTheProgramAsksForIt() async {
        await #expect(processExitsWith: .success) {
            setenv("QLOGDIR", "/nowhere/in particular", 1)
            #expect(QuicConfiguration.qlogDirectoryFromEnvironment == "/nowhere/in particular")
            #expect(QuicConfiguration().qlogDirectory == nil)
            setenv("QLOGDIR", "", 1)
            #expect(QuicConfiguration.qlogDirectoryFromEnvironment == nil)
            unsetenv("QLOGDIR")
            #expect(QuicConfiguration.qlogDirectoryFromEnvironment == nil)
        }
    }

    @Test func handsItsFrameLimitsToTheGuard() {
        var limits = QuicConfiguration.FrameGuard()
        limits.ping = .init(perSecond: 7, burst: 9)
        limits.maxAckRanges = 11
        #expect(limits.shimLimits.ping.per_second == 7)
        #expect(limits.shimLimits.ping.burst == 9)
        #expect(limits.shimLimits.connection_control.per_second == 100)
        #expect(limits.shimLimits.stream_control.burst == 50_000)
        #expect(limits.shimLimits.max_ack_ranges == 11)
    }

    @Test func clampsDurationsToNanoseconds() {
        #expect(Duration.milliseconds(1500).clampedNanoseconds == 1_500_000_000)
        #expect(Duration.seconds(-1).clampedNanoseconds == 0)
        #expect(Duration.milliseconds(-1).clampedNanoseconds == 0)
        #expect(Duration.seconds(Int64.max).clampedNanoseconds == .max)
        #expect(
            Duration(secondsComponent: 1 << 32, attosecondsComponent: 0).clampedNanoseconds == (1 << 32) * 1_000_000_000
        )
    }
}
