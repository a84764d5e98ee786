import Foundation
import Testing

/// An article of the Host's documentation, which tests hold to what the code does.
enum Articles {
    static func text(_ name: String, file: String = #filePath) throws -> String {
        let package = URL(fileURLWithPath: file).deletingLastPathComponent().appendingPathComponent("../..")
        let article = package.appendingPathComponent("Sources/Host/Host.docc/\(name).md")
        return try String(contentsOf: article, encoding: .utf8)
    }

    /// The cells of each row of every table below a heading, without the heads of the tables.
    static func rows(below heading: String, of article: String) throws -> [[String]] {
        let lines = article.components(separatedBy: "\n")
        let start = try #require(lines.firstIndex(of: heading), "there is no \(heading)")
        let level = heading.prefix { $0 == "#" }
        let section = lines[(start + 1)...].prefix { !$0.hasPrefix(level + " ") }
        let tables = section.enumerated().filter { $0.element.hasPrefix("|") }
        return tables.filter { index, line in
            let next = section.index(section.startIndex, offsetBy: index + 1)
            let isHead = next < section.endIndex && section[next].hasPrefix("|---")
            return !isHead && !line.hasPrefix("|---")
        }
        .map { _, line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    /// What stands in backticks.
    static func names(in cell: String) -> [String] {
        cell.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    }
}
