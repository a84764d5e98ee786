import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One end of a measurement of scripts/bench; see the README there for the command line that all peers share.
///
///     bench-node listen [raw=1] [connections=N] [busyPoll=MICROSECONDS]
///     bench-node dial ADDRESS CASE [NAME=VALUE …]
///     bench-node protection
///
/// The last prints what protects packets on this machine: gnutls or ipsecMB.
@main
enum BenchNode {
    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        do {
            try await run()
            exit(0)
        } catch {
            complain("\(error)")
            exit(1)
        }
    }

    private static func run() async throws {
        var words = CommandLine.arguments.dropFirst()
        switch words.popFirst() {
        case "listen":
            try await listen(Options(words))
        case "dial":
            guard let address = words.popFirst(), let name = words.popFirst() else {
                throw Failed("dial takes an address and a case")
            }
            try await dial(address, name, Options(words))
        case "protection":
            say("\(QuicConfiguration.PacketProtection.automatic.resolved)")
        default:
            throw Failed("listen, dial or protection")
        }
    }

    private static func dial(_ address: String, _ name: String, _ options: Options) async throws {
        let figures =
            switch name {
            case "streams": try await streams(address, options)
            case "request": try await request(address, options)
            case "open": try await open(address, options)
            case "handshake": try await handshakes(address, options)
            case "connect": try await connects(address, options)
            case "ping": try await ping(address, options)
            case "idle": try await idle(address, options)
            default: throw Failed("there is no case '\(name)'")
            }
        say(figures)
    }
}

/// What went wrong, for people.
struct Failed: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// `NAME=VALUE` arguments.
struct Options: Sendable {
    private var values: [String: String] = [:]

    init(_ words: some Sequence<String>) throws {
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw Failed("'\(word)' is not NAME=VALUE") }
            values[parts[0]] = parts[1]
        }
    }

    func text(_ name: String, _ otherwise: String) -> String { values[name] ?? otherwise }

    func integer(_ name: String, _ otherwise: Int) throws -> Int {
        guard let text = values[name] else { return otherwise }
        guard let number = Int(text) else { throw Failed("\(name)=\(text) is no number") }
        return number
    }

    func number(_ name: String, _ otherwise: Double) throws -> Double {
        guard let text = values[name] else { return otherwise }
        guard let number = Double(text) else { throw Failed("\(name)=\(text) is no number") }
        return number
    }

    func integers(_ name: String, _ otherwise: [Int]) throws -> [Int] {
        guard let text = values[name] else { return otherwise }
        return try text.split(separator: ",").map {
            guard let number = Int($0) else { throw Failed("\(name)=\(text) is no list of numbers") }
            return number
        }
    }
}
