import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// How many identify pushes a peer may send, by whatever connections.
@Suite(.timeLimit(.minutes(1))) struct PushBudgetTests {
    private let key = PrivateKey.ed25519()

    @Test(arguments: TestNetwork.allCases)
    func pushesAreLimitedForThePeerWhateverItsConnections(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.clock = ManualClock()
        try await kind.openHost(configuration) { network, host in
            let peer = PrivateKey.ed25519()
            let transport = try network.transport(peer)
            let message: [UInt8] = [0x32, 1, 0x61]
            func push(over connection: any MuxedConnection) async throws -> StreamFailureKind? {
                let stream = try await connection.openStream()
                try await stream.write(RawPeer.opening(IdentifyProtocol.pushName))
                try await stream.write([UInt8(message.count)] + message)
                // A reset may come before the end is sent.
                try? await stream.closeWrite()
                return await RawPeer.end(of: stream)
            }
            var connections: [any MuxedConnection] = []
            for _ in 0..<2 { connections.append(try await transport.dial(host.address)) }
            for number in 0..<10 { #expect(try await push(over: connections[number % 2]) == nil) }
            // Neither another connection nor a new one has more to give.
            connections.append(try await transport.dial(host.address))
            await connections[0].close(code: .none, reason: "")
            while host.connections().count != 2 { await Task.yield() }
            connections[0] = try await transport.dial(host.address)
            for connection in connections {
                let end = try await push(over: connection)
                #expect(end == .reset(code: StreamErrorCode.rateLimited.rawValue, byPeer: true))
            }
            // Somebody else has a budget of his own.
            let other = try await RawPeer(in: network, dialing: host)
            #expect(try await push(over: other.connection) == nil)
        }
    }

    @Test func theBudgetsOfManyPeersAreBounded() throws {
        let clock = ManualClock()
        var budgets = PushBudgets()
        func take(_ peer: PeerID) -> Bool { budgets.take(by: peer, at: clock.now()) }
        for _ in 0..<10 { #expect(take(key.peerID)) }
        func visit(_ count: Int, _ family: UInt8) throws {
            for number in 0..<count {
                let digest = [family] + withUnsafeBytes(of: number) { Array($0) } + [UInt8](repeating: 0, count: 23)
                #expect(take(try PeerID(bytes: [0x12, 0x20] + digest)))
                #expect(budgets.count <= PushBudgets.limit)
            }
        }
        try visit(PushBudgets.limit - 1, 1)
        #expect(!take(key.peerID))
        // Those whose budgets are whole again go first: the one that has used its up is still known.
        clock.advance(by: .seconds(6))
        try visit(1, 2)
        #expect(budgets.count == 2)
        #expect(take(key.peerID) && !take(key.peerID))
        // However many there are.
        try visit(3 * PushBudgets.limit, 3)
    }
}
