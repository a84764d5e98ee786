import Multiaddr
import NIOCore
import NIOPosix

@testable import QuicTransport

/// Carries the datagrams of one client to a server of this machine and back. What the client sends from another port than its
/// first waits here until it is let through.
final class HoldingRelay: Sendable {
    private struct State {
        var first: SocketAddress?
        /// Where the last datagram that was let through came from: answers go there.
        var latest: SocketAddress?
        var held: [AddressedEnvelope<ByteBuffer>] = []
        var isHolding = true
    }

    private let state = Shared(State())
    private let front: any Channel
    private let back: any Channel

    /// - Parameter port: The server's.
    init(to port: UInt16) async throws {
        let server = try SocketAddress(ipAddress: "127.0.0.1", port: Int(port))
        let state = state
        let ends = Shared<(front: (any Channel)?, back: (any Channel)?)>((nil, nil))
        front = try await Self.bind { datagram in
            let passes = state.withLock { state in
                if state.first == nil { state.first = datagram.remoteAddress }
                if state.isHolding, datagram.remoteAddress != state.first {
                    state.held.append(datagram)
                    return false
                }
                state.latest = datagram.remoteAddress
                return true
            }
            guard passes else { return }
            ends.withLock { $0.back }?.writeAndFlush(
                AddressedEnvelope(remoteAddress: server, data: datagram.data),
                promise: nil
            )
        }
        back = try await Self.bind { datagram in
            guard let client = state.withLock({ $0.latest }) else { return }
            ends.withLock { $0.front }?.writeAndFlush(
                AddressedEnvelope(remoteAddress: client, data: datagram.data),
                promise: nil
            )
        }
        ends.withLock { [front, back] in $0 = (front, back) }
        self.server = server
    }

    private let server: SocketAddress

    private static func bind(
        _ body: @escaping @Sendable (AddressedEnvelope<ByteBuffer>) -> Void
    ) async throws -> any Channel {
        try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramHandler(body))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// Where the client sends to.
    func address() throws -> Multiaddr {
        try .quic(host: "127.0.0.1", port: UInt16(front.localAddress?.port ?? 0))
    }

    /// How many datagrams wait.
    var heldCount: Int { state.withLock { $0.held.count } }

    /// Lets through what waits, and all that comes.
    func letThrough() {
        let held = state.withLock { state in
            state.isHolding = false
            state.latest = state.held.last?.remoteAddress ?? state.latest
            defer { state.held = [] }
            return state.held
        }
        for datagram in held {
            back.writeAndFlush(AddressedEnvelope(remoteAddress: server, data: datagram.data), promise: nil)
        }
    }

    func close() async throws {
        try await front.close()
        try await back.close()
    }
}

/// Hands every datagram to a function.
final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let body: @Sendable (AddressedEnvelope<ByteBuffer>) -> Void

    init(_ body: @escaping @Sendable (AddressedEnvelope<ByteBuffer>) -> Void) { self.body = body }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { body(unwrapInboundIn(data)) }
}
