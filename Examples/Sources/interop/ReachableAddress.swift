import Multiaddr
import NIOCore

/// The address to give to others: a listener on the unspecified address gets the first address of this machine that
/// others can use, or loopback where there is no other.
func reachableAddress(of address: Multiaddr) throws -> Multiaddr {
    guard let endpoint = address.quicEndpoint else { return address }
    let isIPv4: Bool
    switch "\(endpoint.host)" {
    case "0.0.0.0": isIPv4 = true
    case "::": isIPv4 = false
    default: return address
    }
    let own = try System.enumerateDevices().compactMap(\.address).filter { address in
        switch address {
        case .v4: isIPv4
        // Link-local addresses mean nothing without their interface.
        case .v6: !isIPv4 && address.ipAddress?.lowercased().hasPrefix("fe80:") == false
        case .unixDomainSocket: false
        }
    }
    let best = own.first { !isLoopback($0) }?.ipAddress ?? (isIPv4 ? "127.0.0.1" : "::1")
    return try .quic(host: best, port: endpoint.port)
}

private func isLoopback(_ address: SocketAddress) -> Bool {
    let text = address.ipAddress ?? ""
    return text == "::1" || text.hasPrefix("127.")
}
