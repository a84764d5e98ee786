import Multiaddr

/// From how far an address can be reached.
enum AddressScope: Int, Sendable, Comparable {
    /// From the same machine.
    case machine
    /// From the same private network, or the same link.
    case network
    /// From anywhere. Also what is no IP address and no name.
    case internet

    static func < (left: AddressScope, right: AddressScope) -> Bool { left.rawValue < right.rawValue }

    /// `nil` for an address at which nobody is reached: unspecified, of a group, or IPv4 dressed up as IPv6.
    init?(_ address: Multiaddr) {
        if let name = Self.name(in: address) {
            self = Self.scope(ofName: name)
        } else if !AddressRanking.hasIP(address) {
            self = .internet
        } else if AddressRanking.isLoopback(address) {
            self = .machine
        } else if AddressRanking.isPublic(address) {
            self = .internet
        } else {
            guard !AddressRanking.isUnspecified(address) else { return nil }
            if let ip = address.first(.ip4)?.ip4Address, ip[0] == 0 || ip[0] >= 224 { return nil }
            if let ip = address.first(.ip6)?.ip6Address, ip[0] == 0 || ip[0] == 0xff { return nil }
            self = .network
        }
    }

    /// Those of the addresses that a peer tells which can be of use to a host that sees the peer at `remote`.
    ///
    /// As go-libp2p has it: a peer on the internet has no business with addresses of private networks, nor one in our
    /// network with those of our own machine. They would have us dial whatever else is there.
    static func useful(_ addresses: [Multiaddr], toldFrom remote: Multiaddr) -> [Multiaddr] {
        // Where addresses are of no IP network, near and far mean nothing.
        let least = AddressRanking.hasIP(remote) ? AddressScope(remote) ?? .internet : .machine
        return addresses.filter { address in
            guard let scope = AddressScope(address) else { return false }
            return scope >= least
        }
    }

    private static func name(in address: Multiaddr) -> String? {
        for kind in [MultiaddrProtocol.dns, .dns4, .dns6, .dnsaddr] {
            if let name = address.first(kind)?.hostName { return name }
        }
        return nil
    }

    /// Names that are never of the public internet (RFC 6761, 6762, 8375, and ICANN's `internal`).
    private static func scope(ofName name: String) -> AddressScope {
        let labels = name.lowercased().split(separator: ".")
        switch labels.last {
        case "localhost": return .machine
        case "local", "internal": return .network
        case "arpa" where labels.suffix(2).first == "home": return .network
        default: return .internet
        }
    }
}
