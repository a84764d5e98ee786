import ArgumentParser
import ExampleSupport
import Host
import NetStream
import PeerID

extension Libp2p {
    struct Ping: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Measure the round trip to a peer.")

        @OptionGroup var pings: PingOptions
        @OptionGroup var dial: DialOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withPeer(dial, common) { [pings, common] host, peer in
                let session = try await host.pingSession(with: peer)
                try await pings.run(PingReport(peer: peer, json: common.json)) { try await session.ping() }
                await session.close()
            }
        }
    }

    struct Echo: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Send something to a peer that echoes, and take it back. By default it sends standard input."
        )

        @OptionGroup var dial: DialOptions
        @OptionGroup var payload: PayloadOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withPeer(dial, common) { [payload, common] host, peer in
                var echo = try payload.makeEcho(json: common.json)
                let bytes = echo.payload
                let sent = try await host.withStream(to: peer, protocols: [EchoProtocol.name]) { stream in
                    async let count = send(bytes, on: stream)
                    for try await chunk in stream.chunks { try echo.take(chunk) }
                    return try await count
                }
                try echo.finish(sent: sent)
            }
        }
    }

    struct Perf: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Measure how fast bytes move to and from a peer.")

        @Option(help: "How many bytes to send.")
        var uploadBytes: UInt64 = 64 << 20

        @Option(help: "How many bytes to ask for.")
        var downloadBytes: UInt64 = 64 << 20

        @OptionGroup var dial: DialOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withPeer(dial, common) { [uploadBytes, downloadBytes, common] host, peer in
                let (total, overflow) = uploadBytes.addingReportingOverflow(downloadBytes)
                let progress = Progress(total: overflow ? nil : Int(exactly: total), always: false)
                let result = try await host.perf(peer, upload: uploadBytes, download: downloadBytes) { step in
                    switch step {
                    case .uploaded(let count), .downloaded(let count): progress.advance(count)
                    }
                }
                let report = PerfReport(result)
                if common.json { try Output.json(report) } else { Output.line(report.line) }
            }
        }
    }
}

/// Sends everything and ends this side; how much it was.
private func send(_ payload: Payload, on stream: NetStream) async throws -> Int {
    var count = 0
    for try await chunk in payload {
        try await stream.write(chunk)
        count += chunk.count
    }
    try await stream.closeWrite()
    return count
}

private struct PerfReport: Encodable {
    var type = "perf"
    var uploadBytes: UInt64
    var uploadSeconds: Double
    var downloadBytes: UInt64
    var downloadSeconds: Double

    init(_ result: PerfResult) {
        uploadBytes = result.uploaded
        uploadSeconds = result.uploadTime / .seconds(1)
        downloadBytes = result.downloaded
        downloadSeconds = result.downloadTime / .seconds(1)
    }

    var line: String {
        "sent \(uploadBytes) bytes at \(rate(uploadBytes, uploadSeconds)) MiB/s, "
            + "received \(downloadBytes) bytes at \(rate(downloadBytes, downloadSeconds)) MiB/s"
    }

    private func rate(_ bytes: UInt64, _ seconds: Double) -> String {
        fixed(Double(bytes) / 1_048_576 / max(seconds, 1e-9), 1)
    }
}
