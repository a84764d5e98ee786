import QuicSimulation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Plays one of the scenarios whose instructions scripts/bench instructions counts; its name is the argument. Each does a
/// fixed amount of work that follows from a seed, GnuTLS's randomness included.
@main
enum QuicInstructions {
    private static let scenarios: [String: @Sendable (Pair) throws -> Void] = [
        "handshakes": { pair in
            for _ in 0..<20 {
                try pair.connect()
                try pair.disconnect()
            }
        },
        "download": { try carry($0, up: 0, down: 16 << 20) },
        "upload": { try carry($0, up: 16 << 20, down: 0) },
        "streams": { pair in
            try pair.connect()
            for _ in 0..<200 { try pair.request(1000, wanting: 1000) }
            try pair.run { pair.finished == 200 }
        },
        "pings": { pair in
            try pair.connect()
            let stream = try pair.request(0, wanting: Pair.echo, isEnd: false)
            for number in 1...1000 {
                pair.send(32, on: stream)
                try pair.run { pair.received == number * 32 }
            }
        },
    ]

    private static func carry(_ pair: Pair, up: Int, down: Int) throws {
        try pair.connect()
        try pair.request(up, wanting: down)
        try pair.run { pair.finished == 1 }
        guard pair.received == down else { throw Failed("\(pair.received) of \(down) bytes came") }
    }

    static func main() {
        do {
            let names = Array(CommandLine.arguments.dropFirst())
            guard let name = names.first, names.count == 1, let scenario = scenarios[name] else {
                throw Failed("one of \(scenarios.keys.sorted().joined(separator: ", "))")
            }
            var failure: (any Error)?
            _ = Simulation.run(seed: 1) { _ in
                do { try scenario(try Pair(seed: 1)) } catch { failure = error }
            }
            if let failure { throw failure }
        } catch {
            let line = Array("quic-instructions: \(error)\n".utf8)
            _ = write(STDERR_FILENO, line, line.count)
            exit(1)
        }
    }
}
