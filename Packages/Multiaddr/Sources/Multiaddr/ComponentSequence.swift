extension Multiaddr {
    /// The components of an address, decoded lazily.
    public struct ComponentSequence: Sequence, Sendable {
        let storage: [UInt8]

        /// An iterator from the first component.
        public func makeIterator() -> Iterator { Iterator(storage: storage, cursor: RawCursor()) }

        /// How many there are. Walks the address.
        public var count: Int {
            var count = 0
            var cursor = RawCursor()
            while cursor.next(storage) != nil { count += 1 }
            return count
        }

        /// The first component.
        public var first: Component? {
            var iterator = makeIterator()
            return iterator.next()
        }

        /// The last component. Walks the address.
        public var last: Component? {
            var last: RawComponent?
            var cursor = RawCursor()
            while let raw = cursor.next(storage) { last = raw }
            return last.map { Component(raw: $0, of: storage) }
        }

        /// Decodes one component after the other.
        public struct Iterator: IteratorProtocol {
            let storage: [UInt8]
            var cursor: RawCursor

            /// The next component, or nil at the end.
            public mutating func next() -> Component? {
                cursor.next(storage).map { Component(raw: $0, of: storage) }
            }
        }
    }
}

/// Where a component stands in the binary form.
struct RawComponent {
    let info: ProtocolInfo
    /// The whole component, code included.
    let range: Range<Int>
    /// The value without its length.
    let value: Range<Int>
}

/// Walks bytes that have been validated. Should they not be, it stops.
struct RawCursor {
    private(set) var offset = 0

    mutating func next(_ storage: [UInt8]) -> RawComponent? {
        guard offset < storage.count else { return nil }
        guard let raw = try? BinaryReader.readFrame(storage.span, at: offset) else { return nil }
        offset = raw.range.upperBound
        return raw
    }
}
