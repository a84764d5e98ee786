import ExampleSupport
import Host
import NetStream

/// What the nodes of `scripts/interop` ask of each other beside the public protocols. Each stream begins with one line:
///
/// - `reset CODE`: the listener answers with `code N`, the code it is going to use, waits for a line, and resets the
///   stream with that code.
/// - `await-reset`: the listener answers with `ready` and reads until the dialer resets the stream.
/// - `seen`: the listener answers with how that stream ended, as soon as it has: `reset N` or something else.
/// - `identify`: the listener identifies the dialer, and answers with its protocol version, a tab, and its agent version.
enum ControlProtocol {
    static let name = "/interop-control/1.0.0"
    /// The longest line.
    static let limit = 1024

    /// Serves everything that a dialer of another implementation asks; none of them asks for `identify`.
    static func handler() -> StreamHandler {
        let (ends, recorder) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(8))
        return { stream in
            let words = try await stream.readText().split(separator: " ")
            switch (words.first, words.dropFirst().first.flatMap { UInt64($0) }) {
            case ("reset", let code?):
                try await stream.write(text: "code \(code)")
                _ = try await stream.readText()
                stream.reset(code: StreamErrorCode(rawValue: code))
            case ("await-reset", _):
                try await stream.write(text: "ready")
                recorder.yield(await howItEnds(stream))
            case ("seen", _):
                let first = try await withDeadline(.seconds(10)) { await ends.first { _ in true } }
                try await stream.write(text: first ?? "nothing")
                // py-libp2p may drop an answer that the end of the stream comes with.
                _ = try await withDeadline(.seconds(10)) { await howItEnds(stream) }
            default:
                stream.reset(code: .protocolViolation)
            }
        }
    }

    /// Reads to the end, and says which end it was.
    static func howItEnds(_ stream: NetStream) async -> String {
        do {
            while try await stream.read() != nil {}
            return "end of stream"
        } catch let error as NetStreamError where error.code == .reset && error.byPeer {
            return "reset \(error.streamCode ?? 0)"
        } catch {
            return "\(error)"
        }
    }
}

extension NetStream {
    /// Sends a line.
    func write(text: String) async throws { try await write(Array((text + "\n").utf8)) }

    /// The next line.
    func readText() async throws -> String {
        guard let line = try await readLine(limit: ControlProtocol.limit) else {
            throw ExampleError("the stream ended where a line was due")
        }
        return String(decoding: line, as: UTF8.self)
    }
}
