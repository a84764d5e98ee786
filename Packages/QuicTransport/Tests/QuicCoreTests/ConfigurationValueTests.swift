import Testing

@testable import QuicCore

/// The values themselves: the contract for those who configure nothing, or name a preset.
@Suite struct ConfigurationValueTests {
    /// Every field by its path, as text.
    private func values(of value: Any, _ prefix: String = "") -> [String: String] {
        Mirror(reflecting: value).children.reduce(into: [:]) { all, child in
            guard let label = child.label else { return }
            let mirror = Mirror(reflecting: child.value)
            let isOurs = String(reflecting: type(of: child.value)).hasPrefix("QuicCore.QuicConfiguration.")
            if mirror.displayStyle == .struct, isOurs {
                all.merge(values(of: child.value, prefix + label + ".")) { $1 }
            } else if mirror.displayStyle == .optional {
                all[prefix + label] = mirror.children.first.map { "\($0.value)" } ?? "nil"
            } else {
                all[prefix + label] = "\(child.value)"
            }
        }
    }

    /// Lines of a path and a value.
    private func parse(_ text: String) -> [String: String] {
        text.split(separator: "\n").reduce(into: [:]) { all, line in
            let parts = line.split(separator: " ", maxSplits: 1)
            all[String(parts[0])] = String(parts[1])
        }
    }

    @Test func everyDefaultIsAsItIsDocumented() {
        let expected = parse(
            """
            timeouts.dial 10.0 seconds
            timeouts.handshake 60.0 seconds
            timeouts.inboundHandshake 10.0 seconds
            timeouts.idle 30.0 seconds
            timeouts.close 10.0 seconds
            timeouts.streamOpen 30.0 seconds
            timeouts.streamAccept nil
            timeouts.streamRead 30.0 seconds
            timeouts.streamWrite 30.0 seconds
            timeouts.streamClose 10.0 seconds
            streams.initialInboundCredit 100
            streams.maxInbound 1000
            streams.maxOutbound 1000
            streams.sendBufferHighWatermark 1048576
            streams.maxSendBufferOfConnection 104857600
            streams.receiveHighWatermark 524288
            streams.receiveLowWatermark 65536
            flowControl.streamWindow 65536
            flowControl.connectionWindow 1048576
            flowControl.autoTuning true
            flowControl.maxStreamWindow 2097152
            flowControl.maxConnectionWindow 15728640
            endpoint.maxConnections 1000
            endpoint.maxHalfOpen 512
            endpoint.maxHalfOpenPerSource 128
            endpoint.acceptQueueLimit 256
            endpoint.retry aboveRate(1000)
            endpoint.statelessResetKey nil
            udp.initialPayloadSize 1200
            udp.maxPayloadSize 1452
            udp.segmentationOffload true
            udp.receiveOffload true
            udp.sendBufferSize 4194304
            udp.receiveBufferSize 7340032
            udp.busyPoll 0.0 seconds
            udp.loops 1
            udp.reusesListeningSocket true
            udp.dialPort 0
            frameGuard.connectionControl.perSecond 100
            frameGuard.connectionControl.burst 1000
            frameGuard.streamControl.perSecond 50000
            frameGuard.streamControl.burst 50000
            frameGuard.ping.perSecond 50000
            frameGuard.ping.burst 50000
            frameGuard.maxAckRanges 512
            migration.followsPeer true
            migration.allowsOwn true
            keepAliveInterval 15.0 seconds
            initialRoundTrip 0.1 seconds
            versions \([QuicVersion.v1])
            alpn ["libp2p"]
            resumption off
            qlogDirectory nil
            maxDatagramFrameSize 0
            maxQueuedDatagrams 64
            congestionControl cubic
            packetProtection automatic
            """
        )
        #expect(values(of: QuicConfiguration.defaults) == expected)
    }

    /// A preset and what it changes.
    struct Preset: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var configuration: QuicConfiguration
        var difference: String

        static let all = [
            Preset(
                testDescription: "highThroughput",
                configuration: .highThroughput,
                difference: """
                    flowControl.streamWindow 2097152
                    flowControl.connectionWindow 10485760
                    flowControl.maxStreamWindow 4194304
                    flowControl.maxConnectionWindow 25165824
                    streams.sendBufferHighWatermark 4194304
                    streams.maxSendBufferOfConnection 419430400
                    """
            ),
            Preset(
                testDescription: "lowLatency",
                configuration: .lowLatency,
                difference: """
                    timeouts.streamOpen 1.0 seconds
                    timeouts.streamRead 5.0 seconds
                    timeouts.streamWrite 5.0 seconds
                    """
            ),
            Preset(
                testDescription: "manyStreams",
                configuration: .manyStreams,
                difference: """
                    streams.initialInboundCredit 5000
                    streams.maxInbound 5000
                    streams.maxOutbound 5000
                    flowControl.streamWindow 131072
                    flowControl.maxStreamWindow 262144
                    streams.receiveHighWatermark 65536
                    streams.receiveLowWatermark 8192
                    streams.sendBufferHighWatermark 131072
                    """
            ),
            Preset(
                testDescription: "memoryConstrained",
                configuration: .memoryConstrained,
                difference: """
                    streams.maxInbound 100
                    streams.maxOutbound 100
                    flowControl.connectionWindow 262144
                    flowControl.maxStreamWindow 131072
                    streams.receiveHighWatermark 32768
                    streams.receiveLowWatermark 4096
                    flowControl.maxConnectionWindow 524288
                    streams.sendBufferHighWatermark 65536
                    streams.maxSendBufferOfConnection 4194304
                    endpoint.maxHalfOpen 64
                    endpoint.maxHalfOpenPerSource 16
                    endpoint.acceptQueueLimit 32
                    udp.sendBufferSize nil
                    udp.receiveBufferSize nil
                    """
            ),
        ]
    }

    @Test(arguments: Preset.all)
    func aPresetDiffersFromTheDefaultsInThisAndNothingElse(_ preset: Preset) {
        let defaults = values(of: QuicConfiguration.defaults)
        let changed = values(of: preset.configuration).filter { defaults[$0.key] != $0.value }
        #expect(changed == parse(preset.difference))
    }
}
