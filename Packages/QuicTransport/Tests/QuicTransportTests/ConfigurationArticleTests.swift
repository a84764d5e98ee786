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

    private func article() throws -> String {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        return try text(of: root + "/Sources/QuicTransport/QuicTransport.docc/Configuration.md")
    }

    /// The rows of the table for those who come from py-libp2p: what each cell has in code font.
    private func rows() throws -> [(there: [String], here: [String])] {
        let lines = try article().split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex(of: "| there | here | note |")) + 2
        return lines[start...].prefix { $0.hasPrefix("|") }.map { line in
            let cells = line.split(separator: "|").map { cell in
                cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                    .filter { $0.offset % 2 == 1 }.map { String($0.element) }
            }
            return (cells[0], cells[1])
        }
    }

    /// The paths of all fields.
    private func paths(of value: Any, _ prefix: String = "") -> [String] {
        Mirror(reflecting: value).children.flatMap { child -> [String] in
            guard let label = child.label else { return [] }
            let isOurs = String(reflecting: type(of: child.value)).contains("QuicConfiguration")
            return [prefix + label] + (isOurs ? paths(of: child.value, prefix + label + ".") : [])
        }
    }

    @Test func theArticleOnTheConfigurationNamesEveryField() throws {
        let words = Set(try article().split { !$0.isLetter && !$0.isNumber }.map(String.init))
        let names = fields(of: QuicConfiguration.defaults)
        #expect(names.count > 50 && names.contains("statelessResetKey"))
        #expect(names.filter { !words.contains($0) } == [])
    }

    /// Every setting of `QUICTransportConfig`, `QUICStreamConfig` and `QUICStreamFlowControlConfig` there, and the variable of
    /// the environment that belongs to them.
    @Test func theArticleAccountsForEverySettingOfThePythonImplementation() throws {
        let settings = """
            connection_timeout idle_timeout max_connections max_connections_per_peer load_balancing_strategy
            max_datagram_size local_port enable_v1 enable_draft29 alpn_protocols verify_mode enable_qlog qlog_dir QLOGDIR
            max_concurrent_streams MAX_CONCURRENT_STREAMS MAX_INCOMING_STREAMS MAX_OUTGOING_STREAMS
            connection_window stream_window STREAM_FLOW_CONTROL_WINDOW CONNECTION_FLOW_CONTROL_WINDOW
            initial_window_size max_window_size window_update_threshold enable_auto_tuning
            CONNECTION_HANDSHAKE_TIMEOUT CONNECTION_CLOSE_TIMEOUT STREAM_OPEN_TIMEOUT STREAM_ACCEPT_TIMEOUT
            STREAM_READ_TIMEOUT STREAM_WRITE_TIMEOUT STREAM_CLOSE_TIMEOUT NEGOTIATION_SEMAPHORE_LIMIT NEGOTIATE_TIMEOUT
            MAX_STREAM_RECEIVE_BUFFER STREAM_RECEIVE_BUFFER_LOW_WATERMARK STREAM_RECEIVE_BUFFER_HIGH_WATERMARK
            ENABLE_STREAM_RESET_ON_ERROR STREAM_RESET_ERROR_CODE ENABLE_STREAM_KEEP_ALIVE STREAM_KEEP_ALIVE_INTERVAL
            ENABLE_STREAM_RESOURCE_TRACKING STREAM_MEMORY_LIMIT_PER_STREAM STREAM_MEMORY_LIMIT_PER_CONNECTION
            ENABLE_STREAM_BATCHING STREAM_BATCH_SIZE STREAM_PROCESSING_CONCURRENCY ENABLE_STREAM_METRICS
            ENABLE_STREAM_TIMELINE_TRACKING STREAM_METRICS_COLLECTION_INTERVAL STREAM_ERROR_RETRY_ATTEMPTS
            STREAM_ERROR_RETRY_DELAY STREAM_ERROR_RETRY_BACKOFF_FACTOR PROTOCOL_QUIC_V1 PROTOCOL_QUIC_DRAFT29
            """
        let told = try rows().flatMap(\.there)
        #expect(settings.split { $0.isWhitespace }.map(String.init).filter { !told.contains($0) } == [])
        #expect(Set(told).count == told.count, "each has one row")
    }

    @Test func whatTheArticlePutsInTheirPlaceIsThere() throws {
        let known = Set(paths(of: QuicConfiguration.defaults))
        let here = try rows().flatMap(\.here)
        #expect(here.count > 25)
        #expect(here.filter { !known.contains($0) } == [])
    }
}
