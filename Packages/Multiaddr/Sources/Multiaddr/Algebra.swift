extension Multiaddr {
    /// The address with another one after it.
    ///
    /// A `unix` path takes the rest of an address, so nothing can follow it: components after one would be read as part
    /// of the path, and the result is what that text means. Bounds are not checked here; an address that outgrows
    /// them is refused wherever it is read.
    public func encapsulating(_ other: Multiaddr) -> Multiaddr {
        guard contains(.unix) else { return Multiaddr(unchecked: storage + other.storage) }
        return other.isEmpty ? self : (try? Multiaddr(parsing: description + other.description)) ?? self
    }

    /// The address with a component after it.
    public func encapsulating(_ component: Component) -> Multiaddr { encapsulating(Multiaddr(component)) }

    /// What stands before the last place where `other` occurs, component by component; everything when it does not.
    public func decapsulating(_ other: Multiaddr) -> Multiaddr {
        guard !other.isEmpty, other.storage.count <= storage.count else { return self }
        var found: Int?
        var cursor = RawCursor()
        while let raw = cursor.next(storage) {
            let start = raw.range.lowerBound
            guard start + other.storage.count <= storage.count else { break }
            if matches(other.storage, at: start) { found = start }
        }
        return found.map { Multiaddr(unchecked: Array(storage[..<$0])) } ?? self
    }

    /// What stands before the last component of a protocol; everything when there is none.
    public func decapsulating(_ proto: MultiaddrProtocol) -> Multiaddr {
        var found: Int?
        var cursor = RawCursor()
        while let raw = cursor.next(storage) {
            if raw.info.proto == proto { found = raw.range.lowerBound }
        }
        return found.map { Multiaddr(unchecked: Array(storage[..<$0])) } ?? self
    }

    /// True when the address begins with all the components of another.
    public func hasPrefix(_ other: Multiaddr) -> Bool {
        // Codes and lengths are self-delimiting: a prefix of the bytes that is itself an address ends at a component.
        other.storage.count <= storage.count && matches(other.storage, at: 0)
    }

    /// True when the address ends with all the components of another.
    public func hasSuffix(_ other: Multiaddr) -> Bool {
        if other.isEmpty { return true }
        var cursor = RawCursor()
        while let raw = cursor.next(storage) {
            if raw.range.lowerBound == storage.count - other.storage.count {
                return matches(other.storage, at: raw.range.lowerBound)
            }
        }
        return false
    }

    /// The value of the first component of a protocol, as text; empty for a protocol without a value, nil when the
    /// address has no such component.
    public func value(of proto: MultiaddrProtocol) -> String? { first(proto).map { $0.text ?? "" } }

    /// The first component of a protocol.
    public func first(_ proto: MultiaddrProtocol) -> Component? {
        var cursor = RawCursor()
        while let raw = cursor.next(storage) {
            if raw.info.proto == proto { return Component(raw: raw, of: storage) }
        }
        return nil
    }

    /// True when a component of this protocol occurs.
    public func contains(_ proto: MultiaddrProtocol) -> Bool {
        var cursor = RawCursor()
        while let raw = cursor.next(storage) {
            if raw.info.proto == proto { return true }
        }
        return false
    }

    /// One address for each component.
    public func split() -> [Multiaddr] {
        var result: [Multiaddr] = []
        var cursor = RawCursor()
        while let raw = cursor.next(storage) { result.append(Multiaddr(unchecked: Array(storage[raw.range]))) }
        return result
    }

    /// The first component and the rest; nil for the empty address.
    public func splitFirst() -> (first: Component, rest: Multiaddr)? {
        var cursor = RawCursor()
        guard let raw = cursor.next(storage) else { return nil }
        return (Component(raw: raw, of: storage), Multiaddr(unchecked: Array(storage[raw.range.upperBound...])))
    }

    /// Everything before the last component and that component; nil for the empty address.
    public func splitLast() -> (rest: Multiaddr, last: Component)? {
        var last: RawComponent?
        var cursor = RawCursor()
        while let raw = cursor.next(storage) { last = raw }
        guard let last else { return nil }
        return (Multiaddr(unchecked: Array(storage[..<last.range.lowerBound])), Component(raw: last, of: storage))
    }

    /// The components before the first one of a protocol, and the rest from there on.
    public func split(before proto: MultiaddrProtocol) -> (head: Multiaddr, tail: Multiaddr) {
        var cursor = RawCursor()
        while let raw = cursor.next(storage) {
            guard raw.info.proto == proto else { continue }
            let start = raw.range.lowerBound
            return (Multiaddr(unchecked: Array(storage[..<start])), Multiaddr(unchecked: Array(storage[start...])))
        }
        return (self, .empty)
    }

    /// The multihash of the peer that the address leads to: the last `p2p` component that stands behind every relay.
    ///
    /// In `/ip4/…/p2p/RELAY/p2p-circuit/p2p/TARGET` that is `TARGET`; an address that ends in `p2p-circuit` names nobody.
    public var peerIDBytes: [UInt8]? {
        var value: Range<Int>?
        var cursor = RawCursor()
        while let raw = cursor.next(storage) {
            if raw.info.proto == .p2p { value = raw.value }
            if raw.info.proto == .p2pCircuit { value = nil }
        }
        return value.map { Array(storage[$0]) }
    }

    /// True when the address goes through a relay.
    public var isRelayed: Bool { contains(.p2pCircuit) }

    private func matches(_ other: [UInt8], at start: Int) -> Bool {
        var index = 0
        while index < other.count {
            if storage[start + index] != other[index] { return false }
            index += 1
        }
        return true
    }
}
