public import ArgumentParser

/// How often somebody is pinged.
public struct PingOptions: ParsableArguments, Sendable {
    @Option(help: "How many pings (default: 5).", transform: { try positive($0, "--count") })
    var count = 5

    @Option(help: "Seconds between two pings (default: 1).", transform: seconds)
    var interval: Duration = .seconds(1)

    /// For ArgumentParser.
    public init() {}

    /// Pings, and reports each round trip as it comes, and in the end what they add up to.
    ///
    /// - Throws: What a ping throws; those before are summed up all the same.
    public func run(_ report: PingReport, ping: () async throws -> Duration) async throws {
        var report = report
        defer { report.finish() }
        for number in 1...count {
            try report.add(await ping())
            // lint:allow(sleep) because the interval is what the user asked for
            if number < count { try await Task.sleep(for: interval) }
        }
    }
}
