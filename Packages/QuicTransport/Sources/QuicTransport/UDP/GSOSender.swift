import CQuicUDP

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What became of the datagrams of one ``UDPEndpoint/send(_:segmentSize:to:from:ecn:)``.
enum UDPSendResult: Equatable, Sendable {
    /// The kernel took all of them.
    case sent
    /// There is no room: in the socket's send buffer (EAGAIN), or behind it in the network card's queue (ENOBUFS). The first
    /// `sentSegments` datagrams are gone; offer the rest again when ``UDPEndpointHandler/writable(_:)`` is called.
    case wouldBlock(sentSegments: Int, behindSocket: Bool = false)
    /// This destination, source or size is refused, with this errno. The socket and other destinations are not
    /// affected; to QUIC it is packet loss.
    case dropped(Int32)
}

/// Cuts a train of equal datagrams into as few system calls as the kernel allows, and copes when it refuses.
///
/// Segmentation offload is on until the kernel answers EIO or EINVAL to a train whose single datagrams it then takes:
/// from there on this socket sends one by one. A train that is refused for another reason (a bad destination gives
/// EINVAL as well) changes nothing.
struct GSOSender {
    /// Whether trains leave in one call.
    private(set) var usesSegmentation: Bool

    init(usesSegmentation: Bool) {
        self.usesSegmentation = usesSegmentation
    }

    /// Sends `bytes` as datagrams of `segmentSize` bytes, the last of which may be shorter.
    ///
    /// - Parameter calls: Grows by the number of system calls made.
    mutating func send(
        _ bytes: UnsafeRawBufferPointer,
        segmentSize: Int,
        to destination: cquic_addr,
        from source: cquic_addr?,
        ecn: UInt8,
        through socket: some DatagramTransmitting,
        calls: inout Int
    ) -> UDPSendResult {
        let segmentSize = segmentSize > 0 ? segmentSize : bytes.count
        guard bytes.count > segmentSize else {
            calls += 1
            let outcome = Self.transmit(bytes, 0, destination, source, ecn, socket)
            return Self.result(outcome, sentSegments: 0)
        }
        let perCall = min(Int(CQUIC_MAX_SEGMENTS), Int(CQUIC_MAX_PAYLOAD) / segmentSize)
        var offset = 0
        while offset < bytes.count {
            let whole = usesSegmentation && perCall > 1
            let length = min(whole ? perCall * segmentSize : segmentSize, bytes.count - offset)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
            calls += 1
            var outcome = Self.transmit(piece, length > segmentSize ? segmentSize : 0, destination, source, ecn, socket)
            var sent = length
            if length > segmentSize, case .failed(let code) = outcome, code == EIO || code == EINVAL {
                // Was it the segmentation or the datagram? The first one alone tells.
                calls += 1
                let first = UnsafeRawBufferPointer(rebasing: piece[0..<segmentSize])
                outcome = Self.transmit(first, 0, destination, source, ecn, socket)
                sent = segmentSize
                if outcome == .sent { usesSegmentation = false }
            }
            guard outcome == .sent else { return Self.result(outcome, sentSegments: offset / segmentSize) }
            offset += sent
        }
        return .sent
    }

    private static func transmit(
        _ bytes: UnsafeRawBufferPointer,
        _ segmentSize: Int,
        _ destination: cquic_addr,
        _ source: cquic_addr?,
        _ ecn: UInt8,
        _ socket: some DatagramTransmitting
    ) -> UDPTransmission {
        let outcome = socket.transmit(bytes, segmentSize: segmentSize, to: destination, from: source, ecn: ecn)
        // The kernel may report here that an earlier datagram met a closed port; this one was not tried yet.
        guard outcome == .failed(ECONNREFUSED) else { return outcome }
        return socket.transmit(bytes, segmentSize: segmentSize, to: destination, from: source, ecn: ecn)
    }

    private static func result(_ outcome: UDPTransmission, sentSegments: Int) -> UDPSendResult {
        switch outcome {
        case .sent: .sent
        case .failed(EAGAIN): .wouldBlock(sentSegments: sentSegments)
        case .failed(ENOBUFS): .wouldBlock(sentSegments: sentSegments, behindSocket: true)
        case .failed(let code): .dropped(code)
        }
    }
}
