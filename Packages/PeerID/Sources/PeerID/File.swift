#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Owner of one file descriptor, closed when the value dies; with it, the few file calls that key files need.
struct File: ~Copyable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    // MARK: Opening

    static func openForReading(_ path: String) throws(PeerIDError) -> File {
        try checkPath(path)
        // Without O_NONBLOCK, opening a named pipe would wait for somebody to write to it.
        let descriptor = retrying { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
        guard descriptor >= 0 else {
            let code: PeerIDError.Code = errno == ENOENT ? .fileNotFound : .fileAccess
            throw systemError(code, "cannot open key file \(path)")
        }
        return File(descriptor)
    }

    /// Makes a new file that only its owner can use, whatever the umask says.
    static func createExclusively(_ path: String) throws(PeerIDError) -> File {
        try checkPath(path)
        let descriptor = retrying { open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        guard descriptor >= 0 else { throw systemError(.fileAccess, "cannot create \(path)") }
        let file = File(descriptor)
        guard fchmod(descriptor, 0o600) == 0 else { throw systemError(.fileAccess, "cannot set the mode of \(path)") }
        return file
    }

    // MARK: Using

    /// What is known about an open file.
    struct Status {
        var isRegular: Bool
        /// In bytes.
        var size: Int
        /// The lower nine bits of the mode.
        var permissions: UInt32
    }

    func status(_ path: String) throws(PeerIDError) -> Status {
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw File.systemError(.fileAccess, "cannot examine \(path)") }
        return Status(
            isRegular: info.st_mode & S_IFMT == S_IFREG,
            size: Int(info.st_size),
            permissions: UInt32(info.st_mode & 0o777)
        )
    }

    /// Reads until the buffer is full or the file ends; returns the number of bytes.
    func read(into buffer: UnsafeMutableRawBufferPointer, _ path: String) throws(PeerIDError) -> Int {
        var offset = 0
        while offset < buffer.count {
            let count = File.retrying {
                pread(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset, off_t(offset))
            }
            guard count >= 0 else { throw File.systemError(.fileAccess, "cannot read \(path)") }
            if count == 0 { break }
            offset += count
        }
        return offset
    }

    func writeAll(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(PeerIDError) {
        var offset = 0
        while offset < bytes.count {
            let count = File.retrying {
                write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
            }
            guard count > 0 else { throw File.systemError(.fileAccess, "cannot write \(path)") }
            offset += count
        }
    }

    func synchronize(_ path: String) throws(PeerIDError) {
        guard File.retrying({ fsync(descriptor) }) == 0 else {
            throw File.systemError(.fileAccess, "cannot bring \(path) to the disk")
        }
    }

    // MARK: Names

    /// Gives a finished file its name in one step. Without `replacing`, false when the name is taken.
    static func publish(_ temporary: String, as path: String, replacing: Bool) throws(PeerIDError) -> Bool {
        try checkPath(path)
        if !replacing {
            // Unlike rename, link never takes a name from another file.
            if link(temporary, path) == 0 { return true }
            if errno == EEXIST { return false }
            // A file system without hard links is left: there two creators at once may overwrite one another.
            guard errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS else {
                throw systemError(.fileAccess, "cannot create \(path)")
            }
        }
        guard rename(temporary, path) == 0 else { throw systemError(.fileAccess, "cannot replace \(path)") }
        return true
    }

    /// Removes a name if it is still there.
    static func remove(_ path: String) { _ = unlink(path) }

    /// Makes a rename durable, as far as the file system offers it: the file itself is already on the disk.
    static func synchronizeDirectory(of path: String) {
        let utf8 = path.utf8
        let directory = utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[...$0]) } ?? "."
        let descriptor = retrying { open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { return }
        let file = File(descriptor)
        _ = retrying { fsync(file.descriptor) }
    }

    /// The file behind symbolic links; the path itself when there is nothing yet.
    static func resolvingLinks(_ path: String) throws(PeerIDError) -> String {
        try checkPath(path)
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    // MARK: Errors

    static func error(_ code: PeerIDError.Code, _ message: String) -> PeerIDError {
        PeerIDError(code: code, message: message)
    }

    /// An error with the reason in `errno`.
    private static func systemError(_ code: PeerIDError.Code, _ what: String) -> PeerIDError {
        let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
        return PeerIDError(code: code, message: "\(what): \(reason)")
    }

    /// C would cut a path at its first NUL and open another file.
    private static func checkPath(_ path: String) throws(PeerIDError) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw PeerIDError(code: .fileAccess, message: "the path of a key file may not be empty or contain a NUL")
        }
    }

    /// Repeats a call that a signal interrupted.
    private static func retrying<Result: SignedInteger>(_ call: () -> Result) -> Result {
        while true {
            let result = call()
            if result != -1 || errno != EINTR { return result }
        }
    }
}
