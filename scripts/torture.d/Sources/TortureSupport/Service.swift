public import Libp2pTLS
internal import Logging
public import Multiaddr
public import NIOCore
internal import NetStream
internal import PeerID
public import QuicCore
public import QuicTransport
internal import Synchronization

/// A listening transport that takes bytes, sends bytes and echoes, for every connection and stream that comes.
///
/// A stream begins with one letter and, for `u` and `d`, eight bytes of a count in network order. `u`: the client sends so
/// many bytes of ``Pattern``, and gets eight bytes back: how many were right. `d`: the client gets so many. `e`: every
/// byte comes back. `s`: nothing ever happens, until the client ends the stream.
public final class Service: Sendable {
    /// The listening transport.
    public let transport: QuicTransport
    /// Its listener.
    public let listener: QuicListener
    /// Where it listens.
    public let address: SocketAddress
    private let accepting: Task<Void, Never>
    /// Connections and streams whose task has not ended.
    private let tasks: Counter

    /// How many tasks there are for connections and streams.
    public var taskCount: Int { tasks.value }

    /// Listens on a free port of 127.0.0.1, or of ::1.
    ///
    /// - Parameter isEarly: Whether connections with early data are served before their handshake is done.
    public init(
        _ configuration: QuicConfiguration,
        tls: TLSConfiguration = .defaults,
        usesIPv6: Bool = false,
        isEarly: Bool = false,
        on group: any EventLoopGroup
    ) async throws {
        transport = try QuicTransport(
            identity: .ed25519(),
            configuration: configuration,
            tls: tls,
            eventLoopGroup: group,
            logger: .silent
        )
        listener = try await transport.listenQuic(
            on: usesIPv6 ? "/ip6/::1/udp/0/quic-v1" : "/ip4/127.0.0.1/udp/0/quic-v1",
            handingUpEarly: isEarly
        )
        guard let endpoint = listener.addresses[0].quicEndpoint else { throw Failed("the listener has no address") }
        address = try SocketAddress(ipAddress: usesIPv6 ? "::1" : "127.0.0.1", port: Int(endpoint.port))
        let tasks = Counter()
        self.tasks = tasks
        let listener = listener
        accepting = Task {
            await withDiscardingTaskGroup { group in
                while let connection = try? await listener.acceptConnection() {
                    tasks.add(1)
                    group.addTask {
                        await Self.serve(connection, tasks)
                        tasks.add(-1)
                    }
                }
            }
        }
    }

    /// The port it listens on.
    public var port: UInt16 { UInt16(address.port ?? 0) }

    /// Where to dial it, or a proxy in front of it, and the peer that has to answer.
    public func dialAddress(by way: SocketAddress? = nil) throws -> Multiaddr {
        let host = address.protocol == .inet6 ? "/ip6/::1" : "/ip4/127.0.0.1"
        let multiaddr = try Multiaddr(parsing: "\(host)/udp/\((way ?? address).port ?? 0)/quic-v1")
        return multiaddr.withPeerID(transport.localPeer)
    }

    /// Ends everything and waits for it.
    public func close() async {
        await transport.close()
        await accepting.value
    }

    private static func serve(_ connection: QuicConnection, _ tasks: Counter) async {
        await withDiscardingTaskGroup { group in
            while let stream = try? await connection.acceptQuicStream() {
                tasks.add(1)
                group.addTask {
                    do { try await serve(stream) } catch { stream.reset(code: .generic) }
                    tasks.add(-1)
                }
            }
        }
    }

    private static func serve(_ stream: QuicStream) async throws {
        var reader = ExactReader(stream)
        guard let command = try await reader.take(1)?.first else { return }
        switch command {
        case UInt8(ascii: "u"):
            let count = try await reader.count()
            let right = try await reader.checkPattern(count)
            try await stream.write(bytes(of: right))
        case UInt8(ascii: "d"):
            try await writePattern(try await reader.count(), to: stream)
        case UInt8(ascii: "s"):
            _ = try await stream.read()
        default:
            while let bytes = try await reader.next() { try await stream.write(bytes) }
        }
        try await stream.close()
    }
}

/// A number that many tasks change.
public final class Counter: Sendable {
    private let count = Atomic(0)

    /// Zero.
    public init() {}

    /// The number.
    public var value: Int { count.load(ordering: .relaxed) }

    /// Adds to it.
    public func add(_ step: Int) { count.wrappingAdd(step, ordering: .relaxed) }
}
