import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// A transport whose dials only end when they are told to.
final class StuckTransport: Transport {
    struct State {
        var dials: [Multiaddr] = []
        var cancelled = 0
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    let state = Mutex(State())
    /// Addresses that fail at once.
    let failing: Set<Multiaddr>

    init(failing: Set<Multiaddr> = []) {
        self.failing = failing
    }

    var protocols: [String] { ["stuck"] }
    var dials: [Multiaddr] { state.withLock { $0.dials } }
    var cancelled: Int { state.withLock { $0.cancelled } }
    func canDial(_ address: Multiaddr) -> Bool { address.contains(.udp) }
    func canListen(on address: Multiaddr) -> Bool { false }
    func listen(on address: Multiaddr) async throws -> any Listener { throw CancellationError() }
    func close() async {}

    func dial(_ address: Multiaddr) async throws -> any MuxedConnection {
        change { $0.dials.append(address.withoutPeerID) }
        if failing.contains(address.withoutPeerID) { throw HostError(.dialFailed, "as it should") }
        let (never, _) = AsyncStream<Void>.makeStream()
        for await _ in never {}
        change { $0.cancelled += 1 }
        throw CancellationError()
    }

    private func change(_ body: (inout State) -> Void) {
        let due = state.withLock { state in
            body(&state)
            let count = state.dials.count + state.cancelled
            defer { state.waiters.removeAll { $0.count <= count } }
            return state.waiters.filter { $0.count <= count }
        }
        for waiter in due { waiter.continuation.resume() }
    }

    /// Waits until so many dials and cancellations were seen together.
    func waitFor(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.dials.count + state.cancelled >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct SwarmTests {
    let stranger = PrivateKey.ed25519().peerID

    func withStuckHost(
        failing: Set<Multiaddr> = [],
        _ body: (BasicHost, StuckTransport, ManualClock) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        let transport = StuckTransport(failing: failing)
        try await withHost(identity: .ed25519(), transports: [transport], configuration: configuration) { host in
            try await body(host, transport, clock)
        }
    }

    // MARK: Dialling

    @Test func oneselfIsNotDialled() async throws {
        try await withTwoHosts { server, client in
            let own = try server.address
            #expect(await code { try await server.connect(to: own) } == .dialSelf)
            #expect(await code { try await server.connect(to: own.withoutPeerID) } == .dialSelf)
            #expect(await code { try await server.connect(to: server.peerID) } == .dialSelf)
            // An own address under another name leads nowhere either.
            #expect(await code { try await server.connect(to: client.peerID, addresses: [own]) } == .dialSelf)
            #expect(server.connectedPeers.isEmpty)
        }
    }

    @Test func whatCannotBeDialledIsSaidSo() async throws {
        try await withTwoHosts { _, client in
            #expect(await code { try await client.connect(to: stranger) } == .noAddresses)
            #expect(await code { try await client.connect(to: "/ip4/127.0.0.1/udp/1/quic-v1") } == .noTransport)
            #expect(await code { try await client.connect(to: "/memory/99") } == .dialFailed)
            #expect(await code { try await client.listen(on: "/ip4/127.0.0.1/udp/0/quic-v1") } == .noTransport)
        }
    }

    @Test func anotherPeerThanExpectedIsRefused() async throws {
        try await withTwoHosts { server, client in
            let wrong = try server.address.withPeerID(stranger)
            #expect(await code { try await client.connect(to: wrong) } == .dialFailed)
            #expect(client.connectedPeers.isEmpty)
        }
    }

    @Test func manyCallersShareOneDial() async throws {
        try await withTwoHosts { server, client in
            let address = try server.address
            try await withThrowingTaskGroup(of: PeerID.self) { group in
                for _ in 0..<20 { group.addTask { try await client.connect(to: address) } }
                for try await peer in group { #expect(peer == server.peerID) }
            }
            #expect(client.connections().count == 1)
        }
    }

    @Test func aDialEndsAtItsDeadlineAndWhenNobodyWaits() async throws {
        try await withStuckHost { host, transport, clock in
            let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
            // Two callers, one dial. One leaves, the dial goes on.
            let first = Task { await code { try await host.connect(to: stranger, addresses: [address]) } }
            await transport.waitFor(1)
            let second = Task { await code { try await host.connect(to: stranger, addresses: [address]) } }
            await clock.waitForSleepers(2)
            first.cancel()
            #expect(await first.value == .cancelled)
            #expect(transport.cancelled == 0)
            // The last one's time is over: the dial is given up.
            clock.advance(by: .seconds(10))
            #expect(await second.value == .timeout)
            await transport.waitFor(2)
            #expect(transport.cancelled == 1)
            #expect(transport.dials == [address])
        }
    }

    @Test func addressesAreTriedOneAfterTheOther() async throws {
        let (dead, next, last): (Multiaddr, Multiaddr, Multiaddr) = (
            "/ip6/2001:db8::1/udp/1/quic-v1", "/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/192.0.2.1/udp/1/quic"
        )
        try await withStuckHost(failing: [dead]) { host, transport, clock in
            let dial = Task {
                await code { try await host.connect(to: stranger, addresses: [last, next, dead]) }
            }
            // The first fails, so the second starts at once; the third has to wait.
            await transport.waitFor(2)
            #expect(transport.dials == [dead, next])
            // The deadline, the stagger of the first, the stagger of the second.
            await clock.waitForSleepers(3)
            clock.advance(by: .milliseconds(250))
            await transport.waitFor(3)
            #expect(transport.dials == [dead, next, last])
            dial.cancel()
            #expect(await dial.value == .cancelled)
        }
    }

    @Test func closingTheHostEndsItsDials() async throws {
        try await withStuckHost { host, transport, _ in
            let dial = Task { await code { try await host.connect(to: "/ip4/192.0.2.1/udp/1/quic-v1") } }
            await transport.waitFor(1)
            await host.close()
            #expect(await dial.value == .closed)
        }
    }

    @Test func addressesAreRanked() {
        let addresses: [Multiaddr] = [
            "/ip4/192.0.2.1/udp/1/quic", "/ip4/192.0.2.1/udp/1/quic-v1", "/ip4/10.0.0.1/udp/1/quic-v1",
            "/ip6/2001:db8::1/udp/1/quic-v1", "/ip4/192.0.2.1/tcp/1", "/ip4/192.168.1.1/udp/1/quic-v1",
            "/ip4/192.0.2.1/udp/1/quic-v1",
        ]
        let entries = AddressRanking.rank(
            addresses,
            limit: 5,
            publicStagger: .milliseconds(250),
            privateStagger: .milliseconds(30)
        )
        #expect(
            entries == [
                .init(address: "/ip6/2001:db8::1/udp/1/quic-v1", delay: .zero),
                .init(address: "/ip4/10.0.0.1/udp/1/quic-v1", delay: .zero),
                .init(address: "/ip4/192.168.1.1/udp/1/quic-v1", delay: .milliseconds(30)),
                .init(address: "/ip4/192.0.2.1/udp/1/quic-v1", delay: .milliseconds(250)),
                .init(address: "/ip4/192.0.2.1/udp/1/quic", delay: .milliseconds(500)),
            ]
        )
        for near in [
            "/ip4/127.0.0.1/udp/1", "/ip4/172.16.0.1/udp/1", "/ip6/::1/udp/1", "/ip6/fd00::1/udp/1",
            "/ip6/fe80::1/udp/1",
        ] {
            #expect(Multiaddr(near).map(AddressRanking.isPrivate) == true)
        }
        for far in ["/ip4/172.32.0.1/udp/1", "/ip4/8.8.8.8/udp/1", "/ip6/2001:db8::1/udp/1", "/dns4/example.org/udp/1"]
        {
            #expect(Multiaddr(far).map(AddressRanking.isPrivate) == false)
        }
    }

    @Test func addressesThatFailedRestForAWhile() async throws {
        let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
        try await withStuckHost(failing: [address]) { host, transport, clock in
            // A named address is dialled each time; from the peer store it rests.
            for count in 1...2 {
                #expect(await code { try await host.connect(to: stranger, addresses: [address]) } == .dialFailed)
                #expect(transport.dials.count == count)
            }
            #expect(await code { try await host.connect(to: stranger) } == .dialBackOff)
            #expect(await code { _ = try await host.newStream(to: stranger, protocols: ["/a"]) } == .dialBackOff)
            clock.advance(by: .seconds(8))
            #expect(await code { try await host.connect(to: stranger) } == .dialBackOff)
            // After the second failure in a row: 5 s + 2² s.
            clock.advance(by: .seconds(1))
            #expect(await code { try await host.connect(to: stranger) } == .dialFailed)
            #expect(transport.dials.count == 3)
        }
        #expect(DialBackOff.pause(after: 1, base: .seconds(5), longest: .seconds(300)) == .seconds(6))
        #expect(DialBackOff.pause(after: 100, base: .seconds(5), longest: .seconds(300)) == .seconds(300))
        #expect(DialBackOff.pause(after: .max, base: .seconds(5), longest: .seconds(300)) == .seconds(300))
    }

    @Test func theGaterIsAsked() async throws {
        let network = MemoryNetwork()
        let (key, peerKey) = (PrivateKey.ed25519(), PrivateKey.ed25519())
        let peer = MemoryTransport(identity: peerKey, network: network)
        let listener = try await peer.listen(on: "/memory/77")
        let gates: [(ConnectionGater, isInboundRefused: Bool)] = [
            (ConnectionGater(allowsDialingPeer: { $0 != peerKey.peerID }), false),
            (ConnectionGater(allowsDialingAddress: { $0.withoutPeerID != "/memory/77" }), false),
            (ConnectionGater(allowsConnection: { $0.peer != peerKey.peerID }), true),
        ]
        for (gater, isInboundRefused) in gates {
            var configuration = HostConfiguration()
            configuration.gater = gater
            try await withHost(
                identity: key,
                transports: [MemoryTransport(identity: key, network: network)],
                listen: ["/memory/0"],
                configuration: configuration
            ) { host in
                let address = try #require(listener.addresses.first)
                #expect(await code { try await host.connect(to: address.withPeerID(peerKey.peerID)) } == .gated)
                let connection = try await peer.dial(host.address)
                if isInboundRefused {
                    #expect(await connection.waitUntilClosed().code == ConnectionErrorCode.gated.rawValue)
                } else {
                    // The host asks who it is: the connection is in use.
                    _ = try await connection.acceptStream()
                }
            }
        }
    }

    @Test func surplusConnectionsAreClosed() async throws {
        let clock = ManualClock()
        var configuration = HostConfiguration()
        configuration.clock = clock
        configuration.identify.runsOnConnect = false
        configuration.connections.trimming = .init(lowWater: 2, highWater: 4, gracePeriod: .seconds(10))
        let network = MemoryNetwork()
        let key = PrivateKey.ed25519()
        try await withHost(
            identity: key,
            transports: [MemoryTransport(identity: key, network: network)],
            listen: ["/memory/0"],
            configuration: configuration
        ) { host in
            var events = host.events().makeAsyncIterator()
            var ends: [any MuxedConnection] = []
            func connect() async throws {
                let peer = MemoryTransport(identity: .ed25519(), network: network)
                ends.append(try await peer.dial(host.address))
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

    @Test func twoThatDialEachOtherAreConnected() async throws {
        try await withTwoHosts { server, client in
            try await client.listen(on: "/memory/0")
            let (there, here) = (try server.address, try client.address)
            async let first = client.connect(to: there)
            async let second = server.connect(to: here)
            #expect(try await (first, second) == (server.peerID, client.peerID))
            #expect(try await client.ping(server.peerID) > .zero)
            #expect(try await server.ping(client.peerID) > .zero)
        }
    }

    // MARK: Connections

    @Test func connectionsWithOnePeerAreLimited() async throws {
        var configuration = HostConfiguration()
        configuration.connections.limitPerPeer = 1
        configuration.connections.limit = 2
        let network = MemoryNetwork()
        let key = PrivateKey.ed25519()
        let transport = MemoryTransport(identity: key, network: network)
        let others = [PrivateKey.ed25519(), .ed25519(), .ed25519()].map {
            MemoryTransport(identity: $0, network: network)
        }
        try await withHost(
            identity: key,
            transports: [transport],
            listen: ["/memory/0"],
            configuration: configuration
        ) { host in
            var events = host.events().makeAsyncIterator()
            let first = try await others[0].dial(host.address)
            _ = await events.next()
            let same = try await others[0].dial(host.address)
            let reason = await same.waitUntilClosed()
            #expect(reason.code == ConnectionErrorCode.resourceLimitExceeded.rawValue && reason.byPeer)
            let second = try await others[1].dial(host.address)
            _ = await events.next()
            let third = try await others[2].dial(host.address)
            #expect(await third.waitUntilClosed().code == ConnectionErrorCode.resourceLimitExceeded.rawValue)
            #expect(!first.isClosed && !second.isClosed)
            #expect(host.connections().count == 2)
            // A place is free again when one goes.
            await first.close(code: .none, reason: "")
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

    @Test func aPeerWithOurOwnIdentityIsTurnedAway() async throws {
        let network = MemoryNetwork()
        let key = PrivateKey.ed25519()
        try await withHost(
            identity: key,
            transports: [MemoryTransport(identity: key, network: network)],
            listen: ["/memory/0"]
        ) { host in
            let double = MemoryTransport(identity: key, network: network)
            let connection = try await double.dial(host.address)
            #expect(await connection.waitUntilClosed().code == ConnectionErrorCode.gated.rawValue)
        }
    }

    @Test func eventsTellTheLifeOfAConnection() async throws {
        try await withTwoHosts { server, client in
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

    @Test func severalConnectionsShareTheStreams() async throws {
        for choice in [HostConfiguration.ConnectionChoice.roundRobin, .leastLoaded] {
            var configuration = HostConfiguration()
            configuration.connections.choice = choice
            configuration.identify.runsOnConnect = false
            let network = MemoryNetwork()
            let (key, peerKey) = (PrivateKey.ed25519(), PrivateKey.ed25519())
            let peer = MemoryTransport(identity: peerKey, network: network)
            try await withHost(
                identity: key,
                transports: [MemoryTransport(identity: key, network: network)],
                listen: ["/memory/0"],
                configuration: configuration
            ) { host in
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

    @Test func streamsAreCountedWhileTheyAreInUse() async throws {
        try await withTwoHosts { server, client in
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

    @Test func aHandlerThatThrowsResetsItsStream() async throws {
        struct Broken: Error {}
        try await withTwoHosts { server, client in
            await server.handle("/broken/1") { _ in throw Broken() }
            await server.handle("/strict/1") { stream in _ = try await stream.readMessage(limit: 4) }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: ["/broken/1"])
            let error = await #expect(throws: NetStreamError.self) { _ = try await stream.read() }
            #expect(error?.code == .reset && error?.streamCode == StreamErrorCode.generic.rawValue)
            let strict = try await client.newStream(to: peer, protocols: ["/strict/1"])
            try await strict.writeMessage([1, 2, 3, 4, 5])
            let violation = await #expect(throws: NetStreamError.self) { _ = try await strict.read() }
            #expect(violation?.streamCode == StreamErrorCode.protocolViolation.rawValue)
        }
    }

    @Test func aHandlerThatReturnsClosesItsStream() async throws {
        try await withTwoHosts { server, client in
            await server.handle("/hello/1") { try await $0.write([1, 2]) }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: ["/hello/1"])
            #expect(try await stream.readToEnd(limit: 10) == [1, 2])
        }
    }

    @Test func manyStreamsAtOnceDoNotMix() async throws {
        try await withTwoHosts { server, client in
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

    // MARK: Life

    @Test func aHostRunsAsATaskOfItsOwn() async throws {
        let network = MemoryNetwork()
        let key = PrivateKey.ed25519()
        let host = try BasicHost(identity: key, transports: [MemoryTransport(identity: key, network: network)])
        let running = Task { try await host.run() }
        try await host.listen(on: "/memory/0")
        let peer = MemoryTransport(identity: .ed25519(), network: network)
        let connection = try await peer.dial(host.address)
        running.cancel()
        try await running.value
        let reason = await connection.waitUntilClosed()
        #expect(reason.code == ConnectionErrorCode.shutdown.rawValue && reason.byPeer)
        #expect(await code { try await host.run() } == .closed)
        #expect(await code { try await host.connect(to: "/memory/1") } == .closed)
        #expect(await code { try await host.listen(on: "/memory/1") } == .closed)
        for await _ in host.events() { Issue.record("an event after the end") }
        await host.close()
    }

    @Test func leavingTheScopeClosesEverything() async throws {
        struct Left: Error {}
        let network = MemoryNetwork()
        let (key, peerKey) = (PrivateKey.ed25519(), PrivateKey.ed25519())
        let peer = MemoryTransport(identity: peerKey, network: network)
        let ends = Mutex<[any MuxedConnection]>([])
        await #expect(throws: Left.self) {
            try await withHost(
                identity: key,
                transports: [MemoryTransport(identity: key, network: network)],
                listen: ["/memory/5"]
            ) { host in
                await host.handle("/hang/1") { stream in _ = try await stream.read() }
                let connection = try await peer.dial(host.address)
                ends.withLock { $0.append(connection) }
                throw Left()
            }
        }
        let connection = try #require(ends.withLock { $0.first })
        #expect(await connection.waitUntilClosed().byPeer)
        // The address is free again.
        _ = try await peer.listen(on: "/memory/5")
    }

    @Test func runInsideTheScopeWaitsForTheClose() async throws {
        try await withTwoHosts { server, _ in
            async let running: Void = server.run()
            await server.close()
            try await running
        }
    }

    @Test func foolishConfigurationsAreRefused() async throws {
        let changes: [(String, (inout HostConfiguration) -> Void)] = [
            ("connections.limit ", { $0.connections.limit = 0 }),
            ("connections.limitPerPeer", { $0.connections.limitPerPeer = 0 }),
            ("connections.dialsPerPeer", { $0.connections.dialsPerPeer = 0 }),
            ("connections.dialTimeout", { $0.connections.dialTimeout = .zero }),
            ("connections.dialStagger", { $0.connections.dialStagger = .seconds(-1) }),
            ("connections.privateDialStagger", { $0.connections.privateDialStagger = .seconds(-1) }),
            ("streams.inboundNegotiations", { $0.streams.inboundNegotiations = 0 }),
            ("streams.outboundNegotiations", { $0.streams.outboundNegotiations = 0 }),
            ("streams.inboundHandlers", { $0.streams.inboundHandlers = 0 }),
            ("streams.negotiationTimeout", { $0.streams.negotiationTimeout = .zero }),
            ("identify.timeout", { $0.identify.timeout = .zero }),
            ("identify.agentVersion", { $0.identify.agentVersion = String(repeating: "x", count: 257) }),
            ("identify.protocolVersion", { $0.identify.protocolVersion = String(repeating: "x", count: 257) }),
            ("connections.trimming", { $0.connections.trimming = .init(lowWater: 3, highWater: 2) }),
            ("connections.dialBackOff", { $0.connections.dialBackOff = .seconds(-1) }),
            ("connections.longestDialBackOff", { $0.connections.longestDialBackOff = .seconds(-1) }),
            ("pingStreamsPerPeer", { $0.pingStreamsPerPeer = 0 }),
            ("rememberedPeers", { $0.rememberedPeers = 0 }),
        ]
        for (field, change) in changes {
            var configuration = HostConfiguration()
            change(&configuration)
            let error = #expect(throws: HostError.self) {
                try BasicHost(identity: .ed25519(), transports: [], configuration: configuration)
            }
            #expect(error?.code == .invalidConfiguration && error?.message.contains(field) == true, "\(field)")
        }
    }

    @Test func thePeerStoreIsBounded() throws {
        let store = PeerStore(capacity: 3)
        let peers = (0..<4).map { _ in PrivateKey.ed25519().peerID }
        for peer in peers.prefix(3) { store.add(["/memory/1"], for: peer) }
        store.add(["/memory/2"], for: peers[0])
        store.add(["/memory/1"], for: peers[3])
        #expect(store.count == 3)
        // The one that was not touched for longest is gone.
        #expect(store.info(for: peers[1]) == nil)
        #expect(store.addresses(of: peers[0]) == ["/memory/1", "/memory/2"])
        for number in 0..<100 { store.add([try Multiaddr(parsing: "/memory/\(number)")], for: peers[0]) }
        #expect(store.addresses(of: peers[0]).count == PeerStore.addressLimit)
        store.add([Multiaddr("/memory/7").withPeerID(peers[2])], for: peers[3])
        #expect(store.addresses(of: peers[3]) == ["/memory/1"])
        store.remove(peers[3])
        #expect(store.info(for: peers[3]) == nil)
    }
}
