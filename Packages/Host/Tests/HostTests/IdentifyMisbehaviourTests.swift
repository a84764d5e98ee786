import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Peers that lie about themselves, or cannot stop talking about themselves: when they are asked, and unasked.
@Suite(.timeLimit(.minutes(2))) struct IdentifyMisbehaviourTests {
    /// How a peer comes to tell of itself.
    enum Way: CaseIterable, Sendable { case answer, push }

    /// Answers the host's question with the bytes, and gives what the host makes of it.
    private func answer(
        _ peer: RawPeer,
        to host: BasicHost,
        _ bytes: [UInt8]
    ) async throws -> Result<IdentifyInfo, HostError> {
        let asking = Task { () async -> Result<IdentifyInfo, HostError> in
            do {
                return .success(try await host.identify(peer.peerID))
            } catch {
                return .failure(error as? HostError ?? HostError(.streamFailed, "not a HostError", cause: error))
            }
        }
        let stream = try await peer.accept(IdentifyProtocol.name)
        // The host may have had enough of it before the end.
        let end = await failure {
            try await stream.write(bytes)
            try await stream.closeWrite()
        }
        if let end { #expect(end == .reset(code: StreamErrorCode.protocolViolation.rawValue, byPeer: true)) }
        return await asking.value
    }

    /// Pushes the bytes to the host, and gives what the host makes of it.
    private func push(
        _ peer: RawPeer,
        to host: BasicHost,
        _ bytes: [UInt8]
    ) async throws -> Result<IdentifyInfo, HostError> {
        let stream = try await peer.open(IdentifyProtocol.pushName)
        var end = await failure {
            try await stream.write(bytes)
            try await stream.closeWrite()
        }
        if end == nil { end = await RawPeer.end(of: stream) }
        guard let end else { return .success(try #require(host.peerStore.info(for: peer.peerID)?.identify)) }
        #expect(end == .reset(code: StreamErrorCode.protocolViolation.rawValue, byPeer: true))
        return .failure(HostError(.identifyFailed, "the push was reset"))
    }

    /// A peer of the host, and what is expected of what it says of itself.
    private func whenTold(
        _ way: Way,
        on kind: TestNetwork,
        _ words: @escaping @Sendable (RawPeer) throws -> [UInt8],
        _ check: @escaping @Sendable (Result<IdentifyInfo, HostError>, BasicHost) throws -> Void
    ) async throws {
        var configuration = NegotiationTests.quiet
        // Nothing here is to be given up for its time.
        configuration.identify.timeout = .seconds(100)
        try await whileAnotherPings(on: kind, configuration) { network, host in
            let peer = try await RawPeer(in: network, dialing: host)
            while host.connections(to: peer.peerID).isEmpty { await Task.yield() }
            let result =
                switch way {
                case .answer: try await answer(peer, to: host, words(peer))
                case .push: try await push(peer, to: host, words(peer))
                }
            try check(result, host)
            if case .failure = result { #expect(host.peerStore.protocols(of: peer.peerID) == nil) }
            // A lie is no reason to hang up: the peer may ping on.
            #expect(!peer.connection.isClosed)
            _ = try await peer.open(PingProtocol.name)
            await peer.connection.close(code: .none, reason: "")
        }
    }

    private static func message(_ bytes: [UInt8]) -> [UInt8] { Varint.encode(UInt64(bytes.count)) + bytes }

    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2] + Varint.encode(UInt64(bytes.count)) + bytes
    }

    private static func expectRefusal(_ result: Result<IdentifyInfo, HostError>) {
        guard case .failure(let error) = result, error.code == .identifyFailed else {
            Issue.record("not refused: \(result)")
            return
        }
    }

    @Test(arguments: TestNetwork.allCases, Way.allCases)
    func aPeerThatTellsTenMebibytesOfItself(_ kind: TestNetwork, _ way: Way) async throws {
        try await whenTold(way, on: kind) { _ in
            Self.message([UInt8](repeating: 0x1a, count: 10 << 20))
        } _: { result, _ in
            Self.expectRefusal(result)
        }
        // The same in messages that are each small enough.
        try await whenTold(way, on: kind) { _ in
            let small = Self.message([0xa2, 0x06, 0xfc, 0x3e] + [UInt8](repeating: 0, count: 8060))
            return (0..<1300).flatMap { _ in small }
        } _: { result, _ in
            Self.expectRefusal(result)
        }
    }

    @Test(arguments: TestNetwork.allCases, Way.allCases)
    func aPeerThatTellsTenThousandAddresses(_ kind: TestNetwork, _ way: Way) async throws {
        let addresses = try (0..<10_000).map { try Multiaddr(parsing: "/ip4/192.0.2.1/udp/\($0 + 1)/quic-v1") }
        let fields = addresses.map { Self.field(2, $0.bytes) }
        // In one message, and in as many as it takes: too long the one, too many the others.
        let parts = stride(from: 0, to: fields.count, by: 500).map { fields[$0..<$0 + 500].flatMap { $0 } }
        try await whenTold(way, on: kind) { _ in
            Self.message(fields.flatMap { $0 })
        } _: { result, _ in
            Self.expectRefusal(result)
        }
        try await whenTold(way, on: kind) { _ in
            parts.flatMap(Self.message)
        } _: { result, _ in
            Self.expectRefusal(result)
        }
        // What fits is taken, and cut down to what a peer can use.
        try await whenTold(way, on: kind) { _ in
            parts.prefix(10).flatMap(Self.message)
        } _: { result, host in
            let info = try result.get()
            #expect(info.listenAddresses.count == IdentifyMessage.addressLimit)
            #expect(host.peerStore.addresses(of: info.peer).count <= PeerStore.addressLimit)
        }
    }

    @Test(arguments: TestNetwork.allCases, Way.allCases)
    func aPeerThatShowsAnothersKey(_ kind: TestNetwork, _ way: Way) async throws {
        try await whenTold(way, on: kind) { _ in
            Self.message(Self.field(1, PrivateKey.ed25519().publicKey.protobuf))
        } _: { result, _ in
            Self.expectRefusal(result)
        }
    }

    @Test(arguments: TestNetwork.allCases, Way.allCases)
    func aPeerThatShowsAnothersRecord(_ kind: TestNetwork, _ way: Way) async throws {
        let other = PrivateKey.ed25519()
        let theirs = PeerRecord(peer: other.peerID, sequence: 1, addresses: ["/ip4/192.0.2.1/udp/1/quic-v1"])
        let record = try theirs.signed(by: other).bytes
        try await whenTold(way, on: kind) { peer in
            Self.message(Self.field(1, peer.identity.publicKey.protobuf) + Self.field(8, record))
        } _: { result, host in
            Self.expectRefusal(result)
            #expect(host.peerStore.addresses(of: other.peerID).isEmpty)
        }
        // Its own record, signed by somebody else.
        try await whenTold(way, on: kind) { peer in
            let own = PeerRecord(peer: peer.peerID, sequence: 1, addresses: ["/ip4/192.0.2.1/udp/1/quic-v1"])
            let forged = try SignedEnvelope(
                payload: own.bytes,
                type: PeerRecord.payloadType,
                domain: PeerRecord.domain,
                signedBy: other
            )
            return Self.message(Self.field(8, forged.bytes))
        } _: { result, _ in
            Self.expectRefusal(result)
        }
    }
}
