import Multiaddr
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

/// Which socket dials leave from, as the peer that is dialed sees it.
@Suite(.timeLimit(.minutes(1))) struct DialSocketTests {
    private let loopback: Multiaddr = "/ip4/127.0.0.1/udp/0/quic-v1"

    /// The ports that a server sees a client come from, which dials the addresses in turn and keeps all connections.
    private func portsSeen(
        of client: QuicTransport,
        dialing listeners: [(server: QuicTransport, listener: QuicListener)]
    ) async throws -> [UInt16] {
        var ports: [UInt16] = []
        for (server, listener) in listeners {
            async let incoming = listener.acceptConnection()
            _ = try await client.dialQuic(listener.addresses[0].withPeerID(server.localPeer))
            ports.append(try #require(await incoming.remoteAddress.quicEndpoint?.port))
        }
        return ports
    }

    private func configuration(_ change: (inout QuicConfiguration.UDP) -> Void) -> QuicConfiguration {
        var configuration = QuicConfiguration.defaults
        change(&configuration.udp)
        return configuration
    }

    @Test(arguments: [true, false]) func theListenersPortIsSeenOnlyWhereItsSocketIsReused(_ reuses: Bool) async throws {
        let server = try QuicTransport(identity: .ed25519())
        let settings = configuration { $0.reusesListeningSocket = reuses }
        let client = try QuicTransport(identity: .ed25519(), configuration: settings)
        let own = try #require(try await client.listenQuic(on: loopback).addresses[0].quicEndpoint?.port)
        let listener = try await server.listenQuic(on: loopback)
        let ports = try await portsSeen(of: client, dialing: [(server, listener), (server, listener)])
        #expect(ports.allSatisfy { ($0 == own) == reuses })
        // One socket for all dials, either way.
        #expect(Set(ports).count == 1)
        await client.close()
        await server.close()
    }

    @Test func dialsOfBothFamiliesLeaveFromThePortThatIsAskedFor() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listeners = [
            (server, try await server.listenQuic(on: loopback)),
            (server, try await server.listenQuic(on: "/ip6/::1/udp/0/quic-v1")),
        ]
        var seen: (asked: UInt16, ports: [UInt16])?
        // A port that is free now may be taken by somebody else at once: try some.
        for _ in 0..<20 where seen == nil {
            let probe = try QuicTransport(identity: .ed25519())
            let free = try #require(
                try await probe.listenQuic(on: "/ip6/::/udp/0/quic-v1").addresses[0].quicEndpoint?.port
            )
            await probe.close()
            let settings = configuration { $0.dialPort = free }
            let client = try QuicTransport(identity: .ed25519(), configuration: settings)
            do {
                seen = (free, try await portsSeen(of: client, dialing: listeners))
            } catch let error as QuicError where error.message.contains("in use") {
                seen = nil
            }
            await client.close()
        }
        let (asked, ports) = try #require(seen)
        #expect(ports == [asked, asked])
        await server.close()
    }

    @Test func aDialPortInUseFailsTheDialAndSaysWhichSettingItIs() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: "/ip4/0.0.0.0/udp/0/quic-v1")
        let taken = try #require(listener.addresses[0].quicEndpoint?.port)
        let settings = configuration { $0.dialPort = taken }
        let client = try QuicTransport(identity: .ed25519(), configuration: settings)
        let address = try Multiaddr.quic(host: "127.0.0.1", port: taken)
        let error = await #expect(throws: QuicError.self) { try await client.dialQuic(address) }
        #expect(error?.code == .dial)
        #expect(error?.message.contains("in use") == true)
        #expect(error?.message.contains("udp.dialPort is \(taken)") == true)
        await client.close()
        await server.close()
    }

    @Test func anIPv4AddressInTheFormOfIPv6IsDialed() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let client = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: loopback)
        let port = try #require(listener.addresses[0].quicEndpoint?.port)
        async let incoming = listener.acceptConnection()
        let dialed = try await client.dialQuic(try .quic(host: "::ffff:127.0.0.1", port: port))
        #expect(dialed.remoteAddress == listener.addresses[0])
        #expect(try await incoming.remotePeer == client.localPeer)
        await client.close()
        await server.close()
    }
}
