import CQuicUDP
import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How a UDP socket is opened.
struct UDPSocketOptions: Sendable {
    /// Kernel receive buffer in bytes, nil for the system's default. Linux doubles what it is given and, without
    /// `CAP_NET_ADMIN`, caps it at `net.core.rmem_max`.
    var receiveBuffer: Int? = 4 << 20
    /// Kernel send buffer in bytes, nil for the system's default.
    var sendBuffer: Int? = 4 << 20
    /// Whether trains of datagrams leave in one call (GSO), where the kernel can.
    var segmentationOffload = true
    /// Whether the kernel may hand over trains of datagrams in one piece (GRO).
    var receiveOffload = true
    /// Whether a socket bound to `::` refuses IPv4. When false it serves both families.
    var ipv6Only = false
    /// Whether several sockets share the port, among which the kernel spreads what arrives (`SO_REUSEPORT`): the other
    /// loops' of this process.
    var portSharing = PortSharing.alone
    /// How long to go on looking for datagrams after the last one, before the loop sleeps.
    var busyPoll = Duration.zero

    enum PortSharing: Sendable {
        /// The port is this socket's, and in use for everybody else.
        case alone
        /// The port has to be free; when it is bound, other sockets of this user may join.
        case first
        /// Joins the first one.
        case further

        fileprivate var request: cquic_port_sharing {
            switch self {
            case .alone: CQUIC_PORT_ALONE
            case .first: CQUIC_PORT_FIRST
            case .further: CQUIC_PORT_FURTHER
            }
        }
    }
}

/// A system call on a UDP socket failed.
struct UDPSocketError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The system's error number.
    var code: Int32
    /// What was being done.
    var operation: String

    var description: String {
        "\(operation): \(String(cString: strerror(code))) (errno \(code))"
    }
}

/// What happened to one message handed to the kernel.
enum UDPTransmission: Equatable {
    /// The kernel took it.
    case sent
    /// It did not, with this errno.
    case failed(Int32)
}

/// What ``GSOSender`` needs of a socket; the tests have a socket that fails on demand.
protocol DatagramTransmitting {
    /// Hands one message to the kernel: a single datagram, or several of `segmentSize` bytes when `segmentSize` > 0.
    func transmit(
        _ bytes: UnsafeRawBufferPointer,
        segmentSize: Int,
        to destination: cquic_addr,
        from source: cquic_addr?,
        ecn: UInt8
    ) -> UDPTransmission
}

/// Owner of one descriptor of a bound UDP socket; closes it in `deinit`.
///
/// The endpoint keeps a descriptor of its own beside the one SwiftNIO owns. SwiftNIO may close its descriptor on a
/// read error at a moment when we still hold the number, and the number may be another file by the time we send.
final class UDPSocket: Sendable, DatagramTransmitting {
    let descriptor: Int32
    let family: Int32

    private init(descriptor: Int32, family: Int32) {
        self.descriptor = descriptor
        self.family = family
    }

    deinit {
        close(descriptor)
    }

    /// Opens and binds a socket. Returns the owner of the endpoint's descriptor, a second descriptor that the caller
    /// has to close or hand to somebody who does, and what the socket can do.
    static func open(
        at address: NetworkAddress,
        options: UDPSocketOptions
    ) throws(UDPSocketError) -> (socket: UDPSocket, second: Int32, features: cquic_socket_features) {
        var local = cquic_addr(address)
        var request = cquic_socket_options()
        request.receive_buffer = Int32(clamping: options.receiveBuffer ?? 0)
        request.send_buffer = Int32(clamping: options.sendBuffer ?? 0)
        request.no_gso = options.segmentationOffload ? 0 : 1
        request.no_gro = options.receiveOffload ? 0 : 1
        request.v6_only = options.ipv6Only ? 1 : 0
        request.port_sharing = options.portSharing.request
        var features = cquic_socket_features()
        let descriptor = cquic_socket_open(&local, &request, &features)
        guard descriptor >= 0 else { throw UDPSocketError(code: -descriptor, operation: "open a UDP socket") }
        let socket = UDPSocket(descriptor: descriptor, family: features.family)
        let second = cquic_duplicate(descriptor)
        guard second >= 0 else { throw UDPSocketError(code: -second, operation: "duplicate a UDP socket") }
        return (socket, second, features)
    }

    /// The address the socket is bound to, with the real port.
    func localAddress() throws(UDPSocketError) -> NetworkAddress {
        var address = cquic_addr()
        let status = cquic_local_address(descriptor, &address)
        guard status == 0, let local = address.networkAddress else {
            throw UDPSocketError(code: status == 0 ? EAFNOSUPPORT : -status, operation: "read the local address")
        }
        return local
    }

    func transmit(
        _ bytes: UnsafeRawBufferPointer,
        segmentSize: Int,
        to destination: cquic_addr,
        from source: cquic_addr?,
        ecn: UInt8
    ) -> UDPTransmission {
        var destination = destination
        var from = source ?? cquic_addr()
        let status = cquic_send(
            descriptor,
            family,
            bytes.baseAddress,
            bytes.count,
            UInt16(clamping: segmentSize),
            &destination,
            &from,
            ecn
        )
        return status == 0 ? .sent : .failed(-status)
    }

    /// Blocks the calling thread until the socket can be written, at most for `timeout` milliseconds.
    func waitUntilWritable(timeout: Int32) -> Bool {
        cquic_wait_writable(descriptor, timeout) != 0
    }
}
