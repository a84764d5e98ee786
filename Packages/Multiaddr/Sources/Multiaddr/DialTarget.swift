/// An address in the words that socket libraries use: a network such as `tcp4`, and host and port in one text.
public struct DialTarget: Sendable, Hashable {
    /// `tcp`, `udp` or `ip`, followed by `4` or `6` where the version of IP is known; or `unix`.
    public let network: String
    /// `127.0.0.1:1234`, `[::1%eth0]:1234`, `name:1234`, a host without a port, or the path of a Unix socket.
    public let address: String
}

extension Multiaddr {
    /// What the first components say to a socket library; nil when they name no host, or a zone without an IPv6 address.
    public var dialTarget: DialTarget? {
        var cursor = RawCursor()
        var zone: String?
        guard var raw = cursor.next(storage) else { return nil }
        if raw.info.proto == .ip6zone {
            zone = String(decoding: storage[raw.value], as: UTF8.self)
            guard let next = cursor.next(storage), next.info.proto == .ip6 else { return nil }
            raw = next
        }
        var host = Component(raw: raw, of: storage).text ?? ""
        let family: String
        switch raw.info.proto {
        case .ip4, .dns4: family = "4"
        case .ip6, .dns6: family = "6"
        case .dns: family = ""
        case .unix: return DialTarget(network: "unix", address: host)
        default: return nil
        }
        if let zone { host += "%\(zone)" }
        guard let next = cursor.next(storage), next.info.proto == .tcp || next.info.proto == .udp else {
            return DialTarget(network: "ip\(family)", address: host)
        }
        let port = Component(raw: next, of: storage).text ?? ""
        return DialTarget(
            network: "\(next.info.name)\(family)",
            address: raw.info.proto == .ip6 ? "[\(host)]:\(port)" : "\(host):\(port)"
        )
    }

    /// True when the address begins with an IP address (which a zone may precede), and goes on, if at all, with TCP,
    /// UDP or another IP address.
    public var isThinWaist: Bool {
        var cursor = RawCursor()
        guard var raw = cursor.next(storage) else { return false }
        if raw.info.proto == .ip6zone {
            guard let next = cursor.next(storage), next.info.proto == .ip6 else { return false }
            raw = next
        }
        guard raw.info.proto == .ip4 || raw.info.proto == .ip6 else { return false }
        guard let next = cursor.next(storage) else { return true }
        switch next.info.proto {
        case .tcp, .udp, .ip4, .ip6: return true
        default: return false
        }
    }
}
