import Libp2pTLS
import Testing

@testable import QuicCore

/// Connections between ends that protect their packets with one library and with the other.
@Suite(.timeLimit(.minutes(2))) struct PacketProtectionConnectionTests {
    typealias Protection = QuicConfiguration.PacketProtection

    struct Pairing: Sendable, CustomTestStringConvertible {
        var client: Protection
        var server: Protection
        var cipher: CipherSuite
        var version: QuicVersion

        var testDescription: String { "\(client) to \(server), \(cipher), version \(version)" }
    }

    /// ngtcp2 0.12.1 has only a draft of version 2.
    private static let versions = [QuicVersion.v1, .v2].filter(\.isInstalled)

    private static let pairings: [Pairing] = [.gnutls, .automatic].flatMap { client in
        [Protection.gnutls, .automatic].flatMap { server in
            CipherSuite.allCases.flatMap { cipher in
                versions.map { Pairing(client: client, server: server, cipher: cipher, version: $0) }
            }
        }
    }

    private func node(_ protection: Protection, _ pairing: Pairing, port: UInt16, accepts: Bool) throws -> CoreNode {
        var configuration = QuicConfiguration.defaults
        configuration.keepAliveInterval = nil
        configuration.packetProtection = protection
        configuration.versions = pairing.version == .v1 ? [.v1] : [pairing.version, .v1]
        try configuration.validate()
        var tls = TLSConfiguration.defaults
        tls.cipherSuites = [pairing.cipher]
        return try CoreNode(port: port, seed: UInt64(port), configuration: configuration, accepts: accepts, tls: tls)
    }

    /// What a connection with this setting and cipher has to come to.
    private func expected(_ protection: Protection, _ cipher: CipherSuite) -> Protection {
        cipher == .chaCha20 ? .gnutls : protection.resolved
    }

    @Test(arguments: pairings)
    func everyPairTalksThroughKeyUpdatesAndDamage(_ pairing: Pairing) throws {
        let client = try node(pairing.client, pairing, port: 1101, accepts: false)
        let server = try node(pairing.server, pairing, port: 1102, accepts: true)
        let network = CoreNetwork(latency: 5_000_000, client, server)
        let dialed = try network.dial(from: client, to: server, expecting: nil)
        try #require(network.run(seconds: 5) { client.events(of: dialed).isConfirmed })
        let accepted = try #require(server.opened.first)
        #expect(dialed.packetProtection == expected(pairing.client, pairing.cipher))
        #expect(accepted.packetProtection == expected(pairing.server, pairing.cipher))

        // One datagram in ten is damaged: it must be dropped as before, and what it carried sent again.
        var generator = SeededGenerator(seed: 77)
        var damaged = 0
        network.filter = { packet in
            guard generator.next() % 10 == 0, packet.bytes.count > 60 else { return packet }
            damaged += 1
            var packet = packet
            packet.bytes[Int(generator.next() % UInt64(packet.bytes.count - 30)) + 30] ^= 0x10
            return packet
        }
        let payload = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for (sender, node, receiver) in [(dialed, client, server), (accepted, server, client)] {
            for _ in 0..<2 {
                // The next keys are made when packets are written.
                network.service(sender, of: node)
                try sender.updateKeys(now: network.now)
                let stream = try #require(try sender.openStream())
                sender.send([SendSegment(copying: payload)].compactMap { $0 }, isEnd: true, on: stream)
                network.service(sender, of: node)
                try #require(network.run(seconds: 20) { receiver.ended.contains(stream) })
                #expect(receiver.received[stream] == payload)
                network.run(seconds: 3)
            }
        }
        #expect(damaged > 3)
        #expect(dialed.isOpen && accepted.isOpen)
    }

    @Test func whereItCannotBeUsedTheConfigurationSaysWhatIsMissing() throws {
        var configuration = QuicConfiguration.defaults
        configuration.packetProtection = .ipsecMB
        if let obstacle = Protection.ipsecMBObstacle {
            let error = #expect(throws: QuicError.self) { try configuration.validate() }
            #expect(error?.code == .invalidConfiguration)
            #expect(error?.field == "packetProtection")
            #expect(error?.message.contains(obstacle) == true)
            #expect(Protection.automatic.resolved == .gnutls)
            #expect(Protection.automatic.inUse == "gnutls")
        } else {
            try configuration.validate()
            #expect(Protection.automatic.resolved == .ipsecMB)
            #expect(
                Protection.automatic.inUse.hasPrefix("ipsec-mb 1.")
                    || Protection.automatic.inUse.hasPrefix("ipsec-mb 2.")
            )
        }
        #expect(Protection.gnutls.resolved == .gnutls)
        #expect(Protection.gnutls.inUse == "gnutls")
    }
}
