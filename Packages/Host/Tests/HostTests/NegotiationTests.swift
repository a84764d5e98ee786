import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Negotiation between a host and a peer that is played byte by byte.
@Suite(.timeLimit(.minutes(1))) struct NegotiationTests {
    /// A host, and a bare connection to it.
    func withPeer(
        on kind: TestNetwork,
        _ configuration: HostConfiguration = quiet,
        _ body: (_ host: BasicHost, _ peer: any MuxedConnection) async throws -> Void
    ) async throws {
        try await kind.openHost(configuration) { network, host in
            try await body(host, network.peer(dialing: host))
        }
    }

    /// A host that opens no streams of its own.
    static var quiet: HostConfiguration {
        var configuration = HostConfiguration()
        configuration.identify.runsOnConnect = false
        return configuration
    }

    func line(_ text: String) -> [UInt8] {
        [UInt8(text.utf8.count + 1)] + Array(text.utf8) + [10]
    }

    func readExactly(_ count: Int, from stream: any MuxedStream) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let chunk = try await stream.read(upTo: count - bytes.count) { bytes += chunk }
        return bytes
    }

    @Test(arguments: TestNetwork.allCases) func theTranscriptsHoldOnRealStreams(_ network: TestNetwork) async throws {
        let file: Transcripts = try vectors("multistream_transcripts.json")
        for transcript in file.transcripts where !transcript.name.hasPrefix("ls") {
            try await withPeer(on: network) { _, peer in
                let stream = try await peer.openStream()
                for step in transcript.steps {
                    let expected = bytes(hex: step.hex)
                    if step.from == "initiator" {
                        try await stream.write(expected)
                    } else {
                        #expect(try await readExactly(expected.count, from: stream) == expected, "\(transcript.name)")
                    }
                }
                if transcript.name.hasPrefix("wrong header") {
                    #expect(await failure { _ = try await stream.read(upTo: 1) } == .failedNegotiation)
                }
                stream.reset(code: .none)
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func malformedOpeningsAreResetWithTheCode(_ network: TestNetwork)
        async throws
    {
        let file: Transcripts = try vectors("multistream_transcripts.json")
        for vector in file.malformed {
            try await withPeer(on: network) { _, peer in
                let stream = try await peer.openStream()
                try await stream.write(bytes(hex: vector.hex))
                try await stream.closeWrite()
                let end = await failure {
                    let rest = try await stream.read(upTo: 100)
                    // A stream that ends before a whole line is simply over.
                    #expect(rest == nil && ["EOF before header", "truncated"].contains(vector.why))
                }
                #expect(end == nil || end == .failedNegotiation, "\(vector.why)")
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func lsIsAnsweredInTheNestedForm(_ network: TestNetwork) async throws {
        try await withPeer(on: network) { host, peer in
            let stream = try await peer.openStream()
            try await stream.write(line("/multistream/1.0.0") + line("ls"))
            let nested = host.protocols.flatMap(line) + [10]
            let expected = line("/multistream/1.0.0") + [UInt8(nested.count)] + nested
            #expect(try await readExactly(expected.count, from: stream) == expected)
        }
    }

    @Test(arguments: TestNetwork.allCases) func aSlowNegotiationIsResetAtItsDeadline(_ network: TestNetwork)
        async throws
    {
        let clock = ManualClock()
        var configuration = Self.quiet
        configuration.clock = clock
        try await withPeer(on: network, configuration) { _, peer in
            let stream = try await peer.openStream()
            try await stream.write(line("/multistream/1.0.0"))
            #expect(try await readExactly(20, from: stream).count == 20)
            await clock.waitForSleepers()
            clock.advance(by: .seconds(30))
            #expect(await failure { _ = try await stream.read(upTo: 1) } == .failedNegotiation)
        }
    }

    @Test(arguments: TestNetwork.allCases) func onlySoManyNegotiateAtOnce(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = Self.quiet
        configuration.clock = clock
        configuration.streams.inboundNegotiations = 2
        try await withPeer(on: network, configuration) { host, peer in
            await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            // Two that say nothing more take both turns.
            var silent: [any MuxedStream] = []
            for _ in 0..<2 {
                silent.append(try await peer.openStream())
                try await silent[silent.count - 1].write(line("/multistream/1.0.0"))
                #expect(try await readExactly(20, from: silent[silent.count - 1]).count == 20)
            }
            await clock.waitForSleepers(2)
            let third = try await peer.openStream()
            try await third.write(line("/multistream/1.0.0") + line(EchoProtocol.name) + [1, 2, 3])
            try await third.closeWrite()
            // The third one is served when the others' time is over.
            let answer = Task { try await readExactly(20 + 13 + 3, from: third) }
            clock.advance(by: .seconds(30))
            #expect(try await answer.value.suffix(3) == [1, 2, 3])
            withExtendedLifetime(silent) {}
        }
    }

    @Test(arguments: TestNetwork.allCases) func onlySoManyAreProposedAtOnce(_ kind: TestNetwork) async throws {
        var configuration = Self.quiet
        configuration.streams.outboundNegotiations = 1
        try await kind.openHost(configuration) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            while host.connectedPeers.isEmpty { await Task.yield() }
            let connection = try await host.connection(to: peer.peerID)
            let first = Task { try await host.newStream(to: peer.peerID, protocols: ["/a"]) }
            let far = try await peer.connection.acceptStream()
            let opening = RawPeer.opening("/a")
            #expect(try await RawPeer.read(opening.count, from: far) == opening)
            let second = Task { try await host.newStream(to: peer.peerID, protocols: ["/b"]) }
            while connection.outboundNegotiations.waiting == 0 { await Task.yield() }
            #expect(connection.traffic.written == UInt64(opening.count))
            // A lazy one needs no turn.
            host.peerStore.record(peer.speaking(["/c"]), seenAt: peer.connection.localAddress)
            let lazy = try await host.newStream(to: peer.peerID, protocols: ["/c"])
            #expect(lazy.protocolID == "/c")
            try await far.write(opening)
            #expect(try await first.value.protocolID == "/a")
            // The turn is free for the one that waited.
            let next = try await peer.accept("/b")
            #expect(try await second.value.protocolID == "/b")
            lazy.reset()
            withExtendedLifetime((far, next)) {}
        }
    }

    @Test(arguments: TestNetwork.allCases) func onlySoManyStreamsAreHandledAtOnce(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = Self.quiet
        configuration.clock = clock
        configuration.streams.inboundHandlers = 1
        try await withPeer(on: network, configuration) { host, peer in
            await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let opening = line("/multistream/1.0.0") + line(EchoProtocol.name)
            let first = try await peer.openStream()
            try await first.write(opening + [1])
            #expect(try await readExactly(opening.count + 1, from: first).last == 1)
            let second = try await peer.openStream()
            try await second.write(opening + [2])
            #expect(try await readExactly(opening.count, from: second) == opening)
            // The time that passes is that of the wait for a handler, not that of the negotiation.
            let connection = try #require(host.openConnection(to: peer.localPeer))
            while connection.handlers.waiting == 0 { await Task.yield() }
            let refused = await failure {
                _ = try await clock.ticking(by: .seconds(30)) { try await second.read(upTo: 1) }
            }
            #expect(refused == .reset(code: StreamErrorCode.resourceLimitExceeded.rawValue, byPeer: true))
            try await first.closeWrite()
            #expect(try await first.read(upTo: 1) == nil)
            let third = try await peer.openStream()
            try await third.write(opening + [3])
            #expect(try await readExactly(opening.count + 1, from: third).last == 3)
        }
    }

    @Test(arguments: TestNetwork.allCases) func aLazyOneWayMessageArrivesThoughThePeerStoppedReading(
        _ network: TestNetwork
    ) async throws {
        try await withPeer(on: network) { host, peer in
            let (messages, sink) = AsyncStream<[UInt8]>.makeStream()
            await host.handle("/tell/1.0.0") { stream in sink.yield(try await stream.readToEnd(limit: 100)) }
            let stream = try await peer.openStream()
            try await stream.write(line("/multistream/1.0.0") + line("/tell/1.0.0") + [7])
            try await stream.closeRead()
            try await stream.closeWrite()
            var iterator = messages.makeAsyncIterator()
            #expect(await iterator.next() == [7])
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aKnownProtocolTravelsWithTheFirstBytes(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let peerKey = PrivateKey.ed25519()
            let listener = try await network.transport(peerKey).listen(on: network.anywhere)
            let address = try #require(listener.addresses.first)
            try await network.host(listens: false) { host in
                async let accepted = listener.accept()
                try await host.connect(to: address)
                let connection = try await accepted
                // The host asks who we are: we speak /echo/1.0.0 and nothing else.
                let ask = try await connection.acceptStream()
                let opening = line("/multistream/1.0.0") + line("/ipfs/id/1.0.0")
                #expect(try await readExactly(opening.count, from: ask) == opening)
                let message: [UInt8] = [0x1a, 11] + Array("/echo/1.0.0".utf8)
                var events = host.events().makeAsyncIterator()
                try await ask.write(opening + [UInt8(message.count)] + message)
                try await ask.closeWrite()
                while let event = await events.next() {
                    if case .identified(let info) = event {
                        #expect(info.protocols == ["/echo/1.0.0"])
                        break
                    }
                }
                let stream = try await host.newStream(to: peerKey.peerID, protocols: ["/other", "/echo/1.0.0"])
                #expect(stream.protocolID == "/echo/1.0.0")
                try await stream.write([1, 2, 3])
                let far = try await connection.acceptStream()
                let echo = line("/multistream/1.0.0") + line("/echo/1.0.0")
                // All of it in one flight, before any answer.
                #expect(try await far.read(upTo: 1000) == echo + [1, 2, 3])
                try await far.write(echo + [4])
                try await far.closeWrite()
                #expect(try await stream.readToEnd(limit: 10) == [4])

                // Should the peer have changed its mind, the first read says so.
                let second = try await host.newStream(to: peerKey.peerID, protocols: ["/echo/1.0.0"])
                try await second.closeWrite()
                let farSecond = try await connection.acceptStream()
                #expect(try await readExactly(echo.count, from: farSecond) == echo)
                try await farSecond.write(line("/multistream/1.0.0") + line("na"))
                do {
                    _ = try await second.read()
                    Issue.record("a refused protocol was read from")
                } catch let error as NetStreamError {
                    #expect((error.cause as? HostError)?.code == .protocolsNotSupported)
                }
                // And it is not proposed unasked again.
                #expect(host.peerStore.protocols(of: peerKey.peerID) == [])
            }
        }
    }

    /// A lazy peer learns that its protocol is not spoken any more, whatever it said behind the proposal.
    @Test(arguments: TestNetwork.allCases, [[0xff, 0xff, 0xff, 0xff], [1, 1, 1, 1], [0, 0, 0, 0]])
    func aRefusalIsNotOvertakenByAReset(_ network: TestNetwork, said: [UInt8]) async throws {
        try await withPeer(on: network) { _, peer in
            let stream = try await peer.openStream()
            try await stream.write(line("/multistream/1.0.0") + line("/none") + said)
            let refusal = line("/multistream/1.0.0") + line("na")
            #expect(try await readExactly(refusal.count, from: stream) == refusal)
            #expect(try await stream.read(upTo: 1) == nil)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aPeerThatSpeaksNoneOfThemIsSaidSo(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network, Self.quiet, Self.quiet) { server, client in
            let peer = try await client.connect(to: server.address)
            let refused = await code { _ = try await client.newStream(to: peer, protocols: ["/a", "/b"]) }
            #expect(refused == .protocolsNotSupported)
            for bad in [[], [""], ["na"], ["/a\n"], [String(repeating: "x", count: 1024)]] {
                #expect(await code { _ = try await client.newStream(to: peer, protocols: bad) } == .invalidProtocolName)
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func familiesOfProtocolsAreMatched(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network, Self.quiet, Self.quiet) { server, client in
            await server.handle("/chat/1.3.0", matching: ProtocolMatch.semanticVersion(of: "/chat/1.3.0")) { stream in
                try await stream.write(Array((stream.protocolID ?? "").utf8))
            }
            await server.handle("/chat/1.1.0") { try await $0.write([1]) }
            let peer = try await client.connect(to: server.address)
            for (name, answer) in [("/chat/1.2.9", Array("/chat/1.2.9".utf8)), ("/chat/1.1.0", [1])] {
                let stream = try await client.newStream(to: peer, protocols: [name])
                #expect(try await stream.readToEnd(limit: 100) == answer)
            }
            for name in ["/chat/1.4.0", "/chat/2.0.0", "/talk/1.0.0", "/chat/1.2", "/chat"] {
                let refused = await code { _ = try await client.newStream(to: peer, protocols: [name]) }
                #expect(refused == .protocolsNotSupported)
            }
            #expect(server.protocols.contains("/chat/1.3.0"))
            await server.removeHandler("/chat/1.3.0")
            #expect(!server.protocols.contains("/chat/1.3.0"))
        }
    }
}

extension StreamFailureKind {
    /// The peer broke a negotiation off.
    static let failedNegotiation = StreamFailureKind.reset(
        code: StreamErrorCode.protocolNegotiationFailed.rawValue,
        byPeer: true
    )
}
