import Foundation
import Testing

@testable import Host

/// The defaults of all limits, which are written down with their reasons in "Limits and what they protect": a default that
/// changes there or in the code alone fails here.
@Suite struct LimitsArticleTests {
    /// The defaults as the article puts them.
    private var defaults: [String: String] {
        let configuration = HostConfiguration.defaults
        var texts = ["connections.trimming": configuration.connections.trimming == nil ? "off" : "on"]
        texts["limits.protocols"] = configuration.limits.protocols.isEmpty ? "none" : "some"
        for (name, value) in configuration.limits.counts + configuration.counts {
            texts[name] = name.lowercased().contains("memory") || name.hasSuffix("Bytes") ? size(value) : "\(value)"
        }
        for (name, value) in configuration.times + configuration.pauses {
            let seconds = value.components.seconds
            texts[name] = seconds > 3600 && seconds % 3600 == 0 ? "\(seconds / 3600) h" : "\(seconds) s"
        }
        return texts
    }

    private func size(_ bytes: Int) -> String {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] where bytes % (1 << shift) == 0 {
            return "\(bytes >> shift) \(unit)"
        }
        return "\(bytes)"
    }

    @Test func theArticleHasEveryLimitWithItsDefaultAndAReason() throws {
        let rows = try Articles.rows(below: "### The limits", of: Articles.text("LimitsAndWhatTheyProtect"))
        let fields = Set(["system", "transient", "peer", "protocolStreams", "connection", "reserve"])
        let single = Set(["protocols", "streamMemory", "memoryPerConnection", "memoryPerStream"])
        var told: [String: String] = [:]
        for row in rows {
            try #require(row.count == 3 && row[2].count > 10, "\(row)")
            for name in Articles.names(in: row[0]) {
                let isLimit = single.contains(name) || fields.contains(name.components(separatedBy: ".")[0])
                let path = isLimit ? "limits.\(name)" : name
                #expect(told.updateValue(row[1], forKey: path) == nil, "\(name) is there twice")
            }
        }
        #expect(told == defaults)
    }

    /// Whoever adds a limit has to name it where the article's test finds it.
    @Test func everyLimitIsAmongThoseThatAreNamed() {
        let names = Set(ResourceLimits.defaults.counts.map(\.name) + ["limits.protocols"])
        #expect(Set(fields(of: ResourceLimits.defaults, path: "limits")) == names)
    }

    /// The paths of all fields, those of nested structures in place of these.
    private func fields(of value: Any, path: String) -> [String] {
        Mirror(reflecting: value).children.flatMap { child -> [String] in
            guard let label = child.label else { return [] }
            let isStructure = Mirror(reflecting: child.value).displayStyle == .struct
            return isStructure ? fields(of: child.value, path: "\(path).\(label)") : ["\(path).\(label)"]
        }
    }
}
