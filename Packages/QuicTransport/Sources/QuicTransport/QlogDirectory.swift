internal import Logging
internal import NIOCore
internal import NIOPosix
internal import QuicCore
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Where the qlog files of a transport go. The directory is made when it is missing; when that fails, one line in the log
/// says so and no files are written.
final class QlogDirectory: Sendable {
    private let path: String
    private let logger: Logger
    /// Whether files can be written there; `nil` before that was tried.
    private let isUsable = Mutex<Bool?>(nil)

    init(path: String, logger: Logger) {
        self.path = path
        self.logger = logger
    }

    /// Makes sure that the directory is there, once, on a thread that may block.
    func prepare(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { self.prepare() }
    }

    private func prepare() {
        let result = isUsable.withLock { isUsable -> Int32? in
            guard isUsable == nil else { return nil }
            let code = Self.make(path)
            isUsable = code == 0
            return code
        }
        guard let error = result else { return }
        guard error != 0 else {
            logger.info("writing qlog files", metadata: [LogKey.directory: "\(path)"])
            return
        }
        logger.error(
            "no qlog files: the directory cannot be made or written to",
            metadata: [LogKey.directory: "\(path)", LogKey.error: "\(String(cString: strerror(error)))"]
        )
    }

    /// The sink for a connection's log; `nil` when the directory is of no use.
    func sink(original: ConnectionID, isServer: Bool) -> QlogSink? {
        guard isUsable.withLock({ $0 }) == true else { return nil }
        return QlogFile(directory: path, original: original, isServer: isServer).sink
    }

    /// Makes a directory and those above it. Returns 0, or the errno that says why files cannot be written there.
    private static func make(_ path: String) -> Int32 {
        var partial = path.hasPrefix("/") ? "/" : ""
        for component in path.split(separator: "/") {
            partial += component
            // One that is there already may be on a file system that can only be read.
            if access(partial, F_OK) != 0, mkdir(partial, 0o700) != 0, errno != EEXIST { return errno }
            partial += "/"
        }
        return access(partial, W_OK | X_OK) == 0 ? 0 : errno
    }
}
