import CQuicUDP
import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One message as the kernel delivered it: one datagram, or several of one sender glued together by GRO.
struct UDPMessage {
    /// All datagrams, back to back. Valid during the call that hands it over.
    var bytes: UnsafeRawBufferPointer
    /// The size of every datagram but the last, which may be shorter.
    var segmentSize: Int
    /// Who sent it.
    var source: NetworkAddress
    /// The local address it was sent to (its port is the socket's own and not repeated here), where the kernel says so.
    var destination: NetworkAddress?
    /// The two ECN bits.
    var ecn: UInt8
    /// Whether the kernel cut off the end.
    var isTruncated: Bool
}

/// Buffers for reading several messages in one system call; nothing is allocated per read.
final class UDPReceiveBatch {
    private let batch: OpaquePointer
    let capacity: Int

    init(capacity: Int) throws(UDPSocketError) {
        guard let batch = cquic_batch_create(UInt32(clamping: capacity)) else {
            throw UDPSocketError(code: ENOMEM, operation: "allocate receive buffers")
        }
        self.batch = batch
        self.capacity = capacity
    }

    deinit {
        cquic_batch_destroy(batch)
    }

    /// Reads up to ``capacity`` messages.
    ///
    /// - Returns: How many there are, or a negative errno.
    func read(from socket: UDPSocket) -> Int {
        Int(cquic_receive(socket.descriptor, batch, UInt32(capacity)))
    }

    /// The message at `index`, below the number that the last ``read(from:)`` returned; nil when its source address is
    /// of no family known here.
    func message(at index: Int) -> UDPMessage? {
        var message = cquic_received()
        cquic_batch_message(batch, UInt32(index), &message)
        guard let source = message.from.networkAddress else { return nil }
        return UDPMessage(
            bytes: UnsafeRawBufferPointer(start: message.bytes, count: message.length),
            segmentSize: message.segment_size,
            source: source,
            destination: message.to.networkAddress,
            ecn: message.ecn,
            isTruncated: message.truncated != 0
        )
    }
}
