internal import Host
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Keeps a second peer store from a file: an exclusive `flock` on a file beside it, which names the process that has it.
///
/// Not on the file itself: SQLite has locks of its own there, which the system drops when the process closes any descriptor
/// of that file. The file beside it is never removed, as two processes could then hold locks on two files of one name.
final class FileLock: Sendable {
    private let descriptor: Mutex<Int32?>

    /// - Throws: `HostError` of code `storageFailed`, at once, when somebody has the lock.
    init(of path: String) throws {
        let name = Self.resolved(path) + "-lock"
        // Not for children: a lock lives as long as one of its descriptors.
        let descriptor = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw HostError(
                .storageFailed,
                "the peer store \(path) failed: \(name) cannot be opened (\(Self.reason(errno))); does its folder exist, "
                    + "and may this user write there?"
            )
        }
        self.descriptor = Mutex(descriptor)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            let holder = Self.content(of: descriptor)
            release()
            guard number == EWOULDBLOCK else {
                throw HostError(
                    .storageFailed,
                    "the peer store \(path) failed: \(name) cannot be locked (\(Self.reason(number))); name a file on a "
                        + "disk of this machine"
                )
            }
            let who =
                holder == "\(getpid())" ? "this process" : holder.isEmpty ? "another process" : "process \(holder)"
            throw HostError(
                .storageFailed,
                "the peer store \(path) is in use by \(who): end the other one, or give each a file of its own"
            )
        }
        // Only for people: whoever cannot read it is refused all the same.
        let bytes = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, bytes, bytes.count, 0) }
    }

    /// Lets others have it. Does nothing the second time.
    func release() {
        let open = descriptor.withLock { descriptor in
            defer { descriptor = nil }
            return descriptor
        }
        guard let open else { return }
        // Closing is not enough while a child that was forked has not come to `exec` yet: it has the descriptor too.
        _ = flock(open, LOCK_UN)
        _ = close(open)
    }

    deinit { release() }

    /// The file that the path leads to, which is one lock for everybody however they name it.
    private static func resolved(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return path }
        defer { free(found) }
        return String(cString: found)
    }

    /// The process that has the lock, as it has written there.
    private static func content(of descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)).prefix { (48...57).contains($0) }, as: UTF8.self)
    }

    private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}
