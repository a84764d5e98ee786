import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

@Suite(.timeLimit(.minutes(1))) struct IdentifyTests {
    // MARK: Envelopes and records

    let key = PrivateKey.ed25519()

    @Test func aRecordIsSignedAndChecked() throws {
        for key in [PrivateKey.ed25519(), try .secp256k1(), try .ecdsa()] {
            let record = PeerRecord(peer: key.peerID, sequence: .max, addresses: ["/ip4/192.0.2.1/udp/4001/quic-v1"])
            let envelope = try record.signed(by: key)
            #expect(envelope.publicKey == key.publicKey)
            #expect(try PeerRecord(opening: envelope.bytes) == record)
        }
    }

    @Test func theBytesAreThoseOfTheSpecification() throws {
        // RFC 2: domain, type and payload, each with its length.
        let signed = SignedEnvelope.signedBytes(domain: "ab", type: [3, 1], payload: [9, 8, 7])
        #expect(signed == [2, 0x61, 0x62, 2, 3, 1, 3, 9, 8, 7])
        // RFC 3: peer_id = 1, seq = 2, addresses = 3 with multiaddr = 1 inside.
        let address: Multiaddr = "/ip4/1.2.3.4/udp/1"
        let record = PeerRecord(peer: key.peerID, sequence: 5, addresses: [address])
        let id = key.peerID.bytes
        let expected: [UInt8] =
            [0x0a, UInt8(id.count)] + id + [0x10, 5]
            + [0x1a, UInt8(address.bytes.count + 2), 0x0a, UInt8(address.bytes.count)] + address.bytes
        #expect(record.bytes == expected)
        // The envelope: public_key = 1, payload_type = 2, payload = 3, signature = 5.
        let envelope = try record.signed(by: key).bytes
        let publicKey = key.publicKey.protobuf
        #expect(envelope.starts(with: [0x0a, UInt8(publicKey.count)] + publicKey + [0x12, 2, 3, 1, 0x1a]))
        #expect(envelope.dropLast(64).suffix(2) == [0x2a, 64])
    }

    @Test func forgedRecordsAreRefused() throws {
        let record = PeerRecord(peer: key.peerID, sequence: 1, addresses: ["/memory/1"])
        let good = try record.signed(by: key).bytes
        var flipped = good
        flipped[flipped.count - 1] ^= 1
        #expect(throws: HostError(.invalidEnvelope, "")) { try PeerRecord(opening: flipped) }
        // The right signer for another purpose.
        let other = try SignedEnvelope(
            payload: record.bytes,
            type: PeerRecord.payloadType,
            domain: "another-domain",
            signedBy: key
        )
        #expect(throws: HostError(.invalidEnvelope, "")) { try PeerRecord(opening: other.bytes) }
        let otherType = try SignedEnvelope(
            payload: record.bytes,
            type: [3, 2],
            domain: PeerRecord.domain,
            signedBy: key
        )
        #expect(throws: HostError(.invalidEnvelope, "")) { try PeerRecord(opening: otherType.bytes) }
        // Somebody signs for somebody else.
        let stranger = PrivateKey.ed25519()
        #expect(throws: HostError(.invalidEnvelope, "")) { try record.signed(by: stranger) }
        let forged = try SignedEnvelope(
            payload: record.bytes,
            type: PeerRecord.payloadType,
            domain: PeerRecord.domain,
            signedBy: stranger
        )
        #expect(throws: HostError(.invalidEnvelope, "")) { try PeerRecord(opening: forged.bytes) }
        #expect(throws: HostError(.malformedEnvelope, "")) { try PeerRecord(opening: []) }
        #expect(throws: HostError(.malformedEnvelope, "")) {
            try PeerRecord(opening: [UInt8](repeating: 0, count: SignedEnvelope.byteLimit + 1))
        }
        let empty = try SignedEnvelope(
            payload: [],
            type: PeerRecord.payloadType,
            domain: PeerRecord.domain,
            signedBy: key
        )
        #expect(throws: HostError(.malformedEnvelope, "")) { try PeerRecord(opening: empty.bytes) }
    }

    @Test func damagedEnvelopesNeverPassAndNeverCrash() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let record = PeerRecord(peer: key.peerID, sequence: 1, addresses: ["/memory/1"])
        let good = try record.signed(by: key).bytes
        for _ in 0..<500 {
            var bad = good
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bad[Int.random(in: 0..<bad.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            case 1: bad = Array(bad.prefix(Int.random(in: 0..<bad.count, using: &random)))
            default: bad = (0..<60).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            // A damaged one is refused, or says the same thing by another encoding.
            if let opened = try? PeerRecord(opening: bad) { #expect(opened == record, "seed \(seed)") }
        }
    }

    // MARK: Messages

    func content(protocols: [String], addresses: [Multiaddr] = []) -> IdentifyMessage.Content {
        IdentifyMessage.Content(
            protocolVersion: "ipfs/0.1.0",
            agentVersion: "test/1",
            publicKey: key.publicKey,
            listenAddresses: addresses,
            observedAddress: "/memory/9",
            protocols: protocols,
            signedRecord: try? PeerRecord(peer: key.peerID, sequence: 3, addresses: addresses).signed(by: key).bytes
        )
    }

    @Test func aMessageHasTheFieldsOfTheSpecification() throws {
        let message = try #require(IdentifyMessage.encode(content(protocols: ["/a"])).first)
        let key = key.publicKey.protobuf
        // publicKey = 1, protocols = 3, observedAddr = 4, protocolVersion = 5, agentVersion = 6, record = 8.
        let start: [UInt8] = [0x0a, UInt8(key.count)] + key + [0x1a, 2, 0x2f, 0x61, 0x22]
        #expect(message.starts(with: start))
        #expect(message.contains(0x2a) && message.contains(0x32) && message.contains(0x42))
    }

    @Test func aLongAnswerIsCutIntoMessagesThatFit() throws {
        let protocols = (0..<200).map { "/some/protocol/with/a/long/name/\($0)/1.0.0" }
        let addresses = try (0..<100).map { try Multiaddr(parsing: "/ip4/192.0.2.1/udp/\($0 + 1)/quic-v1") }
        let messages = IdentifyMessage.encode(content(protocols: protocols, addresses: addresses))
        #expect(messages.count > 1 && messages.count <= IdentifyMessage.messageLimit)
        #expect(messages.allSatisfy { $0.count <= IdentifyMessage.sendLimit })
        let info = try IdentifyMessage.decode(messages, from: key.peerID, key: key.publicKey)
        #expect(info.protocols == protocols)
        #expect(info.listenAddresses == addresses)
        #expect(info.record?.addresses == addresses)
        #expect(info.agentVersion == "test/1" && info.protocolVersion == "ipfs/0.1.0")
        #expect(info.observedAddress == "/memory/9")
        // Far too much is cut off at the limit, not sent.
        let endless = IdentifyMessage.encode(content(protocols: (0..<5000).map { "/some/protocol/\($0)" }))
        #expect(endless.count == IdentifyMessage.messageLimit)
        #expect(endless.allSatisfy { $0.count <= IdentifyMessage.sendLimit })
    }

    @Test func liesAboutTheIdentityAreRefused() throws {
        let stranger = PrivateKey.ed25519()
        let messages = IdentifyMessage.encode(content(protocols: []))
        #expect(throws: HostError(.identifyFailed, "")) {
            try IdentifyMessage.decode(messages, from: stranger.peerID, key: stranger.publicKey)
        }
        var borrowed = content(protocols: [])
        borrowed.publicKey = stranger.publicKey
        #expect(throws: HostError(.identifyFailed, "")) {
            try IdentifyMessage.decode(
                IdentifyMessage.encode(borrowed),
                from: stranger.peerID,
                key: stranger.publicKey
            )
        }
        #expect(throws: HostError(.identifyFailed, "")) {
            try IdentifyMessage.decode([[0xff, 0xff]], from: key.peerID, key: key.publicKey)
        }
    }

    @Test func whatAPeerTellsIsBounded() throws {
        var told = content(protocols: ["/fine", "", "na", String(repeating: "x", count: 1500)])
        told.agentVersion = String(repeating: "a", count: 4000)
        told.protocolVersion = "a" + String(repeating: "\u{e9}", count: 200)
        let info = try IdentifyMessage.decode(IdentifyMessage.encode(told), from: key.peerID, key: key.publicKey)
        #expect(info.agentVersion?.utf8.count == IdentifyMessage.textLimit)
        // Cut between two characters.
        #expect(info.protocolVersion == "a" + String(repeating: "\u{e9}", count: 127))
        #expect(info.protocols == ["/fine"])
    }

    // MARK: Hosts

    @Test(arguments: TestNetwork.allCases)
    func bothSidesAreIdentifiedWhenTheyConnect(_ network: TestNetwork) async throws {
        var serverConfiguration = HostConfiguration()
        serverConfiguration.identify.protocolVersion = "/test/1.0.0"
        serverConfiguration.identify.agentVersion = "server/7"
        serverConfiguration.identify.announcedAddresses = ["/ip4/192.0.2.1/udp/1/quic-v1"]
        try await withTwoHosts(on: network, serverConfiguration) { server, client in
            await server.handle("/extra/1.0.0") { _ in }
            var events = client.events().makeAsyncIterator()
            try await client.connect(to: server.address)
            var info: IdentifyInfo?
            while info == nil, let event = await events.next() {
                if case .identified(let told) = event { info = told }
            }
            #expect(info?.peer == server.peerID)
            #expect(info?.protocolVersion == "/test/1.0.0" && info?.agentVersion == "server/7")
            #expect(info?.protocols == ["/extra/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"])
            let listened = try server.address.withoutPeerID
            #expect(info?.listenAddresses == ["/ip4/192.0.2.1/udp/1/quic-v1", listened])
            #expect(info?.record?.peer == server.peerID)
            #expect(info?.record?.addresses == info?.listenAddresses)
            let connection = try #require(client.connections(to: server.peerID).first)
            #expect(info?.observedAddress == connection.localAddress)
            #expect(client.peerStore.info(for: server.peerID)?.identify == info)
            #expect(client.peerStore.addresses(of: server.peerID).contains(listened))
            // Asking again gives a younger record.
            let again = try await client.identify(server.peerID)
            let (old, new) = (try #require(info?.record), try #require(again.record))
            #expect(new.sequence > old.sequence)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func changesArePushed(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            var events = client.events().makeAsyncIterator()
            var serverEvents = server.events().makeAsyncIterator()
            try await client.connect(to: server.address)
            // Each knows what the other speaks.
            while let event = await serverEvents.next() {
                if case .identified = event { break }
            }
            while let event = await events.next() {
                if case .identified = event { break }
            }
            await server.handle("/new/1.0.0") { _ in }
            while let event = await events.next() {
                if case .identified(let info) = event, info.protocols.contains("/new/1.0.0") { break }
            }
            #expect(client.peerStore.protocols(of: server.peerID)?.contains("/new/1.0.0") == true)
            await server.removeHandler("/new/1.0.0")
            while let event = await events.next() {
                if case .identified(let info) = event, !info.protocols.contains("/new/1.0.0") { break }
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func pushesAreLimited(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        configuration.identify.runsOnConnect = false
        try await withTwoHosts(on: network, configuration, configuration) { server, client in
            try await client.connect(to: server.address)
            let message = try #require(IdentifyMessage.encode(content(protocols: ["/x"])).first)
            func push() async -> NetStreamError? {
                await streamError {
                    let stream = try await client.newStream(to: server.peerID, protocols: [IdentifyProtocol.pushName])
                    // Somebody else's message: read, found wanting, and reset as such.
                    try await stream.writeMessage(message)
                    try await stream.closeWrite()
                    _ = try await stream.readToEnd(limit: 0)
                }
            }
            for _ in 0..<10 { #expect(await push()?.streamCode == StreamErrorCode.protocolViolation.rawValue) }
            #expect(await push()?.streamCode == StreamErrorCode.rateLimited.rawValue)
            clock.advance(by: .seconds(5))
            #expect(await push()?.streamCode == StreamErrorCode.protocolViolation.rawValue)
            #expect(await push()?.streamCode == StreamErrorCode.rateLimited.rawValue)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func identifyCanBeSwitchedOff(_ network: TestNetwork) async throws {
        var configuration = HostConfiguration()
        configuration.identify.runsOnConnect = false
        try await withTwoHosts(on: network, configuration, configuration) { server, client in
            try await client.connect(to: server.address)
            #expect(try await client.ping(server.peerID) > .zero)
            #expect(client.peerStore.protocols(of: server.peerID) == nil)
        }
    }

    @Test func anOlderRecordDoesNotReplaceAYoungerOne() throws {
        let store = PeerStore(capacity: 10)
        func told(_ sequence: UInt64, _ address: Multiaddr) -> IdentifyUpdate {
            IdentifyUpdate(
                peer: key.peerID,
                publicKey: key.publicKey,
                protocolVersion: "",
                agentVersion: "v\(sequence)",
                protocols: [],
                listenAddresses: [address],
                record: PeerRecord(peer: key.peerID, sequence: sequence, addresses: [address])
            )
        }
        store.record(told(5, "/memory/5"), seenAt: "/memory/1")
        store.record(told(4, "/memory/4"), seenAt: "/memory/1")
        let info = store.info(for: key.peerID)?.identify
        #expect(info?.record?.sequence == 5 && info?.listenAddresses == ["/memory/5"])
        #expect(info?.agentVersion == "v4")
        store.record(told(6, "/memory/6"), seenAt: "/memory/1")
        #expect(store.info(for: key.peerID)?.identify?.record?.sequence == 6)
    }

    /// A peer that answers identify with whatever the test wants.
    func withAnswering(
        on kind: TestNetwork,
        _ answer: @escaping @Sendable (NetStream) async throws -> Void,
        _ configuration: HostConfiguration = .defaults,
        _ body: (_ host: BasicHost, _ peer: PeerID) async throws -> Void
    ) async throws {
        var other = HostConfiguration()
        other.identify.runsOnConnect = false
        var configuration = configuration
        configuration.identify.runsOnConnect = false
        try await kind.open { network in
            try await network.host(other) { peer in
                await peer.handle(IdentifyProtocol.name, handler: answer)
                try await network.host(configuration, listens: false) { host in
                    try await host.connect(to: peer.address)
                    try await body(host, peer.peerID)
                }
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func badAnswersAreRefused(_ network: TestNetwork) async throws {
        let answers: [@Sendable (NetStream) async throws -> Void] = [
            { try await $0.writeMessage([UInt8](repeating: 0x1a, count: IdentifyMessage.receiveLimit + 1)) },
            { stream in for _ in 0...IdentifyMessage.messageLimit { try await stream.writeMessage([]) } },
            { try await $0.writeMessage([0xff]) },
            { try await $0.write([5, 1]) },
            { try await $0.closeWrite() },
            { $0.reset() },
        ]
        for answer in answers {
            try await withAnswering(on: network, answer) { host, peer in
                let failure = await code { _ = try await host.identify(peer) }
                #expect(failure == .identifyFailed || failure == .streamFailed)
                #expect(host.peerStore.protocols(of: peer) == nil)
                #expect(host.connectedPeers == [peer])
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func tenMessagesOfEightKibibytesAreAccepted(_ network: TestNetwork) async throws {
        let answer: @Sendable (NetStream) async throws -> Void = { stream in
            for _ in 0..<IdentifyMessage.messageLimit {
                // An unknown field of 8 KiB less its tag and length.
                let filler = [UInt8](repeating: 0, count: IdentifyMessage.receiveLimit - 4)
                try await stream.writeMessage([0xa2, 0x06, 0xfc, 0x3f] + filler)
            }
        }
        try await withAnswering(on: network, answer) { host, peer in
            let info = try await host.identify(peer)
            #expect(info.protocols.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases) func aSilentPeerTimesOut(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        try await withAnswering(on: network, { _ = try await $0.read() }, configuration) { host, peer in
            let failure = await clock.ticking(by: .seconds(5)) { await code { _ = try await host.identify(peer) } }
            #expect(failure == .timeout)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func theAnswerIsNotFollowedByAStopAtOnce(_ kind: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        configuration.identify.runsOnConnect = false
        try await kind.openHost(configuration) { network, host in
            let stream = try await network.peer(dialing: host).openStream()
            try await stream.write(Multistream.frame(Multistream.header))
            try await stream.write(Multistream.frame(Array(IdentifyProtocol.name.utf8)))
            while try await stream.read(upTo: 4096) != nil {}
            // As long as the peer has not ended its half, nothing tells it to stop: some forget what they had read.
            for _ in 0..<500 {
                await Task.yield()
                try await stream.write([])
            }
            // But not for ever.
            let end = await failure {
                try await clock.ticking(by: .milliseconds(100)) {
                    while true {
                        // Writing nothing never waits, and others want to run too.
                        await Task.yield()
                        try await stream.write([])
                    }
                }
            }
            #expect(end == .reset(code: StreamErrorCode.none.rawValue, byPeer: true))
        }
    }
}
