import CSoakProcess

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the process takes of the system, as Linux tells it.
struct Process {
    var descriptors: Int
    /// What is allocated and not freed. Exact, where resident memory also has what the allocator keeps for later.
    var heapKiB: Int
    var residentKiB: Int

    static func now() -> Process {
        // So that resident memory tells of what is in use, as far as it can.
        soak_give_back_memory()
        return Process(
            descriptors: countDescriptors(),
            heapKiB: soak_heap_in_use() / 1024,
            residentKiB: residentPages() * Int(getpagesize()) / 1024
        )
    }

    private static func countDescriptors() -> Int {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Not itself, not "." and "..".
        return count - 3
    }

    private static func residentPages() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = fread(&bytes, 1, bytes.count, file)
        let fields = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? Int(fields[1]) ?? 0 : 0
    }
}
