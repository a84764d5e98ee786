import CQuicUDP
import NIOCore
import QuicCore

/// Where SwiftNIO hands over the first message of a wake-up.
final class UDPChannelHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let endpoint: UDPEndpoint
    private var bytesRead = 0
    private var lastError: (any Error)?

    init(endpoint: UDPEndpoint) {
        self.endpoint = endpoint
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        endpoint.woken()
        guard let source = cquic_addr(envelope.remoteAddress)?.networkAddress else {
            endpoint.countUnreadable()
            return
        }
        var destination = (envelope.metadata?.packetInfo?.destinationAddress).flatMap { cquic_addr($0) }
        destination?.port = endpoint.localAddress.port
        let ecn: UInt8 =
            switch envelope.metadata?.ecnState {
            case .transportCapableFlag0: 2
            case .transportCapableFlag1: 1
            case .congestionExperienced: 3
            default: 0
            }
        bytesRead += envelope.data.readableBytes
        envelope.data.withUnsafeReadableBytes { bytes in
            endpoint.receive(
                UDPMessage(
                    bytes: bytes,
                    segmentSize: envelope.metadata?.segmentSize ?? bytes.count,
                    source: source,
                    destination: destination?.networkAddress,
                    ecn: ecn,
                    isTruncated: false
                )
            )
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        let read = bytesRead
        bytesRead = 0
        endpoint.drain(alreadyRead: read)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lastError = error
        endpoint.failed(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        endpoint.channelClosed(error: lastError)
    }
}

extension cquic_addr {
    fileprivate init?(_ address: SocketAddress) {
        var result = cquic_addr()
        let status = address.withSockAddr { sockaddr, length in
            cquic_addr_from_sockaddr(sockaddr, length, &result)
        }
        guard status == 0 else { return nil }
        self = result
    }
}
