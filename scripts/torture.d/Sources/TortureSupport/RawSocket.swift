internal import CTorture
internal import Glibc

/// A UDP socket on a loopback address of one's choice, without waiting: for packets that no honest peer sends.
public final class RawSocket {
    private let descriptor: Int32
    /// Its address, in the byte order of the machine.
    public let ip: UInt32
    /// Its port.
    public let port: UInt16
    /// UDP payload bytes that were sent.
    public private(set) var bytesSent = 0
    /// UDP payload bytes that came.
    public private(set) var bytesReceived = 0
    /// Datagrams that came.
    public private(set) var datagramsReceived = 0

    /// Binds a socket.
    ///
    /// - Parameter ip: An address in 127.0.0.0/8, in the byte order of the machine.
    /// - Throws: ``Failed`` with the errno.
    public init(ip: UInt32 = 0x7f00_0001) throws(Failed) {
        var port: UInt16 = 0
        descriptor = torture_udp_open(ip, &port)
        guard descriptor >= 0 else { throw Failed("a UDP socket cannot be had: errno \(-descriptor)") }
        self.ip = ip
        self.port = port
    }

    deinit { close(descriptor) }

    /// Sends a datagram to a port of 127.0.0.1. Returns whether the system took it.
    @discardableResult
    public func send(_ bytes: [UInt8], to port: UInt16) -> Bool {
        guard torture_udp_send(descriptor, bytes, bytes.count, port) == 0 else { return false }
        bytesSent += bytes.count
        return true
    }

    /// The next datagram, if one is there.
    public func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { return nil }
        bytesReceived += count
        datagramsReceived += 1
        return Array(buffer.prefix(count))
    }

    /// The bytes that came for each byte that was sent.
    public var answerRatio: Double { Double(bytesReceived) / Double(max(1, bytesSent)) }

    /// Counts and forgets whatever is there.
    public func drain() {
        while receive() != nil {}
    }
}

/// What went wrong, in words.
public struct Failed: Error, CustomStringConvertible {
    /// What went wrong.
    public let description: String

    /// A failure in words.
    public init(_ description: String) { self.description = description }
}
