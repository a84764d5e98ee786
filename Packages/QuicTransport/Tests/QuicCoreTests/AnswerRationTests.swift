import PeerID
import Testing

@testable import QuicCore

/// Answers to datagrams that belong to no connection are rationed, so that junk with made-up senders is not worth sending.
@Suite struct AnswerRationTests {
    private let stranger = NetworkAddress.ip4(10, 0, 0, 1, port: 9)

    /// An Initial of a version that nobody speaks (RFC 9000 §15).
    private func unknownVersion(_ number: Int) -> [UInt8] {
        let id = withUnsafeBytes(of: UInt64(number)) { Array($0) }
        let header: [UInt8] = [0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8] + id + [8] + id
        return header + [UInt8](repeating: 0, count: 1200 - header.count)
    }

    /// A packet of a connection that this side has never had.
    private func unknownConnection(_ number: Int) -> [UInt8] {
        let id = withUnsafeBytes(of: UInt64(number)) { Array($0) }
        return [0x40] + id + id + id + [UInt8](repeating: 0x5a, count: 60)
    }

    private func outcomes(_ packets: [[UInt8]], at server: CoreNode, now: UInt64) -> (replies: Int, rationed: Int) {
        var (replies, rationed) = (0, 0)
        for packet in packets {
            let outcome = packet.withUnsafeBytes {
                server.endpoint.receive($0, from: stranger, to: server.address, ecn: 0, now: now)
            }
            switch outcome {
            case .reply: replies += 1
            case .dropped(.rationed): rationed += 1
            default: break
            }
        }
        return (replies, rationed)
    }

    @Test func versionNegotiationIsRationed() throws {
        let server = try CoreNode(port: 1002, seed: 21)
        let first = outcomes((0..<700).map(unknownVersion), at: server, now: 1_000_000_000)
        #expect(first == (500, 200))
        #expect(server.endpoint.statistics.versionNegotiations == 500)
        #expect(server.endpoint.statistics.dropped == 200)
        #expect(server.endpoint.statistics.datagramsReceived == 700)
        #expect(server.endpoint.statistics.malformed == 0)
        // A hundredth of a second later there are five more.
        let later = outcomes((0..<700).map(unknownVersion), at: server, now: 1_010_000_000)
        #expect(later == (5, 695))
    }

    @Test func statelessResetsAreRationedAndShareTheRation() throws {
        let server = try CoreNode(port: 1002, seed: 22)
        let resets = outcomes((0..<400).map(unknownConnection), at: server, now: 1_000_000_000)
        #expect(resets == (400, 0))
        let negotiations = outcomes((0..<400).map(unknownVersion), at: server, now: 1_000_000_000)
        #expect(negotiations == (100, 300))
        #expect(outcomes((0..<400).map(unknownConnection), at: server, now: 1_000_000_000) == (0, 400))
        #expect(server.endpoint.statistics.statelessResets == 400)
        #expect(server.endpoint.statistics.versionNegotiations == 100)
        #expect(server.endpoint.statistics.dropped == 700)
    }

    @Test func aRationThatIsUsedUpStopsNobodyWhoIsReal() throws {
        let server = try CoreNode(port: 1002, seed: 23)
        let client = try CoreNode(port: 1001, seed: 24, accepts: false)
        let network = CoreNetwork(client, server)
        _ = outcomes((0..<700).map(unknownVersion), at: server, now: network.now)
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { client.events(of: core).isConfirmed })
    }
}
