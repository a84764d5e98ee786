import NetStream
import PeerID
import Synchronization

/// One connection of a host, with what the host keeps about it.
final class HostConnection: Sendable {
    let info: ConnectionInfo
    let muxed: any MuxedConnection
    let inboundNegotiations: AsyncSemaphore
    let outboundNegotiations: AsyncSemaphore
    let handlers: AsyncSemaphore
    let opened: ClockMoment
    private let streams = Mutex(0)
    private let pushes = Mutex(TokenBucket(capacity: 10, refill: .seconds(5)))
    private let clock: any Clock<Duration>

    init(id: UInt64, muxed: any MuxedConnection, configuration: HostConfiguration) {
        info = ConnectionInfo(
            id: id,
            peer: muxed.remotePeer,
            direction: muxed.direction,
            localAddress: muxed.localAddress,
            remoteAddress: muxed.remoteAddress
        )
        self.muxed = muxed
        clock = configuration.clock
        opened = configuration.clock.now()
        inboundNegotiations = AsyncSemaphore(permits: configuration.streams.inboundNegotiations)
        outboundNegotiations = AsyncSemaphore(permits: configuration.streams.outboundNegotiations)
        handlers = AsyncSemaphore(permits: configuration.streams.inboundHandlers)
    }

    var peer: PeerID { info.peer }

    /// Streams in use, for the choice of the least loaded connection.
    var streamCount: Int { streams.withLock { $0 } }

    /// Wraps a stream of this connection, counted until it is released.
    func wrap(_ muxed: any MuxedStream, protocolID: String? = nil) throws -> NetStream {
        let use = StreamUse(of: self)
        let stream = NetStream(muxed, connection: self.muxed, protocolID: protocolID) { _ in
            withExtendedLifetime(use) {}
        }
        try stream.establish()
        return stream
    }

    /// Whether one more identify push of the peer is within its budget: 10 at once, one every 5 s in the long run, as
    /// go-libp2p has it.
    func takePush() -> Bool {
        let moment = clock.now()
        return pushes.withLock { $0.take(at: moment) }
    }

    /// Counts a stream for as long as it is in use: until its release, or until nobody holds it any more.
    private final class StreamUse: Sendable {
        private let connection: HostConnection

        init(of connection: HostConnection) {
            self.connection = connection
            connection.streams.withLock { $0 += 1 }
        }

        deinit { connection.streams.withLock { $0 -= 1 } }
    }
}
