/// The first name of an address, with what stands before and after it.
struct NameQuestion {
    let proto: MultiaddrProtocol
    let name: String
    private let head: Multiaddr
    private let tail: Multiaddr

    /// The prefix of TXT records that hold an address.
    private static let recordPrefix = Array("dnsaddr=".utf8)

    /// Nil when there is no name in the address.
    init?(_ address: Multiaddr) {
        var cursor = RawCursor()
        while let raw = cursor.next(address.storage) {
            switch raw.info.proto {
            case .dns, .dns4, .dns6, .dnsaddr:
                proto = raw.info.proto
                name = String(decoding: address.storage[raw.value], as: UTF8.self)
                head = Multiaddr(unchecked: Array(address.storage[..<raw.range.lowerBound]))
                tail = Multiaddr(unchecked: Array(address.storage[raw.range.upperBound...]))
                return
            default: continue
            }
        }
        return nil
    }

    /// The address with each of these in the place of the name. Values of the wrong length are dropped.
    func addresses(_ proto: MultiaddrProtocol, _ values: [[UInt8]]) -> [Multiaddr] {
        values.compactMap { value in
            guard let component = try? Multiaddr.Component(proto, value: value) else { return nil }
            return bounded(head.storage + Multiaddr(component).storage + tail.storage)
        }
    }

    /// The addresses in TXT records that end in what follows the name.
    func matching(_ records: [[UInt8]]) -> [Multiaddr] {
        let (suffix, circuit) = tail.split(before: .p2pCircuit)
        return records.compactMap { record in
            guard record.starts(with: Self.recordPrefix),
                let text = String(validating: record.dropFirst(Self.recordPrefix.count), as: UTF8.self),
                let found = try? Multiaddr(parsing: text), found.hasSuffix(suffix)
            else { return nil }
            return bounded(head.storage + found.storage + circuit.storage)
        }
    }

    /// Joined parts may exceed the bounds of an address.
    private func bounded(_ bytes: [UInt8]) -> Multiaddr? { try? Multiaddr(bytes: bytes) }
}
