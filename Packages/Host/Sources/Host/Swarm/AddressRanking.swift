import Multiaddr
import PeerID

/// In which order, and how long after the first, the addresses of a peer are dialled.
///
/// As go-libp2p does: QUIC version 1 before draft-29 before the rest, IPv6 before IPv4, private and public addresses in
/// two queues that run beside each other, each address some time after the one before it (RFC 8305). What a caller named
/// goes first, then what the program put into the peer store, then what else was known from before; but what is of a kind
/// of which hardly anything has answered of late goes last.
struct AddressRanking {
    /// An address and its head start over later ones.
    struct Entry: Equatable {
        var address: Multiaddr
        var delay: Duration
    }

    /// - Parameters:
    ///   - addresses: All addresses. Of equal ones the first counts.
    ///   - first: Those, without `/p2p`, that go before all others, which begin when these have had their head starts.
    ///   - second: Those, without `/p2p`, that follow then in the same way, before the others.
    ///   - last: Those, without `/p2p`, that begin when all others have had their head starts, be they among the first.
    ///   - publicStagger: The head start of a public address.
    ///   - privateStagger: The head start of a private address.
    static func rank(
        _ addresses: [Multiaddr],
        first: Set<Multiaddr> = [],
        second: Set<Multiaddr> = [],
        last: Set<Multiaddr> = [],
        publicStagger: Duration,
        privateStagger: Duration
    ) -> [Entry] {
        var seen: Set<Multiaddr> = []
        let unique = addresses.filter { seen.insert($0.withoutPeerID).inserted }
        var start = Duration.zero
        var result: [Entry] = []
        let place = { (address: Multiaddr) in
            let bare = address.withoutPeerID
            return last.contains(bare) ? 3 : first.contains(bare) ? 0 : second.contains(bare) ? 1 : 2
        }
        for number in 0...3 {
            let group = unique.filter { place($0) == number }
            let ranked = group.enumerated().sorted { left, right in
                let (a, b) = (preference(left.element), preference(right.element))
                return a == b ? left.offset < right.offset : a < b
            }
            var delays: [Bool: Duration] = [true: start, false: start]
            var entries: [Entry] = []
            for (_, address) in ranked {
                let isNear = isPrivate(address)
                let delay = delays[isNear, default: start]
                delays[isNear] = delay + (isNear ? privateStagger : publicStagger)
                entries.append(Entry(address: address, delay: delay))
            }
            start = delays.values.max() ?? start
            // Sorting by delay keeps the preference among equals, as the index decides there.
            let order = entries.enumerated().sorted { left, right in
                left.element.delay == right.element.delay
                    ? left.offset < right.offset : left.element.delay < right.element.delay
            }
            result += order.map(\.element)
        }
        return result
    }

    private static func preference(_ address: Multiaddr) -> Int {
        let transport = address.contains(.quicV1) ? 0 : address.contains(.quic) ? 2 : 4
        return transport + (address.first(.ip6) == nil ? 1 : 0)
    }

    /// Whether the address can only be of this machine or its network (RFC 1918, RFC 4193, loopback, link local).
    static func isPrivate(_ address: Multiaddr) -> Bool {
        if let ip = address.first(.ip4)?.ip4Address, ip.count == 4 {
            switch (ip[0], ip[1]) {
            case (10, _), (127, _), (192, 168), (169, 254): return true
            case (172, let second): return (16...31).contains(second)
            default: return false
            }
        }
        if let ip = address.first(.ip6)?.ip6Address, ip.count == 16 {
            return isLoopback(address) || ip[0] & 0xfe == 0xfc || (ip[0] == 0xfe && ip[1] & 0xc0 == 0x80)
        }
        // Names may be anywhere; memory is near.
        return address.first(.memory) != nil
    }

    /// Whether there is an IP address in it.
    static func hasIP(_ address: Multiaddr) -> Bool { address.first(.ip4) != nil || address.first(.ip6) != nil }

    /// Whether the address is an IP address of this machine alone.
    static func isLoopback(_ address: Multiaddr) -> Bool {
        if let ip = address.first(.ip4)?.ip4Address { return ip.first == 127 }
        if let ip = address.first(.ip6)?.ip6Address { return ip.dropLast().allSatisfy { $0 == 0 } && ip.last == 1 }
        return false
    }

    /// Whether the address is an IP address of the public internet: neither private, nor that of a provider's own network
    /// (RFC 6598), nor unspecified, nor of a group.
    static func isPublic(_ address: Multiaddr) -> Bool {
        guard !isPrivate(address), !isUnspecified(address) else { return false }
        if let ip = address.first(.ip4)?.ip4Address, ip.count == 4 {
            return ip[0] != 0 && ip[0] < 224 && !(ip[0] == 100 && 64...127 ~= ip[1])
        }
        if let ip = address.first(.ip6)?.ip6Address, ip.count == 16 { return ip[0] != 0xff && ip[0] != 0 }
        return false
    }

    /// Whether the address says "any address of this machine", which is of no use to others.
    static func isUnspecified(_ address: Multiaddr) -> Bool {
        if let ip = address.first(.ip4)?.ip4Address { return ip.allSatisfy { $0 == 0 } }
        if let ip = address.first(.ip6)?.ip6Address { return ip.allSatisfy { $0 == 0 } }
        return false
    }
}
