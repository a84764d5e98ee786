import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// What an answer and what a push change of what is known.
@Suite(.timeLimit(.minutes(1))) struct IdentifyPushTests {
    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2] + Varint.encode(UInt64(bytes.count)) + bytes
    }

    private static func field(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    private func identify(_ peer: RawPeer, of host: BasicHost, saying messages: [[UInt8]]) async throws -> IdentifyInfo
    {
        async let asking = host.identify(peer.peerID)
        let stream = try await peer.accept(IdentifyProtocol.name)
        for message in messages { try await stream.write(Varint.encode(UInt64(message.count)) + message) }
        try await stream.closeWrite()
        return try await asking
    }

    private func push(_ message: [UInt8], from peer: RawPeer, to host: BasicHost) async throws -> IdentifyInfo {
        let stream = try await peer.open(IdentifyProtocol.pushName)
        try await stream.write(Varint.encode(UInt64(message.count)) + message)
        try await stream.closeWrite()
        #expect(await RawPeer.end(of: stream) == nil)
        return try #require(host.peerStore.info(for: peer.peerID)?.identify)
    }

    @Test(arguments: TestNetwork.allCases)
    func aPushChangesWhatItNamesAndNothingElse(_ network: TestNetwork) async throws {
        try await network.openHost(NegotiationTests.quiet) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            while host.connections(to: peer.peerID).isEmpty { await Task.yield() }
            let addresses: [Multiaddr] = ["/ip4/192.0.2.1/udp/1/quic-v1"]
            let record = PeerRecord(peer: peer.peerID, sequence: 3, addresses: addresses)
            let content = IdentifyMessage.Content(
                protocolVersion: "ipfs/0.1.0",
                agentVersion: "peer/1",
                publicKey: peer.identity.publicKey,
                listenAddresses: addresses,
                observedAddress: "/ip4/192.0.2.9/udp/9/quic-v1",
                protocols: ["/a", "/b"],
                signedRecord: try record.signed(by: peer.identity).bytes
            )
            var expected = try await identify(peer, of: host, saying: IdentifyMessage.encode(content))
            #expect(expected.protocols == ["/a", "/b"] && expected.record == record)

            // protocols = 3, agentVersion = 6, protocolVersion = 5, observedAddr = 4, listenAddrs = 2, record = 8.
            expected.protocols = ["/a", "/c"]
            #expect(try await push(Self.field(3, "/a") + Self.field(3, "/c"), from: peer, to: host) == expected)
            expected.agentVersion = "peer/2"
            #expect(try await push(Self.field(6, "peer/2"), from: peer, to: host) == expected)
            expected.protocolVersion = "ipfs/0.2.0"
            #expect(try await push(Self.field(5, "ipfs/0.2.0"), from: peer, to: host) == expected)
            let seen: Multiaddr = "/ip4/192.0.2.8/udp/9/quic-v1"
            expected.observedAddress = seen
            #expect(try await push(Self.field(4, seen.bytes), from: peer, to: host) == expected)
            #expect(try await push([], from: peer, to: host) == expected)
            let moved: Multiaddr = "/ip4/192.0.2.2/udp/1/quic-v1"
            expected.listenAddresses = [moved]
            #expect(try await push(Self.field(2, moved.bytes), from: peer, to: host) == expected)
            for (sequence, isNewer) in [(4, true), (2, false)] as [(UInt64, Bool)] {
                let other: Multiaddr = "/ip4/192.0.2.3/udp/1/quic-v1"
                let next = PeerRecord(peer: peer.peerID, sequence: sequence, addresses: [other])
                if isNewer { (expected.record, expected.listenAddresses) = (next, [other]) }
                let envelope = try next.signed(by: peer.identity).bytes
                #expect(try await push(Self.field(8, envelope), from: peer, to: host) == expected)
            }
            #expect(host.peerStore.addresses(of: peer.peerID).contains(moved))

            // An answer says all there is to say.
            let answer = try await identify(peer, of: host, saying: [Self.field(6, "peer/3")])
            #expect(answer.agentVersion == "peer/3" && answer.protocolVersion == "" && answer.protocols.isEmpty)
            #expect(answer.record == nil && answer.listenAddresses.isEmpty && answer.observedAddress == nil)
            #expect(host.peerStore.info(for: peer.peerID)?.identify == answer)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPushFromSomebodyNotIdentifiedIsTaken(_ network: TestNetwork) async throws {
        try await network.openHost(NegotiationTests.quiet) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            let info = try await push(Self.field(3, "/a"), from: peer, to: host)
            #expect(info.protocols == ["/a"] && info.agentVersion == "" && info.record == nil)
        }
    }

    // MARK: Records that are too large

    @Test func aRecordHoldsWhatFits() throws {
        for key in [PrivateKey.ed25519(), try .ecdsa(.p256), try .secp256k1()] {
            let long = try Multiaddr(parsing: "/dns4/\(String(repeating: "a", count: 5000))/udp/1/quic-v1")
            let many = try (1...1000).map { try Multiaddr(parsing: "/ip4/192.0.2.1/udp/\($0)/quic-v1") }
            let record = PeerRecord(peer: key.peerID, sequence: 7, addresses: [many[0], long] + many.dropFirst())
            let envelope = try record.signed(by: key, limit: 4092)
            #expect(envelope.bytes.count <= 4092)
            // One more would not have fitted: an address of that kind takes 16 bytes.
            #expect(envelope.bytes.count > 4092 - 32)
            let opened = try PeerRecord(opening: envelope.bytes)
            #expect(opened.addresses == Array(many.prefix(opened.addresses.count)) && opened.sequence == 7)
            // Nothing is left out without need.
            let small = PeerRecord(peer: key.peerID, sequence: 7, addresses: Array(many.prefix(10)))
            #expect(try PeerRecord(opening: small.signed(by: key, limit: 4092).bytes) == small)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aHostWithManyAddressesStillSignsTheFirst(_ network: TestNetwork) async throws {
        let announced = try (1...400).map { try Multiaddr(parsing: "/ip4/192.0.2.1/udp/\($0)/quic-v1") }
        var configuration = NegotiationTests.quiet
        configuration.identify.announcedAddresses = announced
        try await withTwoHosts(on: network, configuration, NegotiationTests.quiet) { server, client in
            // So many protocols that they do not fit either.
            for number in 0..<2000 { await server.handle("/some/protocol/of/the/host/\(number)") { _ in } }
            let info = try await client.identify(try await client.connect(to: server.address))
            let record = try #require(info.record)
            #expect(record.addresses.count > 200)
            #expect(record.addresses == Array(announced.prefix(record.addresses.count)))
            #expect(info.listenAddresses == record.addresses)
        }
    }
}
