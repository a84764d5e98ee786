#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Another process of this program with connections of its own to the same listener. An endpoint has two descriptors, and a
/// process not always twenty thousand.
///
/// It ends when its standard input does, and so at the latest with the process that started it.
final class Companion: Sendable {
    private let process: pid_t
    private let input: Int32
    private let output: Int32

    /// Starts `dial ADDRESS idle connections=N`.
    init(_ address: String, connections: Int, spreads: Bool) throws {
        let words = [
            "bench-node", "dial", address, "idle", "connections=\(connections)", "spread=\(spreads ? 1 : 0)", "block=1",
        ]
        let (read, write) = (try Self.makePipe(), try Self.makePipe())
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, read.out, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, write.in, STDOUT_FILENO)
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var child: pid_t = 0
        let status = posix_spawn(&child, "/proc/self/exe", &actions, nil, &arguments, environ)
        arguments.forEach { free($0) }
        posix_spawn_file_actions_destroy(&actions)
        close(read.out)
        close(write.in)
        (process, input, output) = (child, read.in, write.out)
        guard status == 0 else { throw Failed("no second process could be started (errno \(status))") }
    }

    deinit {
        close(input)
        close(output)
        _ = waitpid(process, nil, 0)
    }

    /// Waits until it has done the step before.
    func waitUntilReady() async throws {
        guard let line = await readLine(from: output), line.hasPrefix("ready ") else {
            throw Failed("the second process ended early")
        }
    }

    /// Lets it do the next step.
    func goOn() {
        var line = UInt8(ascii: "\n")
        _ = write(input, &line, 1)
    }

    /// Both ends are closed in whatever this process starts, but for the copies that `posix_spawn` makes.
    private static func makePipe() throws -> (out: Int32, in: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failed("no pipe (errno \(errno))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// How many connections this process has descriptors for, with some kept for everything else.
    static var room: Int {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else { return .max }
        limits.rlim_cur = limits.rlim_max
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else { return .max }
        return Int(clamping: limits.rlim_cur / 2) - 200
    }
}
