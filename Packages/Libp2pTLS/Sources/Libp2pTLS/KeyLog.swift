internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A file of TLS secrets in NSS format (`SSLKEYLOGFILE`), which Wireshark uses to decrypt a recording.
///
/// Lines of many connections, threads and even processes do not mix: the file is opened for appending and each line is
/// one `write`.
final class KeyLog: Sendable {
    private let descriptor: Int32
    /// Held while a line is written, for the rare `write` that takes only a part of it.
    private let writing = Mutex<Void>(())

    /// Opens the file, and creates it if need be. A regular file is made readable to its owner alone (mode 0600),
    /// because it opens the traffic to whoever reads it.
    ///
    /// Throws ``TLSError/Code/keyLog``.
    init(path: String) throws(TLSError) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("opened", path, errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 else {
            return
        }
        guard fchmod(descriptor, 0o600) == 0 else {
            let reason = errno
            close(descriptor)
            throw Self.failure("made private (mode 0600)", path, reason)
        }
    }

    deinit { close(descriptor) }

    /// Appends one line. A full disk loses the line: a debugging aid does not end a connection.
    func append(label: String, clientRandom: [UInt8], secret: [UInt8]) {
        var line = Array(label.utf8)
        line.append(UInt8(ascii: " "))
        Self.appendHexadecimal(clientRandom, to: &line)
        line.append(UInt8(ascii: " "))
        Self.appendHexadecimal(secret, to: &line)
        line.append(UInt8(ascii: "\n"))
        writing.withLock { _ in
            var written = 0
            while written < line.count {
                let result = line.withUnsafeBytes { bytes in
                    write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                }
                if result < 0 && errno == EINTR { continue }
                if result <= 0 { return }
                written += result
            }
        }
    }

    private static func appendHexadecimal(_ bytes: [UInt8], to line: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        for byte in bytes {
            line.append(digits[Int(byte >> 4)])
            line.append(digits[Int(byte & 15)])
        }
    }

    private static func failure(_ verb: String, _ path: String, _ number: Int32) -> TLSError {
        TLSError(.keyLog, "The key log file \(path) cannot be \(verb): \(String(cString: strerror(number))).")
    }
}
