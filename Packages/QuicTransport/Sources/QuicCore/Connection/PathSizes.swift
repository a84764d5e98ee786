/// The sizes of UDP payloads that are worth trying on a path: what IPv6's least MTU, tunnels, a Japanese access line, PPPoE,
/// Ethernet and jumbo frames of 9,000 bytes leave, less the headers of IPv6 and UDP.
enum PathSizes {
    /// In the order in which a path that has shrunk is tried again.
    static let upwards = [1280, 1342, 1406, 1444, 1452, 4048, 8952, 16_384, 32_768]

    /// In the order in which path MTU discovery tries them: it skips what is below a size that arrived and above one that
    /// did not, so the first should be the likeliest. Above Ethernet's size the largest comes first: whoever allows it
    /// expects it.
    static func discovery(upTo limit: Int) -> [UInt16] {
        guard limit > PathSizeGuard.minimum, let limit = UInt16(exactly: limit) else { return [] }
        let likely: [UInt16] = [1406, 1342, 1232, 1444, 1452].filter { $0 < limit }
        return limit <= 1452 ? likely + [limit] : [limit] + [8952].filter { $0 < limit } + likely
    }
}
