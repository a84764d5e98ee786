import Testing

@testable import QuicCore

/// What arrives at a socket that one connection has moved to.
@Suite struct FurtherSocketTests {
    @Test func aStrangerGetsInAtTheListeningSocketOnly() throws {
        let server = try CoreNode(port: 1002, seed: 90)
        let stranger = NetworkAddress.ip4(10, 0, 0, 1, port: 9)
        let initial = try ClientHello.captured().initial(to: [4, 2, 3, 4, 5, 6, 7, 8])
        var otherVersion = initial
        otherVersion.replaceSubrange(1..<5, with: [0x1a, 0x2a, 0x3a, 0x4a])
        func arrive(_ datagram: [UInt8], mayOpen: Bool) -> EndpointCore.Outcome {
            datagram.withUnsafeBytes {
                server.endpoint.receive(
                    $0,
                    from: stranger,
                    to: server.address,
                    ecn: 0,
                    mayOpen: mayOpen,
                    now: 1_000_000_000
                )
            }
        }
        for datagram in [initial, otherVersion] {
            let outcome = arrive(datagram, mayOpen: false)
            #expect({ if case .dropped(.notListening) = outcome { true } else { false } }())
        }
        #expect(server.endpoint.connectionCount == 0)
        let negotiated = arrive(otherVersion, mayOpen: true)
        #expect({ if case .reply = negotiated { true } else { false } }())
        let opened = arrive(initial, mayOpen: true)
        #expect({ if case .opened = opened { true } else { false } }())
    }
}
