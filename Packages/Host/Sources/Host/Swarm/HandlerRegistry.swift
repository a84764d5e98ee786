public import NetStream

/// What a host does with an inbound stream. The stream lives as long as the handler runs: when it returns, the stream is
/// closed in an orderly way; when it throws, the stream is reset.
public typealias StreamHandler = @Sendable (NetStream) async throws -> Void

/// Which handler a protocol name belongs to. A part of locked state.
struct HandlerRegistry: Sendable {
    private struct Predicate: Sendable {
        var name: [UInt8]
        var matches: @Sendable (String) -> Bool
        var handler: StreamHandler
    }

    // Keys are bytes: strings would compare by canonical equivalence.
    private var exact: [[UInt8]: StreamHandler] = [:]
    private var predicates: [Predicate] = []

    mutating func set(_ name: [UInt8], handler: @escaping StreamHandler) {
        exact[name] = handler
    }

    mutating func set(
        _ name: [UInt8],
        matching matches: @escaping @Sendable (String) -> Bool,
        handler: @escaping StreamHandler
    ) {
        predicates.removeAll { $0.name == name }
        predicates.append(Predicate(name: name, matches: matches, handler: handler))
    }

    mutating func remove(_ name: [UInt8]) {
        exact[name] = nil
        predicates.removeAll { $0.name == name }
    }

    /// The handler for a name: of exactly that name, else the first whose predicate matches; and the name that the program
    /// gave it. What peers write is theirs to choose, so limits go by that one.
    func handler(for name: [UInt8]) -> (registered: [UInt8], handler: StreamHandler)? {
        if let handler = exact[name] { return (name, handler) }
        guard !predicates.isEmpty, let text = String(validating: name, as: UTF8.self) else { return nil }
        return predicates.first { $0.matches(text) }.map { ($0.name, $0.handler) }
    }

    /// The names to tell others, sorted.
    var names: [[UInt8]] {
        Set(exact.keys).union(predicates.map(\.name)).sorted { $0.lexicographicallyPrecedes($1) }
    }
}

/// Predicates for protocol names.
public enum ProtocolMatch {
    /// Matches names that end in a version with the same major number as `name` and a minor number not above its own,
    /// such as `/chat/1.0.0` and `/chat/1.2.5` for `/chat/1.2.0`. Nothing else matches when `name` ends in no version.
    public static func semanticVersion(of name: String) -> @Sendable (String) -> Bool {
        let own = parse(name)
        return { other in
            guard let own, let other = parse(other) else { return Array(name.utf8) == Array(other.utf8) }
            return own.base == other.base && own.major == other.major && other.minor <= own.minor
        }
    }

    private static func parse(_ name: String) -> (base: [UInt8], major: Int, minor: Int)? {
        guard let slash = name.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let version = name[name.utf8.index(after: slash)...].split(separator: ".", omittingEmptySubsequences: false)
        guard version.count == 3, let major = Int(version[0]), let minor = Int(version[1]), Int(version[2]) != nil,
            major >= 0, minor >= 0
        else { return nil }
        return (Array(name[..<slash].utf8), major, minor)
    }
}
