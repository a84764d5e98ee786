import CSoakProcess
import Dispatch
import Multiaddr
import NetStreamTesting
import PeerID
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A host in a process of its own. Killed by SIGKILL it closes nothing: its peers hear no more of it.
final class OutsiderProcess: SoakOutsider {
    private struct Child {
        var process: pid_t
        var input: Int32
        var output: Int32
        var address: Multiaddr
    }

    private struct State {
        var child: Child?
        var isBusy = false
    }

    /// Its identity stays the same.
    private let seed: String
    private let state = Mutex(State())

    /// Makes one from random bytes, and starts it.
    init(_ random: inout SeededGenerator) async throws {
        seed = (0..<4).map { _ in
            let digits = String(random.next(), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
        try await start()
    }

    var address: Multiaddr? { state.withLock { $0.child?.address } }

    func killAndStart(dialing host: Multiaddr?) async throws -> Bool {
        let isFree = state.withLock { state in
            defer { state.isBusy = true }
            return !state.isBusy
        }
        guard isFree else { return false }
        defer { state.withLock { $0.isBusy = false } }
        await kill()
        try await start()
        guard let host else { return true }
        let line = Array("\(host)\n".utf8)
        if let input = state.withLock({ $0.child?.input }) { _ = write(input, line, line.count) }
        return true
    }

    /// Kills it, if it is there.
    func kill() async {
        let taken = state.withLock { state in
            defer { state.child = nil }
            return state.child
        }
        guard let taken else { return }
        await onAnotherThread {
            soak_kill(taken.process)
            _ = close(taken.input)
            _ = close(taken.output)
        }
    }

    private func start() async throws {
        let argument = "--outsider=\(seed)"
        let child: Child? = await onAnotherThread {
            var (input, output): (Int32, Int32) = (-1, -1)
            let process = soak_start_again(argument, &input, &output)
            guard process > 0 else { return nil }
            var line = [CChar](repeating: 0, count: 512)
            let count = soak_read_line(output, &line, line.count, 30_000)
            let text = String(decoding: line.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard count > 0, let address = try? Multiaddr(parsing: text) else {
                soak_kill(process)
                _ = close(input)
                _ = close(output)
                return nil
            }
            return Child(process: process, input: input, output: output, address: address)
        }
        guard let child else { throw SoakFailure("a process with a host in it does not start") }
        state.withLock { $0.child = child }
    }
}

/// Runs something that blocks, where no task waits for the thread.
func onAnotherThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: body()) }
    }
}
