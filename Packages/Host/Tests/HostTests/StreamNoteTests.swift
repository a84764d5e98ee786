#if HOSTS_ON_QUIC
import NetStream
import QuicTransport
import Testing

@testable import Host

/// What the transport is told of the streams that hosts use.
@Suite(.timeLimit(.minutes(1))) struct StreamNoteTests {
    @Test(arguments: [false, true])
    func aConnectionKnowsWhichProtocolsAreSpokenOnItsStreams(lazily: Bool) async throws {
        var configuration = HostConfiguration()
        configuration.streams.negotiatesLazily = lazily
        try await withTwoHosts(on: .quic, .defaults, configuration) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            _ = try await client.identify(peer)
            let stream = try await client.newStream(to: peer, protocols: [EchoProtocol.name])
            try await stream.write([1])
            #expect(try await stream.readExactly(1) == [1])
            for (host, other) in [(client, peer), (server, client.peerID)] {
                let connection = try await host.connection(to: other).muxed
                let quic = try #require(connection as? QuicConnection)
                #expect(await quic.activeStreams(speaking: EchoProtocol.name).map(\.id) == [stream.id])
            }
            try await stream.close()
        }
    }
}
#endif
