import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// Connections, their streams and handlers.
@Suite(.timeLimit(.minutes(1))) struct SwarmTests {
    // MARK: Connections

    @Test(arguments: TestNetwork.allCases) func connectionsWithOnePeerAreLimited(_ kind: TestNetwork) async throws {
        var configuration = HostConfiguration()
        configuration.connections.limitPerPeer = 1
        configuration.connections.limit = 2
        try await kind.openHost(configuration) { network, host in
            let others = try (0..<3).map { _ in try network.transport() }
            var events = host.events().makeAsyncIterator()
            let first = try await others[0].dial(host.address)
            _ = await events.next()
            // A peer that was restarted is not locked out by the connection it has forgotten.
            let same = try await others[0].dial(host.address)
            let reason = await first.waitUntilClosed()
            #expect(reason.code == ConnectionErrorCode.supplanted.rawValue && reason.byPeer)
            while let event = await events.next() {
                if case .disconnected = event { break }
            }
            #expect(host.connections().count == 1)
            let second = try await others[1].dial(host.address)
            while let event = await events.next() {
                if case .connected(let info) = event, info.peer == second.localPeer { break }
            }
            let address = try host.address
            let refusal = await closeCode { try await others[2].dial(address) }
            #expect(refusal == ConnectionErrorCode.resourceLimitExceeded.rawValue)
            #expect(!same.isClosed && !second.isClosed)
            #expect(host.connections().count == 2)
            // A place is free again when one goes.
            await same.close(code: .none, reason: "")
            while let event = await events.next() {
                if case .disconnected = event { break }
            }
            let again = try await others[2].dial(host.address)
            while let event = await events.next() {
                if case .connected(let info) = event, info.peer == again.localPeer { break }
            }
            #expect(!again.isClosed)
        }
    }

    @Test(arguments: TestNetwork.allCases) func theOldestInboundConnectionMakesRoom(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.limitPerPeer = 2
        let peerKey = PrivateKey.ed25519()
        try await kind.openHost(configuration) { network, host in
            let peer = try network.transport(peerKey)
            let listener = try await peer.listen(on: network.anywhere)
            let there = try #require(listener.addresses.first)
            // Its own connection is never given up for one of the peer's.
            try await host.connect(to: there)
            var ends: [any MuxedConnection] = []
            for index in 0..<4 {
                ends.append(try await peer.dial(host.address))
                guard index > 0 else { continue }
                let reason = await ends[index - 1].waitUntilClosed()
                #expect(reason.code == ConnectionErrorCode.supplanted.rawValue)
            }
            while host.connections(to: peerKey.peerID).count != 2 { await Task.yield() }
            #expect(host.connections().contains { $0.direction == .outbound })
            #expect(!ends[3].isClosed)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func ofManyDialsAtOnceTheFirstIsKeptAndOfLaterOnesTheLatest(_ kind: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = NegotiationTests.quiet
        configuration.clock = clock
        try await kind.openHost(configuration) { network, host in
            let peer = try network.transport()
            let limit = configuration.connections.limitPerPeer
            func dial() async throws -> any MuxedConnection { try await peer.dial(host.address) }
            func supplanted(_ connection: any MuxedConnection) async {
                let reason = await connection.waitUntilClosed()
                #expect(reason.code == ConnectionErrorCode.supplanted.rawValue && reason.byPeer)
            }
            // As many addresses as a host dials at once: its first answer is the one that it keeps.
            var ends: [any MuxedConnection] = []
            for index in 0..<configuration.connections.dialsPerPeer {
                ends.append(try await dial())
                while host.connections().last?.id != UInt64(index + 1) { await Task.yield() }
                if index >= limit { await supplanted(ends[index - 1]) }
            }
            #expect(ends.prefix(limit - 1).allSatisfy { !$0.isClosed } && ends.last?.isClosed == false)
            #expect(host.connections().count == limit)
            // Later the peer has forgotten the first one.
            clock.advance(by: configuration.connections.dialTimeout)
            let late = try await dial()
            await supplanted(ends[0])
            #expect(!late.isClosed && host.connections().count == limit)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aClosedConnectionGivesItsPlaceBackThoughItsHandlersRunOn(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.limit = 1
        let (started, start) = AsyncStream<Void>.makeStream()
        let gate = SharedResult<Void>()
        try await kind.openHost(configuration) { network, host in
            // A handler that heeds no cancellation.
            await host.handle("/stubborn/1") { _ in
                start.yield()
                await uncancelled { try? await gate.wait() }
            }
            let first = try await network.peer(dialing: host)
            let stream = try await first.openStream()
            let name = Multistream.frame(Array("/stubborn/1".utf8))
            try await stream.write(Multistream.frame(Multistream.header) + name)
            var iterator = started.makeAsyncIterator()
            await iterator.next()
            await first.close(code: .none, reason: "")
            // It takes a moment to be seen.
            while !host.connections().isEmpty { await Task.yield() }
            let transport = try network.transport()
            func ask() async throws -> [UInt8]? {
                let used = try await transport.dial(host.address).openStream()
                try await used.write(Multistream.frame(Multistream.header))
                return try await used.read(upTo: 100)
            }
            let answer = try? await ask()
            gate.fulfil(.success(()))
            #expect(answer == Multistream.frame(Multistream.header))
        }
    }

    @Test(arguments: TestNetwork.allCases) func aPeerWithOurOwnIdentityIsTurnedAway(_ kind: TestNetwork) async throws {
        let key = PrivateKey.ed25519()
        try await kind.openHost(identity: key) { network, host in
            let refusal = await closeCode { try await network.peer(key, dialing: host) }
            #expect(refusal == ConnectionErrorCode.gated.rawValue)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func eventsTellTheLifeOfAConnection(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            var seen = server.events().makeAsyncIterator()
            try await client.connect(to: server.address)
            guard case .connected(let info) = await seen.next() else {
                Issue.record("the first event is not the connection")
                return
            }
            #expect(info.peer == client.peerID && info.direction == .inbound)
            guard case .identified(let told) = await seen.next() else {
                Issue.record("the second event is not the identification")
                return
            }
            #expect(told.peer == client.peerID)
            await client.disconnect(from: server.peerID, code: .garbageCollected, reason: "idle")
            guard case .disconnected(let same, let reason) = await seen.next() else {
                Issue.record("the third event is not the end")
                return
            }
            #expect(same == info)
            #expect(reason.code == ConnectionErrorCode.garbageCollected.rawValue && reason.byPeer)
            #expect(server.connectedPeers.isEmpty)
        }
    }

    @Test(arguments: TestNetwork.allCases) func severalConnectionsShareTheStreams(_ kind: TestNetwork) async throws {
        for choice in [HostConfiguration.ConnectionChoice.roundRobin, .leastLoaded] {
            var configuration = HostConfiguration()
            configuration.connections.choice = choice
            configuration.identify.runsOnConnect = false
            let peerKey = PrivateKey.ed25519()
            try await kind.openHost(configuration) { network, host in
                let peer = try network.transport(peerKey)
                var events = host.events().makeAsyncIterator()
                var ends: [any MuxedConnection] = []
                for _ in 0..<2 { ends.append(try await peer.dial(host.address)) }
                var count = 0
                while count < 2, let event = await events.next() {
                    if case .connected = event { count += 1 }
                }
                var used: Set<UInt64> = []
                var streams: [NetStream] = []
                for _ in 0..<4 {
                    let connection = try #require(host.openConnection(to: peerKey.peerID))
                    used.insert(connection.info.id)
                    streams.append(try await connection.wrap(connection.muxed.openStream()))
                }
                #expect(host.connections().allSatisfy { used.contains($0.id) } && streams.count == 4)
                #expect(used.count == 2, "\(choice)")
                #expect(ends.count == 2)
            }
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func streamsAreCountedWhileTheyAreInUse(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            _ = try await client.identify(peer)
            let connection = try #require(client.openConnection(to: peer))
            do {
                let dropped = try await connection.wrap(connection.muxed.openStream())
                #expect(connection.streamCount >= 1)
                withExtendedLifetime(dropped) {}
            }
            let kept = try await connection.wrap(connection.muxed.openStream())
            kept.reset()
            kept.reset()
            let last = try await connection.wrap(connection.muxed.openStream())
            // The host's own streams have ended, the dropped and the reset one too.
            while connection.streamCount > 1 { await Task.yield() }
            #expect(connection.streamCount == 1)
            last.reset()
            #expect(connection.streamCount == 0)
        }
    }

    // MARK: Handlers

    @Test(arguments: TestNetwork.allCases)
    func aHandlerThatThrowsResetsItsStream(_ network: TestNetwork) async throws {
        struct Broken: Error {}
        try await withTwoHosts(on: network) { server, client in
            await server.handle("/broken/1") { stream in
                _ = try await stream.readExactly(1)
                throw Broken()
            }
            await server.handle("/strict/1") { stream in _ = try await stream.readMessage(limit: 4) }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: ["/broken/1"])
            try await stream.write([1])
            let error = await #expect(throws: NetStreamError.self) { _ = try await stream.read() }
            #expect(error?.code == .reset && error?.streamCode == StreamErrorCode.generic.rawValue)
            let strict = try await client.newStream(to: peer, protocols: ["/strict/1"])
            try await strict.writeMessage([1, 2, 3, 4, 5])
            let violation = await #expect(throws: NetStreamError.self) { _ = try await strict.read() }
            #expect(violation?.streamCode == StreamErrorCode.protocolViolation.rawValue)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aHandlerThatReturnsClosesItsStream(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            await server.handle("/hello/1") { try await $0.write([1, 2]) }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: ["/hello/1"])
            #expect(try await stream.readToEnd(limit: 10) == [1, 2])
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func manyStreamsAtOnceDoNotMix(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        let stream = try await client.newStream(to: peer, protocols: [EchoProtocol.name])
                        let body = [UInt8](repeating: UInt8(index), count: 1000 + index)
                        try await stream.write(body)
                        try await stream.closeWrite()
                        #expect(try await stream.readToEnd(limit: 10_000) == body)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func surplusConnectionsAreClosed(_ kind: TestNetwork) async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        configuration.identify.runsOnConnect = false
        configuration.connections.trimming = .init(lowWater: 2, highWater: 4, gracePeriod: .seconds(10))
        try await kind.openHost(configuration) { network, host in
            var events = host.events().makeAsyncIterator()
            var ends: [any MuxedConnection] = []
            func connect() async throws {
                ends.append(try await network.peer(dialing: host))
                while let event = await events.next() {
                    if case .connected = event { break }
                }
            }
            for _ in 0..<4 { try await connect() }
            // The first is protected, the second is in use; all are past the grace period but the last.
            host.protect(ends[0].localPeer, tag: "friend")
            let used = try #require(host.openConnection(to: ends[1].localPeer))
            let stream = try await used.wrap(used.muxed.openStream())
            clock.advance(by: .seconds(10))
            try await connect()
            var closed: Set<PeerID> = []
            while closed.count < 3, let event = await events.next() {
                if case .disconnected(let info, let reason) = event {
                    #expect(reason.code == ConnectionErrorCode.garbageCollected.rawValue)
                    closed.insert(info.peer)
                }
            }
            // Five less two: the idle ones first, then the one in use; neither the protected nor the young one.
            #expect(closed == Set([ends[1], ends[2], ends[3]].map(\.localPeer)))
            #expect(!ends[0].isClosed && !ends[4].isClosed)
            #expect(host.isProtected(ends[0].localPeer))
            #expect(!host.unprotect(ends[0].localPeer, tag: "friend"))
            #expect(!host.isProtected(ends[0].localPeer))
            stream.reset()
        }
    }
}
