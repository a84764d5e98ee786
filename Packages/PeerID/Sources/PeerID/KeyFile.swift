/// Private keys in files: the binary `PrivateKey` protobuf and nothing else, as go-libp2p's tools write it.
///
/// A key file is only ever replaced as a whole: a crash leaves the old file or the new one. The calls block on the disk
/// for some milliseconds; a program makes them once, when it starts.
public enum KeyFile {
    /// Largest file that is read, in bytes. An RSA key of 8192 bits takes less than 5 KiB.
    public static let maximumSize = KeyProtobuf.maximumSize

    /// Something about a key file that works but should not stay so.
    public struct Warning: Sendable, Hashable, CustomStringConvertible {
        /// The file.
        public let path: String
        /// The file's permission bits, for instance 0o644.
        public let permissions: UInt32

        /// What is wrong and how to put it right, in one line.
        public var description: String {
            let bits = String(permissions, radix: 8)
            return "key file \(path) can be used by other users (mode \(bits)); run: chmod 600 \(path)"
        }
    }

    /// Reads the key in a file.
    ///
    /// - Parameters:
    ///   - path: The file. Symbolic links are followed.
    ///   - onWarning: Told, before the call returns, when the file's mode lets the group or others at the key.
    /// - Throws: ``PeerIDError`` with code `fileNotFound`, `fileAccess`, or `damagedFile` when there is no key inside.
    ///   The file is never changed.
    public static func load(
        path: String,
        onWarning: (Warning) -> Void = { _ in }
    ) throws(PeerIDError) -> PrivateKey {
        let file = try File.openForReading(path)
        let status = try file.status(path)
        guard status.isRegular else { throw File.error(.fileAccess, "\(path) is not a regular file") }
        guard 1...maximumSize ~= status.size else {
            let problem = status.size == 0 ? "is empty" : "is \(status.size) bytes long, too long for a key"
            throw damaged(path, problem)
        }
        if status.permissions & 0o077 != 0 { onWarning(Warning(path: path, permissions: status.permissions)) }

        let content = try SecretBytes(count: status.size) { buffer throws(PeerIDError) in
            guard try file.read(into: buffer, path) == buffer.count else {
                throw damaged(path, "became shorter while it was read")
            }
        }
        return try content.withUnsafeBytes { bytes throws(PeerIDError) in
            do throws(PeerIDError) {
                return try PrivateKey(protobuf: bytes)
            } catch {
                let isText = bytes.allSatisfy { 0x20...0x7e ~= $0 || 0x09...0x0d ~= $0 }
                throw damaged(path, isText ? "holds text where binary belongs (PEM or base64?)" : "holds no key", error)
            }
        }
    }

    /// Writes a key to a file with mode 0600, in place of what was there.
    ///
    /// The key goes to a new file beside it first, which is synchronised with the disk and then renamed. The directory
    /// must exist. Where `path` is a symbolic link, the file it leads to is replaced.
    /// - Throws: ``PeerIDError`` with code `fileAccess`; what was there is then still there.
    public static func save(_ key: PrivateKey, path: String) throws(PeerIDError) {
        _ = try write(key, path: File.resolvingLinks(path), replacing: true)
    }

    /// Reads the key in a file, or makes one and writes it when there is no file.
    ///
    /// When several processes do this at once, one of their keys wins and all of them return it. A file that is there
    /// but damaged is an error, never replaced: it may be the only copy of an identity.
    /// - Parameters:
    ///   - path: The file. Its directory must exist.
    ///   - onWarning: As for ``load(path:onWarning:)``.
    ///   - makeKey: Makes the new key; Ed25519 unless given.
    /// - Throws: ``PeerIDError`` as ``load(path:onWarning:)``, ``save(_:path:)`` and `makeKey` do.
    public static func loadOrCreate(
        path: String,
        onWarning: (Warning) -> Void = { _ in },
        makeKey: () throws(PeerIDError) -> PrivateKey = { () throws(PeerIDError) in .ed25519() }
    ) throws(PeerIDError) -> PrivateKey {
        do throws(PeerIDError) {
            return try load(path: path, onWarning: onWarning)
        } catch {
            guard error.code == .fileNotFound else { throw error }
        }
        let key = try makeKey()
        if try write(key, path: path, replacing: false) { return key }
        return try load(path: path, onWarning: onWarning)
    }

    /// Returns false when the file is there and may not be replaced.
    private static func write(_ key: PrivateKey, path: String, replacing: Bool) throws(PeerIDError) -> Bool {
        let temporary = path + ".tmp-" + randomSuffix()
        do throws(PeerIDError) {
            let file = try File.createExclusively(temporary)
            try key.withProtobuf { bytes throws(PeerIDError) in try file.writeAll(bytes, temporary) }
            try file.synchronize(temporary)
        } catch {
            // A file of that name that was not made here cannot be: the name is random, the creation exclusive.
            File.remove(temporary)
            throw error
        }
        defer { File.remove(temporary) }
        guard try File.publish(temporary, as: path, replacing: replacing) else { return false }
        File.synchronizeDirectory(of: path)
        return true
    }

    private static func randomSuffix() -> String {
        var number: UInt64 = 0
        withUnsafeMutableBytes(of: &number) { Sodium.fillRandom($0) }
        return String(number, radix: 16)
    }

    private static func damaged(_ path: String, _ problem: String, _ cause: PeerIDError? = nil) -> PeerIDError {
        PeerIDError(
            code: .damagedFile,
            message: "key file \(path) \(problem); it was left as it is: restore it from a copy, or move it away",
            cause: cause
        )
    }
}
