import Foundation
import MetricsTestKit
import NetStream
import Testing

@testable import Host

/// The table of metrics in "Watching a node", held to what the host reports.
@Suite struct MetricsArticleTests {
    private struct Metric: Hashable {
        var name: String
        var kind: String
        var dimensions: Set<String>

        init(_ name: String, _ kind: String, _ dimensions: [String]) {
            self.name = name
            self.kind = kind
            self.dimensions = Set(dimensions)
        }
    }

    private func rows() throws -> [[String]] {
        try Articles.rows(below: "### Metrics", of: Articles.text("WatchingANode"))
    }

    /// Everything that a host may report, reported once.
    private func reported() -> TestMetrics {
        let metrics = TestMetrics()
        let host = HostMetrics(factory: metrics)
        // The counters of failures are made when they are counted.
        let error = HostError(.timeout, "")
        host.dialFailed(error)
        host.connectionRefused(error)
        host.streamRefused(error)
        host.negotiationFailed(.inbound, error)
        for stage in GaterStage.allCases { host.gated(stage) }
        host.refused(ResourceLimitExceeded(scope: .system, resource: .memory, limit: 0, setting: ""))
        return metrics
    }

    @Test func theArticleHasEveryMetricWithItsKindAndDimensions() throws {
        let metrics = reported()
        var seen = Set(metrics.counters.map { Metric($0.label, "counter", $0.dimensions.map(\.0)) })
        seen.formUnion(metrics.meters.map { Metric($0.label, "gauge", $0.dimensions.map(\.0)) })
        seen.formUnion(metrics.timers.map { Metric($0.label, "timer", $0.dimensions.map(\.0)) })
        #expect(metrics.recorders.isEmpty)
        var told: Set<Metric> = []
        for row in try rows() {
            try #require(row.count == 4, "\(row)")
            for name in Articles.names(in: row[0]) {
                #expect(
                    told.insert(Metric(name, row[1], Articles.names(in: row[2]))).inserted,
                    "\(name) is there twice"
                )
            }
        }
        #expect(told == seen)
    }

    @Test func theArticleHasEveryStageOfTheGater() throws {
        let row = try #require(try rows().first { $0[0] == "`libp2p_host_gated`" })
        #expect(Set(Articles.names(in: row[3])) == Set(GaterStage.allCases.map(\.rawValue)))
    }

    /// Whoever adds a metric has to report it above.
    @Test func everyMetricIsAmongThoseThatAreReported() throws {
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Sources/Host/Swarm/HostMetrics.swift")
        let text = try String(contentsOf: source, encoding: .utf8)
        let named = text.components(separatedBy: "\"").filter { $0.hasPrefix("libp2p_host_") }
        let metrics = reported()
        let seen = metrics.counters.map(\.label) + metrics.meters.map(\.label) + metrics.timers.map(\.label)
        #expect(Set(named) == Set(seen))
    }
}
