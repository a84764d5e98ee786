internal import NIOCore
internal import NIOPosix

/// The proxy's state. Belongs to one event loop.
final class Relay {
    var up: LinkModel
    var down: LinkModel
    var front: (any Channel)?
    var rebinding: RepeatedTask?
    /// The address of the side where the clients are, and of the other one until that changes.
    let host: String
    private let changesAddress: Bool
    private let server: SocketAddress
    private let loop: any EventLoop
    private let start = NIODeadline.now()
    private var clients: [SocketAddress: Client] = [:]
    private var rebindings = 0
    private var isClosed = false

    /// No more client addresses than that are served; each costs a socket.
    private static let maximumClients = 4096

    /// A client address, and its socket towards the server.
    private final class Client {
        let address: SocketAddress
        /// Complete when the socket is bound; then without effect.
        var channel: EventLoopFuture<any Channel>

        init(address: SocketAddress, channel: EventLoopFuture<any Channel>) {
            self.address = address
            self.channel = channel
        }
    }

    init(
        server: SocketAddress,
        up: LinkConditions,
        down: LinkConditions,
        seed: UInt64,
        changesAddress: Bool,
        loop: any EventLoop
    ) {
        self.server = server
        self.changesAddress = changesAddress
        host = server.protocol == .inet6 ? "::1" : "127.0.0.1"
        self.loop = loop
        self.up = LinkModel(up, seed: seed)
        self.down = LinkModel(down, seed: ~seed)
    }

    var statistics: UDPProxyStatistics {
        UDPProxyStatistics(up: up.statistics, down: down.statistics, rebindings: rebindings, clients: clients.count)
    }

    /// Opens a socket on a free port, and hands on what comes.
    func bind(
        to host: String,
        _ receive: @escaping (AddressedEnvelope<ByteBuffer>) -> Void
    ) -> EventLoopFuture<any Channel> {
        let receive = NIOLoopBound(receive, eventLoop: loop)
        return DatagramBootstrap(group: loop)
            .channelOption(.socketOption(.so_rcvbuf), value: 4 << 20)
            .channelOption(.explicitCongestionNotification, value: true)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Reception(receive.value))
                }
            }
            .bind(host: host, port: 0)
    }

    func fromClient(_ envelope: AddressedEnvelope<ByteBuffer>) {
        let address = envelope.remoteAddress
        guard let client = clients[address] ?? addClient(address) else { return }
        transmit(envelope, over: \.up, to: server) { changed in
            client.channel.whenSuccess { $0.writeAndFlush(changed, promise: nil) }
        }
    }

    private func addClient(_ address: SocketAddress) -> Client? {
        guard clients.count < Self.maximumClients else { return nil }
        let client = Client(address: address, channel: socket(for: address))
        clients[address] = client
        return client
    }

    private func socket(for address: SocketAddress) -> EventLoopFuture<any Channel> {
        // More than any run needs; then they begin anew.
        let host = changesAddress ? "127.0.0.\(1 + rebindings % 250)" : host
        return bind(to: host) { [unowned self] envelope in fromServer(envelope, to: address) }
    }

    private func fromServer(_ envelope: AddressedEnvelope<ByteBuffer>, to address: SocketAddress) {
        transmit(envelope, over: \.down, to: address) { [unowned self] changed in
            front?.writeAndFlush(changed, promise: nil)
        }
    }

    private func transmit(
        _ envelope: AddressedEnvelope<ByteBuffer>,
        over link: ReferenceWritableKeyPath<Relay, LinkModel>,
        to destination: SocketAddress,
        send: @escaping (AddressedEnvelope<ByteBuffer>) -> Void
    ) {
        var bytes = Array(envelope.data.readableBytesView)
        var ecn = envelope.metadata?.ecnState ?? .transportNotCapable
        let arrivals = self[keyPath: link].pass(&bytes, ecn: &ecn, now: (NIODeadline.now() - start).nanoseconds)
        guard !arrivals.isEmpty else { return }
        let changed = AddressedEnvelope(
            remoteAddress: destination,
            data: ByteBuffer(bytes: bytes),
            metadata: .init(ecnState: ecn)
        )
        for arrival in arrivals {
            loop.assumeIsolated().scheduleTask(deadline: start + .nanoseconds(arrival)) { [self] in
                if !isClosed { send(changed) }
            }
        }
    }

    /// Every client gets a new socket towards the server; the old one is closed, as a translator forgets a mapping.
    func rebind() {
        guard !isClosed else { return }
        rebindings += 1
        for client in clients.values {
            client.channel.whenSuccess { $0.close(promise: nil) }
            client.channel = socket(for: client.address)
        }
    }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        rebinding?.cancel()
        var sockets = clients.values.map(\.channel)
        if let front { sockets.append(loop.makeSucceededFuture(front)) }
        clients = [:]
        front = nil
        // A socket that could not be opened, or is closed already, is as good as closed.
        let closed = sockets.map { $0.flatMap { $0.close() }.flatMapErrorThrowing { _ in () } }
        return EventLoopFuture.andAllComplete(closed, on: loop)
    }
}

/// Hands every datagram to a function.
private final class Reception: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let receive: (InboundIn) -> Void

    init(_ receive: @escaping (InboundIn) -> Void) { self.receive = receive }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { receive(unwrapInboundIn(data)) }

    /// ICMP errors of a receiver that is gone: the next datagram is another chance.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
