import QuicSimulation

/// Watches the process's heap: what a scenario takes it has to give back.
///
/// The libraries keep some of what they take for the next time, so the level is the smallest of a stretch of scenarios, and
/// what counts is that it does not rise from one stretch to the next for ever.
struct HeapWatch {
    static let stretch = 100
    /// What may come on top of the first stretch's level, in bytes: caches, the names of problems, the allocator's tables.
    static let allowance: UInt64 = 128 << 10

    private var base: UInt64?
    private var lowest = UInt64.max

    mutating func check(after played: Int) -> [String] {
        lowest = min(lowest, Simulation.heapInUse)
        guard played % Self.stretch == 0 else { return [] }
        defer { lowest = .max }
        guard let base else {
            base = lowest
            return []
        }
        guard lowest > base + Self.allowance else { return [] }
        self.base = lowest
        return ["the heap has grown from \(base) to \(lowest) bytes since the first \(Self.stretch) scenarios"]
    }
}
