import Testing

@testable import QuicCore

@Suite struct StreamResetTests {
    private func pair(seed: UInt64) throws -> (CoreNode, CoreNode, CoreNetwork) {
        let client = try CoreNode(port: 1001, seed: seed, accepts: false)
        let server = try CoreNode(port: 1002, seed: seed + 1)
        return (client, server, CoreNetwork(client, server))
    }

    private func resetCodes(_ node: CoreNode, _ core: ConnectionCore) -> [UInt64] {
        node.events(of: core).compactMap { event in if case .streamReset(_, let code) = event { code } else { nil } }
    }

    /// A reset that crosses the acknowledgement of the last bytes takes nothing back (RFC 9000 §3.2).
    @Test func aResetAfterTheEndOfAStreamIsNotReported() throws {
        let (client, server, network) = try pair(seed: 61)
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { client.events(of: core).isConfirmed }
        let stream = try #require(try core.openStream())
        core.send([try #require(SendSegment(copying: [1, 2, 3]))], isEnd: true, on: stream)
        network.service(core, of: client)
        #expect(network.run(seconds: 1) { server.ended.contains(stream) })
        // The acknowledgement is still on its way.
        core.reset(stream, code: 7)
        network.service(core, of: client)
        network.run(seconds: 1)
        #expect(resetCodes(server, try #require(server.opened.first)).isEmpty)
        #expect(server.received[stream] == [1, 2, 3])
    }

    @Test func aResetBeforeTheEndIsReportedWithItsCode() throws {
        let (client, server, network) = try pair(seed: 63)
        let core = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 5) { client.events(of: core).isConfirmed }
        let stream = try #require(try core.openStream())
        core.send([try #require(SendSegment(copying: [1, 2, 3]))], isEnd: false, on: stream)
        network.service(core, of: client)
        network.run(seconds: 1)
        core.reset(stream, code: 7)
        network.service(core, of: client)
        network.run(seconds: 1)
        #expect(resetCodes(server, try #require(server.opened.first)) == [7])
    }
}
