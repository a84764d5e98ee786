import QuicCore
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct ConfigurationArticleTests {
    /// The names of all fields, those of nested structures included.
    private func fields(of value: Any) -> [String] {
        Mirror(reflecting: value).children.flatMap { child -> [String] in
            guard let label = child.label else { return [] }
            let isStructure = Mirror(reflecting: child.value).displayStyle == .struct
            let isOurs = String(reflecting: type(of: child.value)).contains("QuicConfiguration")
            return [label] + (isStructure && isOurs ? fields(of: child.value) : [])
        }
    }

    private func text(of path: String) throws -> String {
        let file = try #require(fopen(path, "r"), "cannot read \(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func theArticleOnTheConfigurationNamesEveryField() throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let article = try text(of: root + "/Sources/QuicTransport/QuicTransport.docc/Configuration.md")
        let words = Set(article.split { !$0.isLetter && !$0.isNumber }.map(String.init))
        let names = fields(of: QuicConfiguration.defaults)
        #expect(names.count > 50 && names.contains("statelessResetKey"))
        #expect(names.filter { !words.contains($0) } == [])
    }
}
