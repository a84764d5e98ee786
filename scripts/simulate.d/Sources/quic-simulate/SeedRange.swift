import ArgumentParser

/// `7`, or `1..1000` with both ends.
struct SeedRange: ExpressibleByArgument {
    let seeds: ClosedRange<UInt64>

    init?(argument: String) {
        guard let dots = argument.firstRange(of: "..") else {
            guard let only = UInt64(argument) else { return nil }
            seeds = only...only
            return
        }
        guard let first = UInt64(argument[..<dots.lowerBound]), let last = UInt64(argument[dots.upperBound...]),
            first <= last, last - first < .max
        else { return nil }
        seeds = first...last
    }
}
