import Foundation
import MetricsTestKit
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// What a host tells.
@Suite(.timeLimit(.minutes(1))) struct EventTests {
    @Test(arguments: TestNetwork.allCases)
    func theEndOfAConnectionIsToldThoughItsHandlersRunOn(_ network: TestNetwork) async throws {
        let gate = SharedResult<Void>()
        let (started, start) = AsyncStream<Void>.makeStream()
        try await withTwoHosts(on: network, NegotiationTests.quiet, NegotiationTests.quiet) { server, client in
            defer { gate.fulfil(.success(())) }
            // A handler that heeds no cancellation.
            await server.handle("/stubborn/1") { _ in
                start.yield()
                await uncancelled { try? await gate.wait() }
            }
            let peer = try await client.connect(to: server.address)
            _ = try await client.newStream(to: peer, protocols: ["/stubborn/1"])
            for await _ in started { break }
            var events = server.events().makeAsyncIterator()
            await client.disconnect(from: peer, code: .none, reason: "enough")
            guard case .disconnected(let info, let reason) = await events.next() else {
                Issue.record("the first event is not the end")
                return
            }
            #expect(info.peer == client.peerID && reason.byPeer && reason.reason == "enough")
            #expect(server.connections().isEmpty)
            gate.fulfil(.success(()))
            // It is told once only: the next thing told is the end of listening.
            await server.close()
            while let event = await events.next() {
                if case .disconnected = event { Issue.record("the end was told twice") }
            }
        }
    }

    /// A predicate holds up the one who negotiates, and with it, as no other may, the one who accepts streams. It keeps a
    /// thread: there has to be another.
    @Test(.enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1), arguments: TestNetwork.allCases)
    func theEndOfAConnectionIsToldThoughAllItsNegotiationsAreHeldUp(_ network: TestNetwork) async throws {
        let isOver = Atomic(false)
        let (asked, ask) = AsyncStream<Void>.makeStream()
        var configuration = NegotiationTests.quiet
        configuration.streams.inboundNegotiations = 1
        try await withTwoHosts(on: network, configuration, NegotiationTests.quiet) { server, client in
            defer { isOver.store(true, ordering: .relaxed) }
            let peer = try await client.connect(to: server.address)
            await server.handle(
                "/held-up/1",
                matching: { name in
                    ask.yield()
                    while name == "/held-up/1.1", !isOver.load(ordering: .relaxed) { sched_yield() }
                    return false
                },
                handler: { _ in }
            )
            let stream = Task { try await client.newStream(to: peer, protocols: ["/held-up/1.1"]) }
            for await _ in asked { break }
            var events = server.events().makeAsyncIterator()
            await client.disconnect(from: peer, code: .none, reason: "enough")
            guard case .disconnected(let info, _) = await events.next() else {
                Issue.record("the first event is not the end")
                return
            }
            #expect(info.peer == client.peerID)
            #expect(server.connections().isEmpty)
            isOver.store(true, ordering: .relaxed)
            _ = await stream.result
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func eventsEndAfterTheLastOfThem(_ network: TestNetwork) async throws {
        let gate = SharedResult<Void>()
        defer { gate.fulfil(.success(())) }
        let (started, start) = AsyncStream<Void>.makeStream()
        try await network.openHost(NegotiationTests.quiet) { network, host in
            // Handlers that heed no cancellation hold nothing up.
            await host.handle("/stubborn/1") { _ in
                start.yield()
                await uncancelled { try? await gate.wait() }
            }
            let events = host.events()
            let seen = Mutex<[HostEvent]>([])
            host.notify { event in seen.withLock { $0.append(event) } }
            let address = try host.address
            var peers: [RawPeer] = []
            for number in 0..<30 {
                while host.connections().count < number { await Task.yield() }
                peers.append(try await RawPeer(in: network, dialing: host))
            }
            _ = try await peers[0].open("/stubborn/1")
            for await _ in started { break }
            while host.connections().count < peers.count { await Task.yield() }
            // Some end by themselves at the same time.
            async let leaving: Void = withDiscardingTaskGroup { group in
                for peer in peers.suffix(10) {
                    group.addTask { await peer.connection.close(code: .none, reason: "") }
                }
            }
            await host.close()
            await leaving
            var read: [HostEvent] = []
            for await event in events { read.append(event) }
            for told in [read, seen.withLock { $0 }] {
                var open: Set<UInt64> = []
                var (ends, isListening) = (0, true)
                for event in told {
                    switch event {
                    case .connected(let info): #expect(open.insert(info.id).inserted)
                    case .disconnected(let info, _):
                        // After its beginning, and once.
                        #expect(open.remove(info.id) != nil)
                        ends += 1
                    case .stoppedListening(let where_): isListening = isListening && where_ != address
                    default: break
                    }
                }
                #expect(ends == 30 && open.isEmpty && !isListening)
            }
            gate.fulfil(.success(()))
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func eventsWaitForAnEndThatIsToldLate(_ network: TestNetwork) async throws {
        let gate = SharedResult<Void>()
        // An interest that never ends.
        _ = gate.join()
        defer { gate.fulfil(.success(())) }
        try await network.openHost(NegotiationTests.quiet) { network, server in
            let key = PrivateKey.ed25519()
            let transport = LateTransport(base: try network.transport(key), gate: gate)
            try await withHost(
                identity: key,
                transports: [transport],
                configuration: NegotiationTests.quiet
            ) { host in
                let events = host.events()
                try await host.connect(to: server.address)
                let isClosed = Flag()
                async let closing: Void = {
                    await host.close()
                    isClosed.set()
                }()
                // Ample time to end too early.
                while !server.connections().isEmpty { await Task.yield() }
                for _ in 0..<10_000 where !isClosed.isSet { await Task.yield() }
                #expect(!isClosed.isSet)
                gate.fulfil(.success(()))
                await closing
                var ends = 0
                for await case .disconnected(let info, _) in events where info.peer == server.peerID { ends += 1 }
                #expect(ends == 1)
            }
        }
    }

    @Test func aSlowReaderLosesTheOldestAndIsToldSo() async throws {
        let metrics = TestMetrics()
        let dropped = HostMetrics(factory: metrics).eventsDropped
        let hub = EventHub(dropped: dropped)
        let slow = hub.subscribe(buffering: 2)
        let quick = hub.subscribe(buffering: 10)
        let peers = (0..<5).map { _ in PrivateKey.ed25519().peerID }
        for peer in peers { hub.emit(.dialFailed(peer, HostError(.dialFailed, ""))) }
        hub.finish()
        func read(_ events: HostEvents) async -> [PeerID] {
            var seen: [PeerID] = []
            for await case .dialFailed(let peer?, _) in events { seen.append(peer) }
            return seen
        }
        #expect(await read(slow) == Array(peers.suffix(2)))
        #expect(await read(quick) == peers)
        #expect(slow.dropped == 3 && quick.dropped == 0)
        #expect(metrics.counterTotal(label: "libp2p_host_events_dropped") == 3)
    }

    @Test(arguments: TestNetwork.allCases)
    func notifieesAreToldEachEventUntilTheyAreCancelled(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network, NegotiationTests.quiet, NegotiationTests.quiet) { server, client in
            let seen = Mutex<[String]>([])
            let notifiee = client.notify { event in
                switch event {
                case .connected(let info): seen.withLock { $0.append("connected \(info.id)") }
                case .disconnected(let info, _): seen.withLock { $0.append("disconnected \(info.id)") }
                default: break
                }
            }
            var events = client.events().makeAsyncIterator()
            for round in 1...2 {
                let peer = try await client.connect(to: server.address)
                await client.disconnect(from: peer)
                while let event = await events.next() {
                    if case .disconnected = event { break }
                }
                // Readers are told first; the notifiee follows on the same task.
                while round == 1, seen.withLock({ $0.count }) < 2 { await Task.yield() }
                notifiee.cancel()
            }
            #expect(seen.withLock { $0 } == ["connected 1", "disconnected 1"])
        }
    }
}
