import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Two hosts that dial each other at once, when one connection is all that each may have with the other. Both dials have begun
/// before either gets anywhere.
@Suite(.timeLimit(.minutes(2))) struct SimultaneousConnectTests {
    /// Which of the two dials is let go.
    enum Turn: CaseIterable, Sendable { case both, lesserFirst, greaterFirst }

    /// A host, and the gate before its dials.
    private struct Side {
        let key: PrivateKey
        let begun = Flag()
        let gate = SharedResult<Void>()

        init(_ key: PrivateKey) {
            self.key = key
            _ = gate.join()
        }

        func transport(in network: OpenNetwork) throws -> GatedTransport {
            GatedTransport(
                base: try network.transport(key),
                beforeDial: { [begun, gate] _ in
                    begun.set()
                    try await gate.wait()
                }
            )
        }

        func go() { gate.fulfil(.success(())) }
    }

    @Test(arguments: TestNetwork.allCases, Turn.allCases)
    func theConnectionOfTheLesserIDIsKeptByBoth(_ kind: TestNetwork, _ turn: Turn) async throws {
        for _ in 0..<4 {
            let keys = [PrivateKey.ed25519(), .ed25519()].sorted {
                $0.peerID.bytes.lexicographicallyPrecedes($1.peerID.bytes)
            }
            let (small, great) = (Side(keys[0]), Side(keys[1]))
            var configuration = NegotiationTests.quiet
            configuration.connections.limitPerPeer = 1
            configuration.connections.dialTimeout = .seconds(100)
            try await kind.open { network in
                try await withHost(
                    identity: small.key,
                    transports: [small.transport(in: network)],
                    listen: [kind.anywhere],
                    configuration: configuration
                ) { lesser in
                    try await withHost(
                        identity: great.key,
                        transports: [great.transport(in: network)],
                        listen: [kind.anywhere],
                        configuration: configuration
                    ) { greater in
                        let (here, there) = (try lesser.address, try greater.address)
                        async let outward = lesser.connect(to: there)
                        async let inward = greater.connect(to: here)
                        while !small.begun.isSet || !great.begun.isSet { await Task.yield() }
                        let order = turn == .greaterFirst ? [great, small] : [small, great]
                        for side in order {
                            side.go()
                            // The other one comes to a place that is taken, on both sides.
                            while turn != .both, lesser.connections().isEmpty || greater.connections().isEmpty {
                                await Task.yield()
                            }
                        }
                        #expect(try await (outward, inward) == (greater.peerID, lesser.peerID))
                        try await expectOne(from: lesser, to: greater)
                    }
                }
            }
        }
    }

    /// Waits until both have just the one connection that the first dialled, and uses it both ways.
    private func expectOne(from lesser: BasicHost, to greater: BasicHost) async throws {
        func places(_ host: BasicHost) -> [Set<Multiaddr>] {
            host.connections().map { [$0.localAddress, $0.remoteAddress] }
        }
        // A connection that goes takes a moment to be gone at the far side.
        while places(lesser) != places(greater) || places(lesser).count != 1 { await Task.yield() }
        #expect(lesser.connections().map(\.direction) == [.outbound])
        #expect(greater.connections().map(\.direction) == [.inbound])
        #expect(try await lesser.ping(greater.peerID) > .zero)
        #expect(try await greater.ping(lesser.peerID) > .zero)
        #expect(lesser.connections().map(\.direction) == [.outbound])
        #expect(greater.connections().map(\.direction) == [.inbound])
    }
}
