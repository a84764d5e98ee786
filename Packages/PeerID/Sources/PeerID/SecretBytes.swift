import CSodium

/// Owner of one piece of memory for secret bytes, from libsodium's guarded allocator: locked against swapping as
/// far as the process's limit allows, left out of core dumps, fenced by guard pages, wiped when freed.
///
/// Sendable: the memory is written only inside `init`, before the object can be shared, and is then made read-only by
/// `mprotect`, so a later write would stop the process instead of racing. The pointer and the count are constants and
/// the memory is freed in `deinit`, when no reference is left.
final class SecretBytes: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    let count: Int

    /// Allocates `count` bytes (at least 1) and fills them.
    ///
    /// Running out of memory stops the process, as it does for Swift's own allocations.
    init<E: Error>(count: Int, fill: (UnsafeMutableRawBufferPointer) throws(E) -> Void) throws(E) {
        precondition(count > 0, "a secret has at least one byte")
        Sodium.requireReady()
        guard let memory = sodium_malloc(count) else { preconditionFailure("out of memory for a secret") }
        base = memory
        self.count = count
        try fill(UnsafeMutableRawBufferPointer(start: memory, count: count))
        sodium_mprotect_readonly(memory)
    }

    /// Copies bytes that are already in memory; the caller wipes the original. At least one byte.
    convenience init(copying bytes: RawSpan) {
        self.init(count: bytes.byteCount) { target in
            bytes.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    /// Lends the bytes. The pointer may not leave `body`.
    func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        // `self` is kept alive by the call: deinit cannot run before `body` returned.
        try withExtendedLifetime(self) { () throws(E) -> R in
            try body(UnsafeRawBufferPointer(start: base, count: count))
        }
    }

    /// Compares in a time that depends on the lengths only.
    func isEqual(to other: SecretBytes) -> Bool {
        guard count == other.count else { return false }
        return sodium_memcmp(base, other.base, count) == 0
    }

    deinit {
        // sodium_free makes the memory writable again, wipes it and unlocks it.
        sodium_free(base)
    }
}
