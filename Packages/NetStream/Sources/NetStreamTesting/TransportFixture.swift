public import Multiaddr
public import NetStream
public import PeerID

/// How the compliance suite makes the transports it checks.
public struct TransportFixture: Sendable {
    /// Makes a transport of the given peer. Every check makes fresh ones and closes them.
    public var makeTransport: @Sendable (PrivateKey) async throws -> any Transport
    /// What to listen on, such as `/ip4/127.0.0.1/udp/0/quic-v1`.
    public var listenAddress: Multiaddr
    /// How long one check may take before it counts as failed.
    public var deadline: Duration = .seconds(30)
    /// How long a writer must be seen to wait before it counts as suspended.
    public var suspensionTime: Duration = .milliseconds(500)
    /// More bytes than all windows and buffers of a stream together can hold.
    public var moreThanAllWindows = 64 << 20
    /// How many streams are used at once. The transport must allow that many.
    public var streamsAtOnce = 100

    /// A fixture with the default limits.
    public init(
        listenAddress: Multiaddr,
        makeTransport: @escaping @Sendable (PrivateKey) async throws -> any Transport
    ) {
        self.listenAddress = listenAddress
        self.makeTransport = makeTransport
    }
}

/// A check of the compliance suite that a transport did not pass.
public struct ComplianceFailure: Error, CustomStringConvertible {
    /// The check.
    public var check: String
    /// What was expected and what was seen.
    public var message: String
    /// The error behind it.
    public var cause: (any Error)?

    /// Check, message and cause.
    public var description: String {
        "transport compliance, \(check): \(message)" + (cause.map { " (\($0))" } ?? "")
    }
}

/// The connected ends that a check works with.
public struct ConnectedPair: Sendable {
    /// The end that dialled.
    public var client: any MuxedConnection
    /// The end that listened.
    public var server: any MuxedConnection
    /// The listener that accepted ``server``.
    public var listener: any Listener
    /// The transport that dialled.
    public var clientTransport: any Transport
    /// The listener's first address with the `/p2p` of its peer.
    public var address: Multiaddr
}

extension TransportFixture {
    /// Runs one check on a fresh pair of connected transports and closes everything after it.
    func withPair(_ check: String, _ body: @escaping @Sendable (ConnectedPair) async throws -> Void) async throws {
        let serverKey = PrivateKey.ed25519()
        let clientKey = PrivateKey.ed25519()
        let serverTransport = try await makeTransport(serverKey)
        let clientTransport = try await makeTransport(clientKey)
        let outcome: Result<Void, any Error>
        do {
            try await withDeadline(deadline) {
                let listener = try await serverTransport.listen(on: listenAddress)
                guard let address = listener.addresses.first?.withPeerID(serverKey.peerID) else {
                    throw ComplianceFailure(check: check, message: "a listener has no address")
                }
                async let accepted = listener.accept()
                let client = try await clientTransport.dial(address)
                let server = try await accepted
                let pair = ConnectedPair(
                    client: client,
                    server: server,
                    listener: listener,
                    clientTransport: clientTransport,
                    address: address
                )
                try await body(pair)
            }
            outcome = .success(())
        } catch let failure as ComplianceFailure {
            outcome = .failure(failure)
        } catch {
            outcome = .failure(ComplianceFailure(check: check, message: "an unexpected error", cause: error))
        }
        await clientTransport.close()
        await serverTransport.close()
        try outcome.get()
    }
}

extension ConnectedPair {
    /// Opens a stream, sends a first byte on it so that the peer sees it, and accepts it there.
    func openStream() async throws -> (client: any MuxedStream, server: any MuxedStream) {
        let client = try await client.openStream()
        try await client.write([0])
        let server = try await server.acceptStream()
        guard try await server.read(upTo: 1) == [0] else {
            throw ComplianceFailure(check: "openStream", message: "the first byte of a stream was not read back")
        }
        return (client, server)
    }
}

extension MuxedStream {
    /// Everything up to the end of the stream.
    func readAll() async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let chunk = try await read(upTo: 65536) { bytes += chunk }
        return bytes
    }

    /// Exactly so many bytes, fewer only at the end of the stream.
    func readFully(_ count: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let chunk = try await read(upTo: count - bytes.count) { bytes += chunk }
        return bytes
    }
}

/// What kind of failure an operation ends with, `nil` when it succeeds.
func failureKind(_ operation: () async throws -> Void) async -> StreamFailureKind? {
    do {
        try await operation()
        return nil
    } catch {
        return (error as? any ClassifiedStreamError)?.streamFailureKind ?? .other
    }
}
