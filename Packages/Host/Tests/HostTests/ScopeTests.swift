import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// `withHost` and `withStream` close what they opened, however one leaves them.
@Suite(.timeLimit(.minutes(1))) struct ScopeTests {
    private struct Broken: Error {}

    /// Two hosts, of which the first waits on each stream of `/wait/1` for what never comes, and tells how it ended.
    private func withWaitingServer(
        on network: TestNetwork,
        _ configuration: HostConfiguration = NegotiationTests.quiet,
        _ body: @Sendable (BasicHost, BasicHost, AsyncStream<NetStreamError?>) async throws -> Void
    ) async throws {
        let (ends, ended) = AsyncStream.makeStream(of: NetStreamError?.self)
        try await withTwoHosts(on: network, NegotiationTests.quiet, configuration) { server, client in
            await server.handle("/wait/1") { stream in
                try await stream.write([7])
                ended.yield(await streamError { _ = try await stream.read() })
            }
            try await client.connect(to: server.address)
            try await body(server, client, ends)
        }
    }

    private func first<Element>(of elements: AsyncStream<Element>) async -> Element? {
        for await element in elements { return element }
        return nil
    }

    /// Waits in a stream until something ends that: it says when it waits, and never returns by itself.
    private func wait(
        _ client: BasicHost,
        for server: PeerID,
        begun: AsyncStream<NetStream>.Continuation
    ) async throws {
        try await client.withStream(to: server, protocols: ["/wait/1"]) { stream in
            _ = try await stream.readExactly(1)
            begun.yield(stream)
            _ = try await stream.read()
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aCancelledTaskResetsItsStreamAtOnce(_ network: TestNetwork) async throws {
        try await withWaitingServer(on: network) { server, client, ends in
            let (streams, begun) = AsyncStream.makeStream(of: NetStream.self)
            let peer = server.peerID
            let task = Task { try await wait(client, for: peer, begun: begun) }
            let stream = try #require(await first(of: streams))
            #expect(client.resourceUsage(of: .peer(peer)).outboundStreams == 1)
            task.cancel()
            let result = try await withDeadline(.seconds(5)) { await task.result }
            let error = await streamError { _ = try result.get() }
            #expect(error?.code == .cancelled)
            #expect(stream.state == .reset)
            // The peer learns of it, and nothing is left of it here.
            let end = try #require(await first(of: ends))
            #expect(end?.code == .reset && end?.byPeer == true)
            #expect(client.resourceUsage(of: .peer(peer)).outboundStreams == 0)
            // Nobody else was hit.
            #expect(try await client.ping(peer) > .zero)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aTaskThatIsCancelledWhileItsStreamOpensLeavesNothing(_ kind: TestNetwork) async throws {
        try await kind.openHost(NegotiationTests.quiet) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            while host.connections(to: peer.peerID).isEmpty { await Task.yield() }
            let task = Task {
                try await host.withStream(to: peer.peerID, protocols: ["/a"]) { _ in Issue.record("nobody agreed") }
            }
            // The proposal is here, and is not answered.
            let stream = try await peer.connection.acceptStream()
            #expect(try await RawPeer.read(RawPeer.opening("/a").count, from: stream) == RawPeer.opening("/a"))
            task.cancel()
            let result = try await withDeadline(.seconds(5)) { await task.result }
            #expect(await code { _ = try result.get() } == .cancelled)
            guard case .reset(_, byPeer: true) = await RawPeer.end(of: stream) else {
                Issue.record("the peer was not told")
                return
            }
            #expect(host.resourceUsage(of: .peer(peer.peerID)).outboundStreams == 0)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func anErrorInTheBodyResetsTheStreamAndIsThrown(_ network: TestNetwork) async throws {
        try await withWaitingServer(on: network) { server, client, ends in
            await #expect(throws: Broken.self) {
                try await client.withStream(to: server.peerID, protocols: ["/wait/1"]) { stream in
                    _ = try await stream.readExactly(1)
                    throw Broken()
                }
            }
            let end = try #require(await first(of: ends))
            #expect(end?.code == .reset && end?.byPeer == true)
            #expect(client.resourceUsage(of: .peer(server.peerID)).outboundStreams == 0)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aDeadlineAroundTheScopeResetsTheStream(_ network: TestNetwork) async throws {
        try await withWaitingServer(on: network) { server, client, ends in
            let clock = ManualClock()
            let (streams, begun) = AsyncStream.makeStream(of: NetStream.self)
            let peer = server.peerID
            async let failure = streamError {
                try await withDeadline(.seconds(30), clock: clock) { try await wait(client, for: peer, begun: begun) }
            }
            let stream = try #require(await first(of: streams))
            await clock.waitForSleepers()
            clock.advance(by: .seconds(30))
            #expect(await failure?.code == .timeout)
            #expect(stream.state == .reset)
            let end = try #require(await first(of: ends))
            #expect(end?.code == .reset && end?.byPeer == true)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aCancelledHostClosesItsStreamsAndConnections(_ kind: TestNetwork) async throws {
        try await kind.openHost(NegotiationTests.quiet) { network, server in
            let (ends, ended) = AsyncStream.makeStream(of: NetStreamError?.self)
            await server.handle("/wait/1") { stream in
                try await stream.write([7])
                ended.yield(await streamError { _ = try await stream.read() })
            }
            let address = try server.address
            let events = server.events()
            let (streams, begun) = AsyncStream.makeStream(of: NetStream.self)
            let task = Task {
                try await network.host(NegotiationTests.quiet, listens: false) { client in
                    try await wait(client, for: try await client.connect(to: address), begun: begun)
                }
            }
            let stream = try #require(await first(of: streams))
            task.cancel()
            let result = try await withDeadline(.seconds(5)) { await task.result }
            #expect(await streamError { _ = try result.get() }?.code == .cancelled)
            #expect(stream.state.isEnd)
            for await case .disconnected(_, let reason) in events {
                #expect(reason.byPeer && reason.code == ConnectionErrorCode.shutdown.rawValue)
                break
            }
            #expect(try #require(await first(of: ends)) != nil)
        }
    }
}
