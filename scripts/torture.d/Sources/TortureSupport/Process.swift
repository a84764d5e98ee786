internal import CTorture
internal import Glibc

/// What this process uses, from the kernel's point of view.
public struct ProcessUsage: Sendable, Hashable {
    /// Open descriptors.
    public var descriptors: Int
    /// Threads.
    public var threads: Int
    /// Resident memory in bytes.
    public var resident: Int
    /// Bytes of the heap that are allocated and not freed, exactly.
    public var heap: Int

    /// What it uses now. Memory that the allocator keeps for itself is given back first, so that it does not count.
    public static func now() -> ProcessUsage {
        malloc_trim(0)
        return ProcessUsage(
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            resident: residentBytes(),
            heap: torture_heap_in_use()
        )
    }

    /// Entries of a folder.
    private static func entries(_ path: String) -> Int {
        guard let folder = opendir(path) else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // ".", ".." and, for descriptors, the folder itself are there before and after alike.
        return count
    }

    private static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var text = [UInt8](repeating: 0, count: 256)
        let count = fread(&text, 1, text.count, file)
        let fields = String(decoding: text.prefix(count), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    /// Whether this machine has ::1.
    public static var hasIPv6Loopback: Bool {
        guard let file = fopen("/proc/net/if_inet6", "r") else { return false }
        defer { fclose(file) }
        var text = [UInt8](repeating: 0, count: 4096)
        let count = fread(&text, 1, text.count, file)
        let loopback = String(repeating: "0", count: 31) + "1"
        return String(decoding: text.prefix(count), as: UTF8.self).contains(loopback)
    }

    /// The most descriptors that this process may have. Returns whether the system took it.
    @discardableResult
    public static func limitDescriptors(to limit: Int) -> Bool {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else { return false }
        limits.rlim_cur = min(rlim_t(limit), limits.rlim_max)
        return setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0
    }
}
