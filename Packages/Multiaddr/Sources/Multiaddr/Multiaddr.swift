/// A self-describing network address: a sequence of protocols, each with its value.
///
/// ```swift
/// let address = try Multiaddr(parsing: "/ip4/127.0.0.1/udp/4001/quic-v1")
/// address.quicEndpoint?.port   // 4001
/// ```
///
/// A value holds its canonical binary form and nothing else; text is made when it is asked for. Equality and hashing
/// are those of the bytes. See <https://github.com/multiformats/multiaddr>.
public struct Multiaddr: Sendable, Hashable {
    /// The longest binary form, in bytes.
    public static let maximumByteCount = 8192
    /// The longest text that is parsed, in bytes of UTF-8. Every address within the other bounds fits.
    public static let maximumTextLength = 32768
    /// The most components of one address.
    public static let maximumComponentCount = 64

    /// The canonical binary form, checked when the value was made.
    let storage: [UInt8]

    /// Trusts that the bytes are canonical.
    init(unchecked storage: [UInt8]) { self.storage = storage }

    /// Reads the text form. Slashes at the end are ignored; `/ipfs/ID` reads as `/p2p/ID`.
    ///
    /// - Throws: ``MultiaddrError`` naming the component and the offset in bytes of UTF-8; most often
    ///   `unknownProtocol`, `missingValue`, `invalidValue`, `tooLong`, or the code of the encoding that failed.
    public init(parsing text: String) throws(MultiaddrError) {
        storage = try TextParser.parse(text.utf8.span)
    }

    /// Reads the binary form.
    ///
    /// - Throws: ``MultiaddrError`` naming the component and the offset; `tooLong` above ``maximumByteCount``.
    public init(bytes: [UInt8]) throws(MultiaddrError) {
        try BinaryReader.validate(bytes.span)
        storage = bytes
    }

    /// Joins components.
    ///
    /// - Throws: ``MultiaddrError`` with `empty` or `tooLong`.
    public init(_ components: [Component]) throws(MultiaddrError) {
        guard !components.isEmpty else { throw MultiaddrError.noComponent }
        guard components.count <= Multiaddr.maximumComponentCount else { throw MultiaddrError.tooManyComponents(at: 0) }
        var storage: [UInt8] = []
        for (index, component) in components.enumerated() {
            guard component.proto != .unix || index == components.count - 1 else {
                throw MultiaddrError(
                    .invalidValue,
                    "a unix path takes the rest of the address; put it last",
                    component: "unix",
                    offset: storage.count
                )
            }
            component.append(to: &storage)
        }
        guard storage.count <= Multiaddr.maximumByteCount else { throw MultiaddrError.tooManyBytes(storage.count) }
        self.storage = storage
    }

    /// An address of one component.
    public init(_ component: Component) {
        var storage: [UInt8] = []
        component.append(to: &storage)
        self.storage = storage
    }

    /// The address without a component. It cannot be parsed; it is what is left when everything is taken away.
    public static let empty = Multiaddr(unchecked: [])

    /// True when there is no component.
    public var isEmpty: Bool { storage.isEmpty }

    /// The canonical binary form.
    public var bytes: [UInt8] { storage }

    /// The components, decoded one by one as they are asked for.
    public var components: ComponentSequence { ComponentSequence(storage: storage) }

    /// The protocols in their order.
    public var protocols: [MultiaddrProtocol] {
        var result: [MultiaddrProtocol] = []
        var cursor = RawCursor()
        while let raw = cursor.next(storage) { result.append(raw.info.proto) }
        return result
    }
}

extension Multiaddr: LosslessStringConvertible {
    /// Reads the text form; nil where ``init(parsing:)`` throws.
    ///
    /// Swift reads `Multiaddr("literal")` as a literal, which traps when it is wrong. Use ``init(parsing:)`` for
    /// anything that comes from outside.
    public init?(_ description: String) {
        guard let address = try? Multiaddr(parsing: description) else { return nil }
        self = address
    }

    /// The canonical text form; `/` for the empty address.
    public var description: String {
        guard !storage.isEmpty else { return "/" }
        var out: [UInt8] = []
        out.reserveCapacity(storage.count * 2 + 48)
        let span = storage.span
        var cursor = RawCursor()
        while let raw = cursor.next(storage) { ValuePrinter.appendComponent(span, raw, to: &out) }
        return String(decoding: out, as: UTF8.self)
    }
}

extension Multiaddr: Codable {
    /// Reads the text form from a single value.
    ///
    /// - Throws: `DecodingError.dataCorrupted` with the ``MultiaddrError`` below it.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            self = try Multiaddr(parsing: text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    /// Writes the text form as a single value.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Multiaddr: ExpressibleByStringLiteral {
    /// The address that a literal in the program's source spells. Only literals can be given, never text from outside.
    ///
    /// A literal that is not an address is a mistake of the programmer and stops the program with the reason.
    public init(stringLiteral literal: StaticString) {
        do {
            self = try Multiaddr(parsing: literal.description)
        } catch {
            preconditionFailure("\"\(literal)\" is not a multiaddr: \(error)")
        }
    }
}

extension MultiaddrError {
    static var noComponent: MultiaddrError {
        MultiaddrError(.empty, "an address needs at least one component, such as /ip4/127.0.0.1", offset: 0)
    }

    static func tooManyComponents(at offset: Int) -> MultiaddrError {
        MultiaddrError(
            .tooLong,
            "more than \(Multiaddr.maximumComponentCount) components in one address",
            offset: offset
        )
    }

    static func tooManyBytes(_ count: Int) -> MultiaddrError {
        MultiaddrError(
            .tooLong,
            "\(count) bytes; the binary form has at most \(Multiaddr.maximumByteCount)",
            offset: Multiaddr.maximumByteCount
        )
    }
}
