import ArgumentParser
import ExampleSupport
import NIOCore

/// What a test harness asks of this process, read from the environment.
///
/// There are two forms: that of libp2p's test plans (`transport-interop`), in lower case, and that of its successor
/// (`unified-testing`), in upper case, which has a key of its own for each test.
struct Harness: Sendable {
    enum Form: Sendable, Hashable {
        case testPlans
        case unifiedTesting
    }

    var form: Form
    var isDialer: Bool
    /// Where the listener listens.
    var listenerIP: String
    /// Redis's key for the listener's address.
    var addressKey: String
    var redisHost: String
    var redisPort: Int
    /// How long everything may take.
    var timeout: Duration
    /// Whether to log a lot.
    var isDebug: Bool

    /// Reads the environment.
    ///
    /// - Throws: `ValidationError`, which names the variable.
    init(_ variable: (String) -> String?) throws {
        form = variable("TEST_KEY") != nil || variable("IS_DIALER") != nil ? .unifiedTesting : .testPlans
        let isNew = form == .unifiedTesting
        func name(_ new: String, _ old: String) -> String { isNew ? new : old }

        let dialer = name("IS_DIALER", "is_dialer")
        switch variable(dialer)?.lowercased() {
        case "true": isDialer = true
        case "false": isDialer = false
        case let other:
            throw ValidationError(
                "\(dialer) has to be 'true' or 'false', not '\(other ?? "")'; this program is started by a test "
                    + "harness and takes everything from the environment"
            )
        }
        let transport = name("TRANSPORT", "transport")
        guard variable(transport) == "quic-v1" else {
            throw ValidationError("\(transport) is '\(variable(transport) ?? "")', but there is only quic-v1 here")
        }
        listenerIP = variable(name("LISTENER_IP", "ip")) ?? "0.0.0.0"
        guard (try? SocketAddress(ipAddress: listenerIP, port: 0)) != nil else {
            throw ValidationError("\(name("LISTENER_IP", "ip")) is '\(listenerIP)', which is no IP address")
        }
        if isNew {
            guard let key = variable("TEST_KEY"), key.utf8.count <= 256 else {
                throw ValidationError("TEST_KEY is missing, or longer than 256 bytes")
            }
            addressKey = "\(key)_listener_multiaddr"
        } else {
            addressKey = "listenerAddr"
        }
        (redisHost, redisPort) = try Self.server(
            variable(name("REDIS_ADDR", "redis_addr")) ?? "redis:6379",
            of: name("REDIS_ADDR", "redis_addr")
        )
        let seconds = name("TEST_TIMEOUT_SECS", "test_timeout_seconds")
        guard let number = Int(variable(seconds) ?? "180"), (1...86_400).contains(number) else {
            throw ValidationError("\(seconds) has to be a number of seconds from 1 to 86400")
        }
        timeout = .seconds(number)
        isDebug = variable("DEBUG")?.lowercased() == "true"
    }

    /// The lines the harness reads, with times in milliseconds.
    func report(handshakePlusOneRTT: Duration, ping: Duration) -> String {
        let (whole, ping) = (fixed(handshakePlusOneRTT / .milliseconds(1), 3), fixed(ping / .milliseconds(1), 3))
        switch form {
        case .testPlans:
            // Three l's: so it is written there.
            return #"{"handshakePlusOneRTTMillis":\#(whole),"pingRTTMilllis":\#(ping)}"#
        case .unifiedTesting:
            return "latency:\n  handshake_plus_one_rtt: \(whole)\n  ping_rtt: \(ping)\n  unit: ms"
        }
    }

    /// Reads `HOST:PORT` or `HOST`; an IPv6 address stands in brackets.
    private static func server(_ text: String, of name: String) throws -> (String, Int) {
        var host = Substring(text)
        var port = 6379
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else {
                throw ValidationError("\(name) is '\(text)', which is not HOST:PORT")
            }
            host = text[..<colon]
            port = Int(number)
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw ValidationError("\(name) is '\(text)', which names no host") }
        return (String(host), port)
    }
}
