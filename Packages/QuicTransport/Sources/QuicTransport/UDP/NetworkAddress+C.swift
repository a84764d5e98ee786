import CQuicUDP
import QuicCore

extension cquic_addr {
    /// The address in the form the socket functions take. Nothing is allocated.
    init(_ address: NetworkAddress) {
        self.init()
        address.withSockaddr { sockaddr, length in
            _ = cquic_addr_from_sockaddr(sockaddr, Int(length), &self)
        }
    }

    /// The address as the protocol core knows it, or nil when there is none. Never an IPv4 address mapped into IPv6.
    var networkAddress: NetworkAddress? {
        withUnsafeBytes(of: bytes) { bytes in
            switch family {
            case 4:
                .ip4(bytes[0], bytes[1], bytes[2], bytes[3], port: port)
            case 6:
                .ip6(
                    high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                    low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                    scope: scope,
                    port: port
                )
            default:
                nil
            }
        }
    }
}
