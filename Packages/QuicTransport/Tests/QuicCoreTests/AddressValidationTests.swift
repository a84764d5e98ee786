import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

@Suite struct AddressValidationTests {
    private func pair(
        _ retry: QuicConfiguration.Endpoint.Retry,
        _ change: (inout QuicConfiguration) -> Void = { _ in }
    ) throws -> (CoreNode, CoreNode, CoreNetwork) {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.retry = retry
        change(&configuration)
        let client = try CoreNode(port: 1001, seed: 61, accepts: false)
        let server = try CoreNode(port: 1002, seed: 62, configuration: configuration)
        return (client, server, CoreNetwork(client, server))
    }

    /// A client's Initials with the token of a Retry, and the network that did not deliver them.
    private func answeredRetry(
        _ client: CoreNode,
        _ server: CoreNode,
        _ network: CoreNetwork
    ) throws -> [CoreNetwork.Packet] {
        var withToken: [CoreNetwork.Packet] = []
        network.filter = { packet in
            guard packet.to == server.address, let header = try? parse(packet.bytes, idLength: 8),
                header.tokenRange?.isEmpty == false
            else { return packet }
            withToken.append(packet)
            return nil
        }
        _ = try network.dial(from: client, to: server, expecting: nil)
        network.run(seconds: 0.1)
        network.inFlight.removeAll()
        try #require(!withToken.isEmpty)
        return withToken
    }

    @Test func everyClientIsAskedWhenRetryIsAlways() throws {
        let (client, server, network) = try pair(.always)
        let core = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { core.isEstablished && server.opened.first?.isEstablished == true })
        #expect(server.endpoint.statistics.retries == 1)
        #expect(server.endpoint.statistics.validatedByToken == 1)
        #expect(server.endpoint.statistics.accepted == 1)
        // Nothing was opened for the packet that the Retry answered.
        #expect(server.opened.count == 1)
    }

    @Test func nobodyIsAskedWhenRetryIsNever() throws {
        let (client, server, network) = try pair(.never)
        for _ in 0..<50 { _ = try network.dial(from: client, to: server, expecting: nil) }
        #expect(network.run(seconds: 5) { server.endpoint.statistics.accepted == 50 })
        #expect(server.endpoint.statistics.retries == 0)
    }

    @Test func clientsAreAskedAboveTheRateAndNoMoreBelowIt() throws {
        let (client, server, network) = try pair(.aboveRate(10))
        for _ in 0..<30 { _ = try network.dial(from: client, to: server, expecting: nil) }
        #expect(network.run(seconds: 5) { server.endpoint.statistics.accepted == 30 })
        #expect(server.endpoint.statistics.retries == 20)
        #expect(server.endpoint.statistics.validatedByToken == 20)
        network.run(seconds: 2)
        // A new client without a token, after the load.
        let late = try CoreNode(port: 1003, seed: 63, accepts: false)
        network.nodes[late.address] = late
        let core = try network.dial(from: late, to: server, expecting: nil)
        #expect(network.run(seconds: 5) { core.isEstablished })
        #expect(server.endpoint.statistics.retries == 20)
    }

    @Test func halfOfThePlacesAreLeftForThoseWhoProveTheirAddress() throws {
        let (client, server, network) = try pair(.aboveRate(1000)) {
            $0.endpoint.maxHalfOpen = 20
            $0.endpoint.maxHalfOpenPerSource = 20
        }
        let hello = try ClientHello.captured()
        for index in 0..<200 {
            let bytes = hello.initial(to: [9, 9, 9, 9, 9, 9, 9, UInt8(index)])
            network.deliver(bytes, to: server, from: .ip4(10, 0, 0, UInt8(index), port: 5000))
        }
        #expect(server.endpoint.halfOpenCount == 10)
        #expect(server.endpoint.statistics.retries == 190)
        let core = try network.dial(from: client, to: server, expecting: nil)
        #expect(network.run(seconds: 5) { core.isEstablished })
    }

    @Test func oneSourceThatTakesItsShareIsAskedAlone() throws {
        let (client, server, network) = try pair(.aboveRate(1000)) { $0.endpoint.maxHalfOpenPerSource = 8 }
        let hello = try ClientHello.captured()
        for index in 0..<20 {
            network.deliver(
                hello.initial(to: [8, 9, 9, 9, 9, 9, 9, UInt8(index)]),
                to: server,
                from: .ip4(10, 0, 0, 1, port: 5000 + UInt16(index))
            )
        }
        #expect(server.endpoint.halfOpenCount == 4)
        let core = try network.dial(from: client, to: server, expecting: nil)
        #expect(network.run(seconds: 5) { core.isEstablished })
        #expect(server.endpoint.statistics.retries == 16)
    }

    @Test func aRetryIsSmallAndOnlyAnswersInitialsOfFullSize() throws {
        let (client, server, network) = try pair(.always)
        let hello = try ClientHello.captured()
        let id: [UInt8] = [1, 1, 1, 1, 1, 1, 1, 1]
        func answer(_ datagram: [UInt8]) -> [UInt8]? {
            network.deliver(datagram, to: server, from: client.address)
            return network.inFlight.popLast()?.bytes
        }
        let retry = try #require(answer(hello.initial(to: id)))
        let header = try parse(retry, idLength: 8)
        #expect(header.kind == .retry)
        #expect(header.destinationID?.bytes == hello.source)
        #expect(retry.count < 1200 / 3)
        #expect(answer(hello.initial(to: id, size: 1199)) == nil)
        // A 0-RTT packet of the same client.
        var early: [UInt8] = [0xd3, 0, 0, 0, 1, 8, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0x44, 0x00]
        early += [UInt8](repeating: 7, count: 0x400)
        early += [UInt8](repeating: 7, count: 1200 - early.count)
        #expect(answer(early) == nil)
        #expect(server.endpoint.connectionCount == 0)
        #expect(server.endpoint.registry.isEmpty)
    }

    @Test func aTokenFromAnotherPortOrAddressIsRefused() throws {
        let (client, server, network) = try pair(.always)
        let packets = try answeredRetry(client, server, network)
        for thief in [NetworkAddress.ip4(127, 0, 0, 1, port: 1099), .ip4(127, 0, 0, 2, port: 1001)] {
            network.deliver(packets[0].bytes, to: server, from: thief)
            let reply = try #require(network.inFlight.popLast()?.bytes)
            #expect(try closeCode(reply, original: packets[0].bytes) == QuicErrorCode.invalidToken.rawValue)
        }
        #expect(server.endpoint.statistics.invalidTokens == 2)
        #expect(server.endpoint.connectionCount == 0)
        // Its owner gets in with it.
        network.deliver(packets[0].bytes, to: server, from: client.address)
        #expect(server.endpoint.connectionCount == 1)
    }

    @Test func aTokenThatIsAlteredOrOldIsRefused() throws {
        let (client, server, network) = try pair(.always)
        let packets = try answeredRetry(client, server, network)
        let header = try parse(packets[0].bytes, idLength: 8)
        let range = try #require(header.tokenRange)
        let id = try #require(header.destinationID?.bytes)
        for offset in stride(from: range.lowerBound + 1, to: range.upperBound, by: 7) {
            var bytes = packets[0].bytes
            bytes[offset] ^= 1
            let altered = try ClientHello.captured().initial(to: id, token: Array(bytes[range]))
            network.deliver(altered, to: server, from: client.address)
            let reply = try #require(network.inFlight.popLast()?.bytes)
            #expect(try closeCode(reply, original: altered) == QuicErrorCode.invalidToken.rawValue)
            // Damage on the way breaks the packet's seal, too: it must not end the handshake of an honest client.
            network.deliver(bytes, to: server, from: client.address)
            #expect(network.inFlight.isEmpty)
        }
        #expect(server.endpoint.statistics.malformed > 0)
        #expect(server.endpoint.connectionCount == 0)
        network.now += AddressTokens.retryLifetime
        network.deliver(packets[0].bytes, to: server, from: client.address)
        let reply = try #require(network.inFlight.popLast()?.bytes)
        #expect(try closeCode(reply, original: packets[0].bytes) == QuicErrorCode.invalidToken.rawValue)
        #expect(server.endpoint.connectionCount == 0)
        #expect(server.endpoint.registry.isEmpty)
    }

    @Test func aTokenForAnotherConnectionIDIsRefused() throws {
        let (client, server, network) = try pair(.always)
        let packets = try answeredRetry(client, server, network)
        let range = try #require(try parse(packets[0].bytes, idLength: 8).tokenRange)
        let token = Array(packets[0].bytes[range])
        let stolen = try ClientHello.captured().initial(to: [5, 5, 5, 5, 5, 5, 5, 5], token: token)
        network.deliver(stolen, to: server, from: client.address)
        #expect(server.endpoint.statistics.invalidTokens == 1)
        #expect(server.endpoint.connectionCount == 0)
    }

    @Test func aReturningClientSkipsTheRetry() throws {
        let (client, server, network) = try pair(.always)
        let first = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { client.endpoint.addressTokens.count == 1 })
        #expect(first.isEstablished)
        let second = try network.dial(from: client, to: server, expecting: server.identity.peerID)
        #expect(network.run(seconds: 5) { second.isEstablished })
        #expect(server.endpoint.statistics.retries == 1)
        #expect(server.endpoint.statistics.validatedByToken == 2)
        // Each connection brings a new token; none is used twice.
        #expect(network.run(seconds: 5) { client.endpoint.addressTokens.count == 1 })
    }

    @Test func aTokenOutlastsTheServersRestartButNotADay() throws {
        let (client, server, network) = try pair(.always)
        _ = try network.dial(from: client, to: server, expecting: nil)
        #expect(network.run(seconds: 5) { client.endpoint.addressTokens.count == 1 })
        func restarted(seed: UInt64, keySeed: UInt64) throws -> CoreNode {
            let node = try CoreNode(
                identity: server.identity,
                port: 1002,
                seed: seed,
                configuration: server.endpoint.configuration,
                keySeed: keySeed
            )
            network.nodes[node.address] = node
            return node
        }
        let again = try restarted(seed: 71, keySeed: 62)
        let second = try network.dial(from: client, to: again, expecting: nil)
        #expect(network.run(seconds: 5) { second.isEstablished && client.endpoint.addressTokens.count == 1 })
        #expect(again.endpoint.statistics.retries == 0)
        // With another key, and after a day, the token counts as none: the client is asked, and gets in.
        let stranger = try restarted(seed: 72, keySeed: 99)
        let third = try network.dial(from: client, to: stranger, expecting: nil)
        #expect(network.run(seconds: 5) { third.isEstablished && client.endpoint.addressTokens.count == 1 })
        #expect(stranger.endpoint.statistics.retries == 1)
        network.run(seconds: 24 * 3600 + 60)
        let fourth = try network.dial(from: client, to: stranger, expecting: nil)
        #expect(network.run(seconds: 5) { fourth.isEstablished })
        #expect(stranger.endpoint.statistics.retries == 2)
    }

    /// The transport code of a CONNECTION_CLOSE in a server's Initial, which answers a client's.
    private func closeCode(_ reply: [UInt8], original: [UInt8]) throws -> UInt64? {
        let destination = try #require(try parse(original, idLength: 8).destinationID)
        let forge = InitialForge(destination: destination.bytes, isServer: true)
        var payload = try #require(try forge.open(reply))[...]
        guard payload.popFirst() == 0x1c else { return nil }
        return UInt64(InitialForge.takeVarint(&payload))
    }
}
