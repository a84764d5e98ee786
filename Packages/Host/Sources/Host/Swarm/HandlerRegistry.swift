public import NetStream

/// What a host does with an inbound stream. The stream lives as long as the handler runs: when it returns, the stream is
/// closed in an orderly way; when it throws, the stream is reset.
public typealias StreamHandler = @Sendable (NetStream) async throws -> Void

/// Which handler a protocol name belongs to. A part of locked state.
struct HandlerRegistry: Sendable {
    /// What a stream goes to.
    struct Match: Sendable {
        /// The name that the program gave. What peers write is theirs to choose, so limits go by this one.
        var registered: [UInt8]
        var handler: StreamHandler
        /// Whether it runs where the connection is driven.
        var runsOnTransport = false
    }

    private struct Exact: Sendable {
        var handler: StreamHandler
        var runsOnTransport: Bool
    }

    private struct Predicate: Sendable {
        var name: [UInt8]
        var matches: @Sendable (String) -> Bool
        var handler: StreamHandler
    }

    // Keys are bytes: strings would compare by canonical equivalence.
    private var exact: [[UInt8]: Exact] = [:]
    private var predicates: [Predicate] = []

    mutating func set(_ name: [UInt8], runsOnTransport: Bool = false, handler: @escaping StreamHandler) {
        exact[name] = Exact(handler: handler, runsOnTransport: runsOnTransport)
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

    /// Asks for handlers where the program's predicates may run: not on the transport's event loop, which they would hold up.
    func awayFromTransport<Result, Failure>(_ ask: () throws(Failure) -> Result) async throws(Failure) -> Result {
        guard !predicates.isEmpty else { return try ask() }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { () async throws(Failure) in try ask() }
    }

    /// The handler for a name: of exactly that name, else the first whose predicate matches.
    func handler(for name: [UInt8]) -> Match? {
        if let exact = exact[name] {
            return Match(registered: name, handler: exact.handler, runsOnTransport: exact.runsOnTransport)
        }
        guard !predicates.isEmpty, let text = String(validating: name, as: UTF8.self) else { return nil }
        return predicates.first { $0.matches(text) }.map { Match(registered: $0.name, handler: $0.handler) }
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
