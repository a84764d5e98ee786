import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

/// A connection in memory between two fresh peers.
struct MemoryPair {
    let client: any MuxedConnection
    let server: any MuxedConnection
    let transports: [MemoryTransport]

    init(configuration: MemoryConfiguration = .defaults) async throws {
        let network = MemoryNetwork()
        let here = MemoryTransport(identity: .ed25519(), network: network, configuration: configuration)
        let there = MemoryTransport(identity: .ed25519(), network: network, configuration: configuration)
        let listener = try await there.listen(on: "/memory/0")
        client = try await here.dial(try #require(listener.addresses.first))
        server = try await listener.accept()
        transports = [here, there]
    }

    /// A stream that both ends know. The near end is a `NetStream`, the far end is the bare one.
    func stream(onRelease: (@Sendable (NetStream) -> Void)? = nil) async throws -> (
        near: NetStream, far: any MuxedStream
    ) {
        let near = try await client.openStream()
        try await near.write([0])
        let far = try await server.acceptStream()
        #expect(try await far.read(upTo: 1) == [0])
        return (NetStream(near, connection: client, onRelease: onRelease), far)
    }

    func openStream(onRelease: (@Sendable (NetStream) -> Void)? = nil) async throws -> (
        near: NetStream, far: any MuxedStream
    ) {
        let pair = try await stream(onRelease: onRelease)
        try pair.near.establish()
        return pair
    }
}

/// Runs an operation that must throw a `NetStreamError` and gives its code.
func code(_ operation: () async throws -> Void) async -> NetStreamError.Code? {
    do {
        try await operation()
        return nil
    } catch {
        return (error as? NetStreamError)?.code
    }
}

/// Counts across tasks.
final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func increment() { count.withLock { $0 += 1 } }
}
