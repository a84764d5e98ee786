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

    init(id: UInt64, muxed: any MuxedConnection, configuration: HostConfiguration) {
        info = ConnectionInfo(
            id: id,
            peer: muxed.remotePeer,
            direction: muxed.direction,
            localAddress: muxed.localAddress,
            remoteAddress: muxed.remoteAddress
        )
        self.muxed = muxed
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
        streams.withLock { $0 += 1 }
        let stream = NetStream(muxed, connection: self.muxed, protocolID: protocolID) { [weak self] _ in
            self?.streams.withLock { $0 -= 1 }
        }
        try stream.establish()
        return stream
    }
}
