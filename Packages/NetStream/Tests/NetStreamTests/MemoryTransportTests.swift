import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@Suite struct MemoryTransportTests {
    @Test(arguments: TransportCompliance.allCases)
    func complies(_ check: TransportCompliance) async throws {
        let network = MemoryNetwork()
        var fixture = TransportFixture(listenAddress: "/memory/0") { MemoryTransport(identity: $0, network: network) }
        fixture.suspensionTime = .milliseconds(50)
        // Every suite runs at once, on a machine that may be busy beside.
        fixture.deadline = .seconds(120)
        try await check.run(on: fixture)
    }

    @Test func onlyMemoryAddressesAreServed() {
        let transport = MemoryTransport(identity: .ed25519(), network: MemoryNetwork())
        #expect(transport.canDial("/memory/7"))
        #expect(transport.canListen(on: "/memory/0"))
        #expect(!transport.canDial("/ip4/127.0.0.1/udp/1/quic-v1"))
    }

    @Test func anAddressIsTakenOnce() async throws {
        let transport = MemoryTransport(identity: .ed25519(), network: MemoryNetwork())
        let listener = try await transport.listen(on: "/memory/5")
        await #expect(throws: MemoryError.self) { try await transport.listen(on: "/memory/5") }
        await listener.close()
        _ = try await transport.listen(on: "/memory/5")
    }

    @Test func openStreamWaitsForCredit() async throws {
        var configuration = MemoryConfiguration()
        configuration.maxStreams = 2
        let pair = try await MemoryPair(configuration: configuration)
        let first = try await pair.client.openStream()
        _ = try await pair.client.openStream()
        let waiting = Task { try await pair.client.openStream() }
        await Task.yield()
        first.reset(code: .none)
        _ = try await waiting.value
        let cancelled = Task { try await pair.client.openStream() }
        cancelled.cancel()
        await #expect(throws: MemoryError.self) { try await cancelled.value }
    }

    @Test func aFullBacklogRefuses() async throws {
        var configuration = MemoryConfiguration()
        configuration.acceptBacklog = 1
        let transport = MemoryTransport(identity: .ed25519(), network: MemoryNetwork(), configuration: configuration)
        let listener = try await transport.listen(on: "/memory/1")
        let address = try #require(listener.addresses.first)
        _ = try await transport.dial(address)
        await #expect(throws: MemoryError.self) { try await transport.dial(address) }
        _ = try await listener.accept()
        _ = try await transport.dial(address)
    }

    @Test func aClosedTransportDialsNoMore() async throws {
        let transport = MemoryTransport(identity: .ed25519(), network: MemoryNetwork())
        let listener = try await transport.listen(on: "/memory/1")
        let address = try #require(listener.addresses.first)
        await transport.close()
        await #expect(throws: MemoryError.self) { try await transport.dial(address) }
        await #expect(throws: MemoryError.self) { try await transport.listen(on: "/memory/0") }
    }
}
