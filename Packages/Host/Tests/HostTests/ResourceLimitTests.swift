import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Limits of a running host: what is too much is refused, and others are served.
@Suite(.timeLimit(.minutes(1))) struct ResourceLimitTests {
    private func withHost(
        on kind: TestNetwork,
        _ configuration: HostConfiguration,
        _ body: (BasicHost, OpenNetwork) async throws -> Void
    ) async throws {
        try await kind.openHost(configuration) { network, host in try await body(host, network) }
    }

    private func start(_ name: String, on connection: any MuxedConnection) async throws -> any MuxedStream {
        let stream = try await connection.openStream()
        let proposal = Multistream.frame(Array(name.utf8))
        try await stream.write(Multistream.frame(Multistream.header) + proposal)
        return stream
    }

    /// Reads to the end of the stream, which must be a reset, and gives its code.
    private func resetCode(of stream: any MuxedStream) async -> UInt64? {
        do {
            while try await stream.read(upTo: 1000) != nil {}
            return nil
        } catch {
            guard case .reset(let code, true)? = (error as? any ClassifiedStreamError)?.streamFailureKind else {
                return nil
            }
            return code
        }
    }

    private func readAnswer(to name: String, from stream: any MuxedStream) async throws -> Bool {
        let expected = Multistream.frame(Multistream.header) + Multistream.frame(Array(name.utf8))
        var bytes: [UInt8] = []
        while bytes.count < expected.count, let chunk = try await stream.read(upTo: 1000) { bytes += chunk }
        return bytes == expected
    }

    @Test(arguments: TestNetwork.allCases)
    func streamsOfOnePeerAreLimitedAndOthersAreServed(_ network: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.limits.peer.inboundStreams = 3
        try await withHost(on: network, configuration) { host, network in
            await host.handle("/hold/1") { _ = try await $0.read() }
            let greedy = try await network.transport(.ed25519()).dial(host.address)
            var held: [any MuxedStream] = []
            for _ in 0..<3 {
                let stream = try await start("/hold/1", on: greedy)
                #expect(try await readAnswer(to: "/hold/1", from: stream))
                held.append(stream)
            }
            let tooMany = try await start("/hold/1", on: greedy)
            #expect(await resetCode(of: tooMany) == StreamErrorCode.resourceLimitExceeded.rawValue)
            #expect(host.resourceUsage(of: .peer(greedy.localPeer)).inboundStreams == 3)
            // Another peer does not feel it.
            let modest = try await network.transport(.ed25519()).dial(host.address)
            let other = try await start("/hold/1", on: modest)
            #expect(try await readAnswer(to: "/hold/1", from: other))
            // A place that was given back is free again.
            held[0].reset(code: .none)
            while host.resourceUsage(of: .peer(greedy.localPeer)).inboundStreams == 3 { await Task.yield() }
            let again = try await start("/hold/1", on: greedy)
            #expect(try await readAnswer(to: "/hold/1", from: again))
            await greedy.close(code: .none, reason: "")
            await modest.close(code: .none, reason: "")
            while host.resourceUsage(of: .system) != ResourceUsage() { await Task.yield() }
            #expect(host.resources.usages.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func streamsOfAProtocolAreLimited(_ network: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.limits.protocols["/rare/1"] = .init(inboundStreams: 1, outboundStreams: 1)
        try await withHost(on: network, configuration) { host, network in
            for name in ["/rare/1", "/usual/1"] { await host.handle(name) { _ = try await $0.read() } }
            let peer = try await network.transport(.ed25519()).dial(host.address)
            let first = try await start("/rare/1", on: peer)
            #expect(try await readAnswer(to: "/rare/1", from: first))
            let second = try await start("/rare/1", on: peer)
            #expect(await resetCode(of: second) == StreamErrorCode.resourceLimitExceeded.rawValue)
            let other = try await start("/usual/1", on: peer)
            #expect(try await readAnswer(to: "/usual/1", from: other))
            #expect(host.resourceUsage(of: .protocolName("/rare/1")).inboundStreams == 1)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func theNamesThatAPeerMakesUpCountForTheOneOfTheHandler(_ network: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.limits.protocols["/family/1.9.0"] = .init(inboundStreams: 2, outboundStreams: 1)
        try await withHost(on: network, configuration) { host, network in
            let matches = ProtocolMatch.semanticVersion(of: "/family/1.9.0")
            await host.handle("/family/1.9.0", matching: matches) { stream in
                // It is told what the peer said.
                try await stream.write([UInt8(stream.protocolID?.utf8.count ?? 0)])
                _ = try await stream.read()
            }
            let peer = try await network.transport(.ed25519()).dial(host.address)
            var held: [any MuxedStream] = []
            for name in ["/family/1.1.0", "/family/1.1.10"] {
                let stream = try await start(name, on: peer)
                let told = Multistream.frame(Multistream.header) + Multistream.frame(Array(name.utf8))
                let expected = told + [UInt8(name.utf8.count)]
                #expect(try await RawPeer.read(expected.count, from: stream) == expected)
                held.append(stream)
            }
            #expect(host.resourceUsage(of: .protocolName("/family/1.9.0")).inboundStreams == 2)
            #expect(host.resourceUsage(of: .protocolName("/family/1.1.10")) == ResourceUsage())
            for name in ["/family/1.2.0", "/family/1.3.0", "/family/1.9.0"] {
                let tooMany = try await start(name, on: peer)
                #expect(await resetCode(of: tooMany) == StreamErrorCode.resourceLimitExceeded.rawValue)
            }
            held[0].reset(code: .none)
            while host.resourceUsage(of: .protocolName("/family/1.9.0")).inboundStreams == 2 { await Task.yield() }
            let again = try await start("/family/1.4.0", on: peer)
            let taken = RawPeer.opening("/family/1.4.0")
            #expect(try await RawPeer.read(taken.count, from: again) == taken)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func ownStreamsAreLimitedByAnErrorThatSaysWhatToChange(_ network: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.limits.connection.outboundStreams = 1
        try await withTwoHosts(on: network, .defaults, configuration) { server, client in
            await server.handle("/hold/1") { _ = try await $0.read() }
            let peer = try await client.connect(to: server.address)
            let held = try await client.newStream(to: peer, protocols: ["/hold/1"])
            let error = await #expect(throws: HostError.self) {
                _ = try await client.newStream(to: peer, protocols: ["/hold/1"])
            }
            #expect(error?.code == .resourceLimit && error?.streamFailureKind == .limitExceeded)
            let cause = error?.cause as? ResourceLimitExceeded
            #expect(cause?.resource == .outboundStreams && cause?.limit == 1)
            #expect(cause?.setting == "limits.connection.outboundStreams")
            #expect(error?.message.contains("limits.connection.outboundStreams") == true)
            held.reset()
            try await client.newStream(to: peer, protocols: ["/hold/1"]).close()
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func inboundConnectionsLeaveRoomForOutboundOnes(_ network: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.limits.system.inboundConnections = 1
        configuration.limits.reserve.connections = 1
        try await withHost(on: network, configuration) { host, network in
            func dial(_ key: PrivateKey = .ed25519()) async throws -> any MuxedConnection {
                try await network.transport(key).dial(host.address)
            }
            let first = try await dial()
            let (code, reason) = await refusal(of: { try await dial() })
            #expect(code == ConnectionErrorCode.resourceLimitExceeded.rawValue)
            #expect(reason.contains("limits.system.inboundConnections"))
            #expect(!first.isClosed)
            // This host can still dial, and a protected peer finds a place kept for it.
            let listener = try await network.transport().listen(on: network.anywhere)
            try await host.connect(to: #require(listener.addresses.first))
            let friend = PrivateKey.ed25519()
            host.protect(friend.peerID, tag: "friend")
            let kept = try await dial(friend)
            while !host.connectedPeers.contains(friend.peerID) { await Task.yield() }
            #expect(!kept.isClosed)
            #expect(host.resourceUsage(of: .system).inboundConnections == 2)
        }
    }

    @Test(arguments: TestNetwork.allCases) func dialsAtOnceAreLimited(_ network: TestNetwork) async throws {
        try await withStuckHost(on: network, { $0.limits.transient.dials = 1 }) { host, transport, _ in
            let first = Task { await code { try await host.connect(to: "/ip4/192.0.2.1/udp/1/quic-v1") } }
            await transport.waitFor(1)
            #expect(host.resourceUsage(of: .transient).outboundConnections == 1)
            #expect(await code { try await host.connect(to: "/ip4/192.0.2.2/udp/1/quic-v1") } == .resourceLimit)
            first.cancel()
            #expect(await first.value == .cancelled)
            while host.resourceUsage(of: .transient) != ResourceUsage() { await Task.yield() }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func memoryThatAHandlerNeedsIsAccountedFor(_ network: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.limits.memoryPerStream = 100
        configuration.limits.memoryPerConnection = 1000
        configuration.limits.streamMemory = 500
        try await withTwoHosts(on: network, NegotiationTests.quiet, configuration) { server, client in
            await server.handle("/hold/1") { _ = try await $0.read() }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: ["/hold/1"])
            #expect(client.resourceUsage(of: .system).memory == 1100)
            try await client.withMemory(400, for: stream) {
                #expect(client.resourceUsage(of: .peer(peer)).memory == 1500)
                #expect(client.resourceUsage(of: .protocolName("/hold/1")).memory == 500)
                #expect(await code { try await client.withMemory(1, for: stream) {} } == .resourceLimit)
            }
            #expect(client.resourceUsage(of: .system).memory == 1100)
            stream.reset()
            #expect(await code { try await client.withMemory(1, for: stream) {} } == .streamFailed)
            #expect(client.resourceUsage(of: .system).memory == 1000)
        }
    }

    @Test func limitsThatMakeNoSenseAreNamed() {
        var configuration = HostConfiguration()
        configuration.limits.protocols["/a"] = .init(inboundStreams: -1)
        do {
            _ = try BasicHost(identity: .ed25519(), transports: [], configuration: configuration)
            Issue.record("a negative limit was taken")
        } catch {
            #expect((error as? HostError)?.message.contains("limits.protocols[\"/a\"].inboundStreams") == true)
        }
    }
}
