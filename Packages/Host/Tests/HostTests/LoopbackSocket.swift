import Foundation
import Multiaddr

/// A UDP socket on a free port of 127.0.0.1. Closed when nobody holds it any more.
final class LoopbackSocket: Sendable {
    let descriptor: Int32
    let port: UInt16

    struct Failure: Error {
        var number = errno
    }

    init() throws {
        #if canImport(Darwin)
        let kind = SOCK_DGRAM
        #else
        let kind = Int32(SOCK_DGRAM.rawValue)
        #endif
        descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { throw Failure() }
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let status = withUnsafeMutableBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { address -> Int32 in
                guard let base = address.baseAddress, bind(descriptor, base, length) == 0 else { return -1 }
                return getsockname(descriptor, base, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard status == 0 else {
            let failure = Failure()
            close(descriptor)
            throw failure
        }
    }

    deinit { close(descriptor) }

    /// The address for QUIC.
    var quicAddress: Multiaddr { Multiaddr("/ip4/127.0.0.1/udp/\(port)/quic-v1") ?? "/memory/0" }

    /// The next datagram, and the port that it came from. Does not wait.
    func receive() -> (bytes: [UInt8], port: UInt16)? {
        var bytes = [UInt8](repeating: 0, count: 65536)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutableBytes(of: &address) { from in
            from.withMemoryRebound(to: sockaddr.self) { from in
                recvfrom(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT), from.baseAddress, &length)
            }
        }
        guard count >= 0 else { return nil }
        return (Array(bytes.prefix(count)), UInt16(bigEndian: address.sin_port))
    }

    /// Sends a datagram to a port of this machine.
    func send(_ bytes: [UInt8], to port: UInt16) {
        var address = Self.loopback(port: port)
        _ = withUnsafeBytes(of: &address) { to in
            to.withMemoryRebound(to: sockaddr.self) { to in
                sendto(descriptor, bytes, bytes.count, 0, to.baseAddress, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Waits until one of the sockets has something, or the time is over.
    static func wait(for sockets: [LoopbackSocket], atMost limit: Duration) {
        var watched = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        // Up, so that the wait does not turn into a spin.
        _ = poll(&watched, nfds_t(watched.count), Int32((limit / .milliseconds(1)).rounded(.up)))
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }
}
