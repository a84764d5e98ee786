import CGroundBench
import Glibc

/// Keeps the optimiser from dropping what is measured.
@inline(never) func keep<T>(_ value: T) {}

/// One operation, and the same done by a C program where there is one.
struct Operation {
    var name: String
    /// How often it is done in one sample.
    var batch: Int
    var run: () throws -> Void
    var yardstick: (() -> Void)?
}

/// What a round of all operations prints, as tab-separated lines.
enum Measurement {
    /// Nanoseconds of processor time of this process: other processes do not count.
    private static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }

    private static func sample(_ batch: Int, _ body: () throws -> Void) rethrows -> Double {
        let start = processorTime()
        for _ in 0..<batch { try body() }
        return (processorTime() - start) / Double(batch)
    }

    private static func median(_ samples: [Double]) -> Double { samples.sorted()[samples.count / 2] }

    /// Prints: name, median nanoseconds, allocations, the yardstick's nanoseconds and allocations or `-`.
    static func time(_ operation: Operation) throws {
        try operation.run()
        let before = ground_allocations()
        for _ in 0..<8 { try operation.run() }
        let allocations = Double(ground_allocations() - before) / 8
        var (own, others): ([Double], [Double]) = ([], [])
        // In turn, so that whatever else the machine does hits both alike.
        for _ in 0..<15 {
            own.append(try sample(operation.batch, operation.run))
            if let yardstick = operation.yardstick { others.append(sample(operation.batch, yardstick)) }
        }
        let yardstick = others.isEmpty ? "-" : "\(median(others))"
        print("\(operation.name)\t\(median(own))\t\(allocations)\t\(yardstick)")
    }

    /// Lets callgrind count one operation, and its yardstick. For runs under valgrind.
    static func count(_ operation: Operation) throws {
        let repeats = max(4, operation.batch / 10)
        func region(_ name: String, _ body: () throws -> Void) rethrows {
            try body()
            ground_region_begin()
            for _ in 0..<repeats { try body() }
            ground_region_end("\(name)|\(repeats)")
        }
        try region(operation.name, operation.run)
        if let yardstick = operation.yardstick { region("C: \(operation.name)", yardstick) }
    }
}
