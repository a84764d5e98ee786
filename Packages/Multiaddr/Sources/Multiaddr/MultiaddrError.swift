/// What went wrong while an address, or one of the multiformats below it, was read or built.
///
/// Two errors are equal when their codes are equal: the message is for people, the code for programs.
public struct MultiaddrError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of a failure. More may be added, so a `switch` over it needs a `default`.
    public struct Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
        /// The stable name of the code.
        public let rawValue: String

        /// A code of the given name.
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The stable name of the code.
        public var description: String { rawValue }

        /// There is no component at all: the text is empty or `/`, or the bytes are empty.
        public static let empty = Code(rawValue: "empty")
        /// The text does not begin with `/`.
        public static let missingLeadingSlash = Code(rawValue: "missingLeadingSlash")
        /// The name or the code is not in the protocol table.
        public static let unknownProtocol = Code(rawValue: "unknownProtocol")
        /// The protocol needs a value and there is none.
        public static let missingValue = Code(rawValue: "missingValue")
        /// The value does not fit the protocol.
        public static let invalidValue = Code(rawValue: "invalidValue")
        /// The bytes end in the middle of something, or a length points beyond them.
        public static let truncated = Code(rawValue: "truncated")
        /// A bound of this package was exceeded; it is named in the message.
        public static let tooLong = Code(rawValue: "tooLong")
        /// A varint that is not the shortest encoding of its value.
        public static let varintNotMinimal = Code(rawValue: "varintNotMinimal")
        /// A varint of more than nine bytes.
        public static let varintTooLong = Code(rawValue: "varintTooLong")
        /// A character outside the alphabet of the encoding, wrong padding, or bits left over.
        public static let invalidEncoding = Code(rawValue: "invalidEncoding")
        /// A multibase prefix that this package does not know.
        public static let unknownMultibase = Code(rawValue: "unknownMultibase")
        /// A multihash whose length does not fit its digest or its function.
        public static let invalidMultihash = Code(rawValue: "invalidMultihash")
        /// A CID of another version than 1, or with bytes left over.
        public static let invalidCID = Code(rawValue: "invalidCID")
        /// A host, port or version from which no QUIC address can be made.
        public static let invalidQuicAddress = Code(rawValue: "invalidQuicAddress")
        /// A name did not resolve.
        public static let resolutionFailed = Code(rawValue: "resolutionFailed")
        /// Resolution was cut off: too deep, or too many results.
        public static let resolutionLimit = Code(rawValue: "resolutionLimit")
    }

    /// The kind of the failure.
    public let code: Code
    /// What is wrong and what to do about it.
    public let message: String
    /// The name of the protocol whose component failed, where one is known.
    public let component: String?
    /// Where it failed: the offset in bytes (of the UTF-8 text, or of the binary form), from zero.
    public let offset: Int?
    /// The error that led to this one.
    public let cause: (any Error)?

    /// An error with everything that is known about it.
    public init(
        _ code: Code,
        _ message: String,
        component: String? = nil,
        offset: Int? = nil,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.component = component
        self.offset = offset
        self.cause = cause
    }

    /// Code, place and message in one line.
    public var description: String {
        var text = code.rawValue
        if let component { text += " in /\(component)" }
        if let offset { text += " at offset \(offset)" }
        text += ": \(message)"
        if let cause { text += " (\(cause))" }
        return text
    }

    /// Equality of the codes.
    public static func == (left: MultiaddrError, right: MultiaddrError) -> Bool { left.code == right.code }

    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension MultiaddrError {
    /// The same error, placed in a component and moved by `base` bytes.
    func placed(in component: String, at base: Int) -> MultiaddrError {
        MultiaddrError(code, message, component: component, offset: base + (offset ?? 0), cause: cause)
    }

    @inline(never)
    static func invalidValue(_ info: ProtocolInfo, at offset: Int, _ message: String) -> MultiaddrError {
        MultiaddrError(.invalidValue, message, component: info.nameText, offset: offset)
    }
}
