import Glibc
import TortureSupport

/// The measurements of scripts/bench presets, memory and registry: one of these names is the argument.
@main
enum QuicBench {
    static func main() async {
        do {
            try await run()
        } catch {
            note("bench: \(error)")
            exit(1)
        }
    }

    private static func run() async throws {
        switch CommandLine.arguments.dropFirst().joined(separator: " ") {
        case "presets": try await Presets.print()
        case "memory": try await Memory.print()
        case "registry": try Registry.print()
        default: throw Failed("quic-bench: presets, memory or registry")
        }
    }
}

/// Prints a Markdown table whose columns are aligned.
func printTable(_ rows: [[String]]) {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String], _ filler: Character = " ") -> String {
        "| " + zip(cells, widths).map { $0 + String(repeating: filler, count: $1 - $0.count) }.joined(separator: " | ")
            + " |"
    }
    Swift.print(line(rows[0]))
    Swift.print(line(rows[0].map { _ in "" }, "-"))
    for row in rows.dropFirst() { Swift.print(line(row)) }
}
