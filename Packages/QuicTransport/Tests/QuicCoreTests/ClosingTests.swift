import Testing

@testable import QuicCore

/// What a connection does after its end (RFC 9000 §10.2).
@Suite(.timeLimit(.minutes(1))) struct ClosingTests {
    private let client: CoreNode
    private let server: CoreNode
    private let network: CoreNetwork
    private let dialed: ConnectionCore
    private let accepted: ConnectionCore

    init() throws {
        client = try CoreNode(port: 1001, seed: 95, accepts: false)
        server = try CoreNode(port: 1002, seed: 96)
        network = CoreNetwork(client, server)
        dialed = try network.dial(from: client, to: server, expecting: nil)
        let (core, node, network) = (dialed, client, network)
        network.run(seconds: 5) { node.events(of: core).isConfirmed }
        accepted = try #require(server.opened.first)
        network.run(seconds: 1)
    }

    /// Feeds datagrams, and counts the answers.
    private func answers(of core: ConnectionCore, to count: Int) -> [Int] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1500, alignment: 16)
        defer { buffer.deallocate() }
        return (1...count).filter { _ in
            [UInt8](repeating: 0x40, count: 100).withUnsafeBytes {
                core.receive($0, from: core.remoteAddress, to: core.localAddress, ecn: 0, now: network.now)
            }
            return core.writeBatch(into: buffer, maxSegments: 44, now: network.now) != nil
        }
    }

    @Test func theSideThatClosedAnswersEverMoreRarely() throws {
        dialed.close(code: 7, reason: "", now: network.now)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1500, alignment: 16)
        defer { buffer.deallocate() }
        #expect(dialed.writeBatch(into: buffer, maxSegments: 44, now: network.now)?.segments == 1)
        #expect(dialed.writeBatch(into: buffer, maxSegments: 44, now: network.now) == nil)
        #expect(answers(of: dialed, to: 100) == [1, 2, 4, 8, 16, 32, 64])
        // The period ends, and with it the connection.
        let deadline = try #require(dialed.nextDeadline)
        #expect(deadline > network.now)
        dialed.handleTimer(now: deadline - 1)
        #expect(!dialed.isFinished)
        dialed.handleTimer(now: deadline)
        #expect(dialed.isFinished)
        #expect(answers(of: dialed, to: 3).isEmpty)
    }

    @Test func theSideThatWasClosedIsSilent() throws {
        dialed.close(code: 7, reason: "", now: network.now)
        network.service(dialed, of: client)
        #expect(network.run(seconds: 5) { !accepted.isOpen })
        #expect(!accepted.isFinished)
        #expect(answers(of: accepted, to: 20).isEmpty)
    }

    @Test func aLostCloseIsRepeatedForAPeerThatGoesOn() throws {
        var lost = 0
        let address = client.address
        network.filter = { packet in
            guard packet.from == address, lost < 2 else { return packet }
            lost += 1
            return nil
        }
        dialed.close(code: 7, reason: "gone", now: network.now)
        network.service(dialed, of: client)
        for _ in 0..<4 where accepted.isOpen {
            let stream = try #require(try accepted.openStream())
            accepted.send([SendSegment(copying: [1])].compactMap { $0 }, isEnd: true, on: stream)
            network.service(accepted, of: server)
            network.run(seconds: 0.01)
        }
        #expect(lost == 2)
        #expect(server.events(of: accepted).termination?.code == 7)
    }
}
