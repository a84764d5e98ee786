public import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The examples' logger: to standard error, at the level `LIBP2P_LOG_LEVEL` names (trace, debug,
/// info, notice, warning, error, critical; `fallback` when it is not set).
public func makeLogger(_ label: String, fallback: Logger.Level = .warning) -> Logger {
    var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = fallback
    if let name = environment("LIBP2P_LOG_LEVEL") {
        if let level = Logger.Level(rawValue: name.lowercased()) {
            logger.logLevel = level
        } else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            complain("LIBP2P_LOG_LEVEL=\(name) is not a level, using \(fallback); the levels are \(known)")
        }
    }
    return logger
}

/// The value of an environment variable; nil when it is unset or empty.
public func environment(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
}
