import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@Suite(.timeLimit(.minutes(1))) struct HostTests {
    @Test(arguments: TestNetwork.allCases)
    func aStreamReachesItsHandlerAndComesBack(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            #expect(peer == server.peerID)
            let stream = try await client.newStream(to: peer, protocols: ["/nothing/1.0.0", EchoProtocol.name])
            #expect(stream.protocolID == EchoProtocol.name)
            try await stream.write(Array("hello".utf8))
            try await stream.closeWrite()
            #expect(try await stream.readToEnd(limit: 100) == Array("hello".utf8))
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func pingsComeBack(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            let peer = try await client.connect(to: server.address)
            #expect(try await client.ping(peer) > .zero)
            let session = try await client.pingSession(with: peer)
            for _ in 0..<10 { #expect(try await session.ping() > .zero) }
            await session.close()
        }
    }
}
