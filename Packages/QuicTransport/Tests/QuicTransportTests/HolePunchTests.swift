import Multiaddr
import NIOCore
import NIOPosix
import PeerID
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

/// Two routers in one: what one side sends reaches the other only after the other has sent something this way, too.
///
/// Each side sees the other at an address of the gate.
private final class Gate: Sendable {
    private final class Side: UDPEndpointHandler, Sendable {
        let other = Mutex<(endpoint: NIOLoopBound<UDPEndpoint>, side: Side)?>(nil)
        /// Where this side's peer sends from, once it has sent something.
        let peer = Mutex<NetworkAddress?>(nil)
        let turnedAway = Mutex(0)
        let shortest = Mutex(Int.max)

        func received(
            _ datagrams: UnsafeRawBufferPointer,
            segmentSize: Int,
            from: NetworkAddress,
            to local: NetworkAddress?,
            ecn: UInt8,
            on endpoint: UDPEndpoint
        ) {
            peer.withLock { $0 = from }
            shortest.withLock { $0 = min($0, datagrams.count) }
            let other = other.withLock { $0 }
            guard let other, let destination = other.side.peer.withLock({ $0 }) else {
                turnedAway.withLock { $0 += 1 }
                return
            }
            _ = other.endpoint.value.send(datagrams, segmentSize: segmentSize, to: destination)
        }

        func receiveCompleted(_ endpoint: UDPEndpoint) {}
        func writable(_ endpoint: UDPEndpoint) {}
        func closed(_ endpoint: UDPEndpoint, error: (any Error)?) {}
    }

    private let endpoints: [NIOLoopBound<UDPEndpoint>]
    private let sides: [Side]
    /// What each side takes for the other.
    let addresses: [NetworkAddress]

    init() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        var endpoints: [NIOLoopBound<UDPEndpoint>] = []
        var addresses: [NetworkAddress] = []
        let sides = [Side(), Side()]
        for side in sides {
            let bound = try await UDPEndpoint.bind(to: .ip4(127, 0, 0, 1, port: 0), on: loop).get()
            endpoints.append(bound)
            addresses.append(
                try await loop.submit {
                    bound.value.start(side)
                    return bound.value.localAddress
                }.get()
            )
        }
        for (index, side) in sides.enumerated() {
            side.other.withLock { $0 = (endpoints[1 - index], sides[1 - index]) }
        }
        self.endpoints = endpoints
        self.addresses = addresses
        self.sides = sides
    }

    var turnedAway: Int { sides.reduce(0) { $0 + $1.turnedAway.withLock { $0 } } }
    /// The shortest datagram that came from the second side.
    var shortestBack: Int { sides[1].shortest.withLock { $0 } }

    func address(_ index: Int) -> Multiaddr { addresses[index].quicAddress(version: .v1) }

    func close() async throws {
        for endpoint in endpoints { try await endpoint.eventLoop.flatSubmit { endpoint.value.close() }.get() }
        for side in sides { side.other.withLock { $0 = nil } }
    }
}

/// Hole punching as DCUtR wants it of the transport.
@Suite(.timeLimit(.minutes(1))) struct HolePunchTests {
    private let listenAddress: Multiaddr = "/ip4/127.0.0.1/udp/0/quic-v1"

    @Test func aPeerBehindARouterGetsThroughWhileAHoleIsPunched() async throws {
        let gate = try await Gate()
        let dialer = try QuicTransport(identity: .ed25519())
        let puncher = try QuicTransport(identity: .ed25519())
        _ = try await dialer.listenQuic(on: listenAddress)
        let listener = try await puncher.listenQuic(on: listenAddress)
        let named = gate.address(1).withPeerID(dialer.localPeer)
        async let incoming = listener.acceptConnection()
        async let punched: Void = puncher.punchHole(to: named)
        let dialed = try await dialer.dialQuic(gate.address(0).withPeerID(puncher.localPeer))
        try await punched
        let accepted = try await incoming
        #expect(accepted.remotePeer == dialer.localPeer)
        #expect(dialed.remotePeer == puncher.localPeer)
        #expect(gate.shortestBack <= 16)
        // The peer is there: nothing is left to wait for.
        try await puncher.punchHole(to: named)
        await dialer.close()
        await puncher.close()
        try await gate.close()
    }

    @Test func withoutAHoleNobodyGetsThrough() async throws {
        let gate = try await Gate()
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.dial = .milliseconds(700)
        let dialer = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let puncher = try QuicTransport(identity: .ed25519())
        _ = try await puncher.listenQuic(on: listenAddress)
        let error = await #expect(throws: QuicError.self) {
            try await dialer.dialQuic(gate.address(0).withPeerID(puncher.localPeer))
        }
        #expect(error?.code == .timeout)
        #expect(gate.turnedAway > 0)
        await dialer.close()
        await puncher.close()
        try await gate.close()
    }

    @Test func punchingEndsInItsDeadlineAndWithItsTask() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.dial = .milliseconds(300)
        let transport = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let listener = try await transport.listenQuic(on: listenAddress)
        // Nobody comes from there: it is the listener's own port on another address.
        let nobody: Multiaddr = "/ip4/127.0.0.2/udp/9/quic-v1"
        let late = await #expect(throws: QuicError.self) { try await transport.punchHole(to: nobody) }
        #expect(late?.code == .timeout)
        let task = Task<Void, any Error> { try await transport.punchHole(to: nobody) }
        task.cancel()
        let cancelled = await #expect(throws: QuicError.self) { try await task.value }
        #expect(cancelled?.code == .cancelled)
        #expect(listener.isListening)
        await transport.close()
    }

    @Test func whoDoesNotListenCannotPunch() async throws {
        let transport = try QuicTransport(identity: .ed25519())
        let error = await #expect(throws: QuicError.self) {
            try await transport.punchHole(to: "/ip4/127.0.0.1/udp/9/quic-v1")
        }
        #expect(error?.code == .state)
        let name = await #expect(throws: QuicError.self) {
            try await transport.punchHole(to: "/dns4/example.com/udp/9/quic-v1")
        }
        #expect(name?.code == .invalidAddress)
        await transport.close()
    }
}
