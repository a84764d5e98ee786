import NetStream
import NetStreamTesting
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Random operations of both sides, held against ``StreamModel``.
@Suite(.timeLimit(.minutes(20))) struct StreamModelTests {
    /// How many sequences, and with which seed: `NETSTREAM_SEQUENCES` and `NETSTREAM_SEED` change them.
    /// `scripts/test --long` runs a million in a release build.
    static let sequences = number("NETSTREAM_SEQUENCES") ?? 10_000
    static let seed = number("NETSTREAM_SEED") ?? UInt64.random(in: 0 ... .max)

    private static func number<Number: FixedWidthInteger>(_ name: String) -> Number? {
        getenv(name).flatMap { Number(String(cString: $0)) }
    }

    @Test func randomSequencesAgreeWithTheModel() async throws {
        print("NetStream: \(Self.sequences) random sequences, seed \(Self.seed) (NETSTREAM_SEED)")
        var reached: Set<StreamState> = []
        var operations = 0
        for sequence in 0..<Self.sequences {
            var play = Play(seed: Self.seed &+ UInt64(sequence))
            do {
                try await play.run()
            } catch {
                let log = play.log.map(\.description).joined(separator: ", ")
                Issue.record("seed \(Self.seed &+ UInt64(sequence)): \(error)\n\(log)")
                return
            }
            reached.insert(play.model.state)
            operations += play.log.count
        }
        print("NetStream: \(operations) operations, each as the model says")
        #expect(reached == Set(StreamState.allCases))
    }
}

/// One sequence.
struct Play {
    struct Disagreement: Error, CustomStringConvertible {
        var description: String
    }

    var model = StreamModel()
    /// What was done, for the one who has to understand a disagreement.
    private(set) var log: [StaticString] = []
    private var random: SeededGenerator
    private let script = ScriptedStream()
    private let releases = Counter()
    private let stream: NetStream
    private var nextByte: UInt8 = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        stream = NetStream(script, connection: ScriptedConnection(of: script)) { [releases] _ in releases.increment() }
    }

    mutating func run() async throws {
        for _ in 0..<Int.random(in: 4...16, using: &random) {
            if Int.random(in: 0..<5, using: &random) < 2 { peerActs() } else { try await userActs() }
            try checkState()
        }
    }

    // MARK: The two sides

    private mutating func peerActs() {
        switch Int.random(in: 0..<16, using: &random) {
        case 0...7:
            log.append("the peer sends")
            guard !model.isFinished, model.peerReset == nil else { return }
            let bytes = something()
            script.change { $0.arrived += bytes }
            if model.reads { model.arriving += bytes }
        case 8, 9:
            log.append("the peer finishes")
            guard model.peerReset == nil else { return }
            script.change { $0.isFinished = true }
            model.isFinished = true
        case 10:
            log.append("the peer resets")
            guard !model.isFinished else { return }
            script.change { $0.peerReset = 11 }
            model.peerReset = 11
        case 11:
            log.append("the peer stops reading")
            script.change { $0.peerStop = 12 }
            model.peerStop = 12
        case 12:
            log.append("the connection closes")
            guard Int.random(in: 0..<3, using: &random) == 0 else { return }
            script.change { $0.isConnectionClosed = true }
            model.isConnectionClosed = true
        case 13:
            log.append("the transport breaks")
            guard Int.random(in: 0..<3, using: &random) == 0 else { return }
            script.change { $0.isBroken = true }
            model.isBroken = true
        default: break
        }
    }

    private mutating func userActs() async throws {
        let stream = stream
        let count = Int.random(in: 0...50, using: &random)
        switch Int.random(in: 0..<33, using: &random) {
        case 0...4:
            log.append("establish")
            try await check(model.establish()) { try stream.establish() }
        case 5...8:
            log.append("read")
            try await checkReader({ $0.read(upTo: count + 1) }) { try await stream.read(upTo: count + 1) }
        case 9...11:
            log.append("readExactly")
            try await checkReader({ $0.readExactly(count) }) { try await stream.readExactly(count) }
        case 12, 13:
            log.append("readToEnd")
            try await checkReader({ $0.readToEnd(limit: count * 4) }) { try await stream.readToEnd(limit: count * 4) }
        case 14...17:
            log.append("write")
            interrupt()
            let bytes = [UInt8](repeating: 1, count: count)
            try await check(model.write(count)) { try await stream.write(bytes) }
        case 18, 19:
            log.append("closeWrite")
            interrupt()
            try await check(model.closeWrite()) { try await stream.closeWrite() }
        case 20, 21:
            log.append("closeRead")
            interrupt()
            try await check(model.closeRead()) { try await stream.closeRead() }
        case 22...24:
            log.append("readLine")
            try await checkReader({ $0.readLine(limit: count) }) { try await stream.readLine(limit: count) }
        case 25...27:
            log.append("readMessage")
            try await checkReader({ $0.readMessage(limit: count) }) { try await stream.readMessage(limit: count) }
        case 28...30:
            log.append("chunks")
            var chunks = stream.chunks(upTo: count + 1).makeAsyncIterator()
            try await checkReader({ $0.chunk(upTo: count + 1) }) { try await chunks.next() }
        case 31:
            log.append("close")
            interrupt()
            try await check(model.close()) { try await stream.close() }
        default:
            log.append("reset")
            guard Int.random(in: 0..<3, using: &random) == 0 else { return }
            model.reset(code: 13)
            stream.reset(code: StreamErrorCode(rawValue: 13))
        }
        // An interruption that nothing met is forgotten.
        model.interruption = nil
        script.change { $0.next = nil }
        if !model.reads || model.broken != nil { model.arriving = [] }
    }

    /// Now and then the next operation of the transport takes too long or is cancelled.
    @discardableResult
    private mutating func interrupt() -> Bool {
        guard Int.random(in: 0..<6, using: &random) == 0 else { return false }
        let isTimeout = Bool.random(using: &random)
        model.interruption = isTimeout ? .timeout : .cancelled
        script.change { $0.next = isTimeout ? .timeout : .cancelled }
        return true
    }

    /// Some bytes of the peer, which may be a line, a message, or a length that is none.
    private mutating func something() -> [UInt8] {
        let bytes = (0..<Int.random(in: 1...40, using: &random)).map { _ in fresh() }
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1: return bytes + [10]
        case 2, 3: return [UInt8(bytes.count)] + bytes
        // Two bytes say how long it is.
        case 4: return [200, 1] + bytes + [UInt8](repeating: 1, count: 200 - bytes.count)
        case 5: return [[0x80, 0], [UInt8](repeating: 0xff, count: 9)].randomElement(using: &random) ?? []
        default: return bytes
        }
    }

    private mutating func fresh() -> UInt8 {
        nextByte &+= 1
        return nextByte
    }

    // MARK: Checks

    /// A reader waits at the transport only for what the stream does not hold already. So it is its stream that tells whether
    /// an interruption was met; and one that was has changed nothing.
    private mutating func checkReader(
        _ expected: (inout StreamModel) -> StreamModel.Outcome,
        _ operation: () async throws -> [UInt8]?
    ) async throws {
        let isInterrupted = interrupt()
        let result: Result<[UInt8]??, any Error>
        do {
            result = .success(.some(try await operation()))
        } catch {
            result = .failure(error)
        }
        let isMet = isInterrupted && script.now.next == nil
        let outcome = (isMet ? model.interrupted() : nil) ?? expected(&model)
        try await check(outcome) { () -> [UInt8]?? in try result.get() }
    }

    private mutating func check(_ expected: StreamModel.Outcome, _ operation: () async throws -> Void) async throws {
        try await check(expected) { () -> [UInt8]?? in
            try await operation()
            return .none
        }
    }

    private mutating func check(_ expected: StreamModel.Outcome, _ operation: () async throws -> [UInt8]) async throws {
        try await check(expected) { () -> [UInt8]?? in .some(try await operation()) }
    }

    private mutating func check(_ expected: StreamModel.Outcome, _ operation: () async throws -> [UInt8]?) async throws
    {
        try await check(expected) { () -> [UInt8]?? in .some(try await operation()) }
    }

    private mutating func check(
        _ expected: StreamModel.Outcome,
        _ operation: () async throws -> [UInt8]??
    ) async throws {
        let result: [UInt8]??
        do {
            result = try await operation()
        } catch let error as NetStreamError {
            guard expected == .error(error.code) else { throw disagreement(expected, "\(error)") }
            if case .reset(let code, let byPeer) = model.broken, error.code == .reset {
                guard error.streamCode == code, error.byPeer == byPeer else { throw disagreement(expected, "\(error)") }
            }
            return
        }
        switch (expected, result) {
        case (.done, .none), (.end, .some(.none)): return
        case (.exactly(let bytes), .some(.some(let found))) where bytes == found: return
        case (.some(let most), .some(.some(let found)))
        where (1...most).contains(found.count) && model.arriving.starts(with: found):
            model.arriving.removeFirst(found.count)
        default: throw disagreement(expected, String(describing: result))
        }
    }

    private func checkState() throws {
        let resets = script.now.resets.count
        guard stream.state == model.state, stream.isOperational == model.state.isOperational else {
            throw Disagreement(description: "the state is \(stream.state), not \(model.state)")
        }
        guard releases.value == (model.isOver ? 1 : 0) else {
            throw Disagreement(description: "released \(releases.value) times in \(model.state)")
        }
        guard resets == (model.broken == nil ? 0 : 1) else {
            throw Disagreement(description: "the transport's stream was reset \(resets) times in \(model.state)")
        }
    }

    private func disagreement(_ expected: StreamModel.Outcome, _ found: String) -> Disagreement {
        Disagreement(description: "expected \(expected), found \(found), in \(model.state)")
    }
}
