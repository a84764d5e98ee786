import NIOPosix
import QuicCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Writes the qlog of one connection to a file of its own, without ever making the event loop wait.
///
/// What the connection logs is gathered here and written by a thread of SwiftNIO's pool for blocking calls. When the disk is
/// full, or cannot keep up with ``pendingLimit`` bytes, the log ends and the connection goes on.
final class QlogFile: Sendable {
    private struct State {
        var pending: [UInt8] = []
        var isWriting = false
        var isOver = false
    }

    private static let pendingLimit = 4 << 20

    /// Writes some of the bytes, as `write(2)` does.
    typealias Write = @Sendable (Int32, UnsafeRawBufferPointer) -> Int

    private let path: String
    private let writeSome: Write
    private let descriptor = Mutex<Int32>(-1)
    private let state = Mutex(State())

    /// - Parameters:
    ///   - directory: Where to put the file; see ``QlogDirectory``.
    ///   - original: The client's first destination connection ID, which both sides name their logs by.
    ///   - writeSome: What writes to the file; for the tests.
    init(
        directory: String,
        original: ConnectionID,
        isServer: Bool,
        writeSome: @escaping Write = { write($0, $1.baseAddress, $1.count) }
    ) {
        self.writeSome = writeSome
        path = "\(directory)/\(original)_\(isServer ? "server" : "client").sqlog"
    }

    /// Whether nothing more is written: the connection is over, or the log failed.
    var isOver: Bool { state.withLock { $0.isOver } }

    /// The bytes that wait to be written.
    var pendingBytes: Int { state.withLock { $0.pending.count } }

    /// Whether nothing waits and nobody writes.
    var isIdle: Bool { state.withLock { !$0.isWriting && $0.pending.isEmpty } }

    /// The sink to hand to the protocol core.
    var sink: QlogSink {
        { bytes, isLast in self.append(bytes, isLast: isLast) }
    }

    private func append(_ bytes: UnsafeRawBufferPointer, isLast: Bool) {
        let starts = state.withLock { state -> Bool in
            guard !state.isOver else { return false }
            guard state.pending.count + bytes.count <= Self.pendingLimit else {
                state.isOver = true
                state.pending = []
                return false
            }
            state.pending.append(contentsOf: bytes)
            if isLast { state.isOver = true }
            guard !state.isWriting else { return false }
            state.isWriting = true
            return true
        }
        if starts { NIOThreadPool.singleton.submit { _ in self.drain() } }
    }

    /// Writes until nothing is left.
    private func drain() {
        while true {
            let (bytes, isOver) = state.withLock { state -> ([UInt8], Bool) in
                defer { state.pending = [] }
                if state.pending.isEmpty { state.isWriting = false }
                return (state.pending, state.isOver)
            }
            if bytes.isEmpty {
                if isOver { closeFile() }
                return
            }
            if !writeAll(bytes) {
                state.withLock { state in
                    state.isOver = true
                    // What came meanwhile would stand behind a record that is cut short.
                    state.pending = []
                }
            }
        }
    }

    private func writeAll(_ bytes: [UInt8]) -> Bool {
        descriptor.withLock { descriptor in
            if descriptor < 0 { descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600) }
            guard descriptor >= 0 else { return false }
            return bytes.withUnsafeBytes { bytes in
                var offset = 0
                while offset < bytes.count {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                    let count = writeSome(descriptor, rest)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { return false }
                    offset += count
                }
                return true
            }
        }
    }

    private func closeFile() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    deinit { closeFile() }
}
