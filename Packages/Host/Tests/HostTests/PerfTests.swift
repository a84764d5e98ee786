import Host
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct PerfTests {
    @Test(arguments: TestNetwork.allCases, [(0, 0), (1, 0), (0, 1), (65_536, 65_537), (1_000_000, 300_000)])
    func asManyBytesMoveAsWereAskedFor(_ network: TestNetwork, _ size: (upload: Int, download: Int)) async throws {
        let (upload, download) = size
        try await withTwoHosts(on: network) { server, client in
            await server.handle(PerfProtocol.name, handler: PerfProtocol.handler())
            let peer = try await client.connect(to: server.address)
            let moved = Mutex((up: 0, down: 0))
            let result = try await client.perf(peer, upload: UInt64(upload), download: UInt64(download)) { step in
                moved.withLock { moved in
                    switch step {
                    case .uploaded(let count): moved.up += count
                    case .downloaded(let count): moved.down += count
                    }
                }
            }
            #expect(result.uploaded == UInt64(upload) && result.downloaded == UInt64(download))
            #expect(moved.withLock { $0 } == (upload, download))
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func theRequestIsEightBytesBigEndian(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, client in
            await server.handle(PerfProtocol.name, handler: PerfProtocol.handler())
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [PerfProtocol.name])
            try await stream.write([0, 0, 0, 0, 0, 0, 1, 2, 77, 77, 77])
            try await stream.closeWrite()
            #expect(try await stream.readToEnd(limit: 1000).count == 258)
        }
    }

    /// What the first bytes of a measurement look like, as the specification has it.
    struct Samples: Decodable {
        struct Request: Decodable {
            var downloadBytes: UInt64
            var headerHex: String
        }
        var perf: [Request]
    }

    @Test(arguments: TestNetwork.allCases)
    func theClientAsksAsTheSamplesDo(_ network: TestNetwork) async throws {
        let samples = try vectors("app_protocol_samples.json", as: Samples.self).perf
        #expect(samples.count >= 7)
        try await withTwoHosts(on: network) { server, client in
            let asked = Mutex<[[UInt8]]>([])
            await server.handle(PerfProtocol.name) { stream in
                let request = try await stream.readToEnd(limit: 100)
                asked.withLock { $0.append(request) }
                // As much as some of them ask for, nobody has.
                stream.reset(code: .resourceLimitExceeded)
            }
            let peer = try await client.connect(to: server.address)
            for (index, sample) in samples.enumerated() {
                let upload = index * 3
                let thrown = await code {
                    _ = try await client.perf(peer, upload: UInt64(upload), download: sample.downloadBytes)
                }
                #expect(thrown == .streamFailed)
                // The request, and behind it what is uploaded.
                let expected = bytes(hex: sample.headerHex) + [UInt8](repeating: 0, count: upload)
                #expect(asked.withLock { $0.last } == expected, "\(sample.downloadBytes)")
            }
            #expect(asked.withLock { $0.count } == samples.count)
        }
    }

    /// The server takes the samples for what they are: it sends just as much, or refuses what is more than it gives.
    @Test(arguments: TestNetwork.allCases)
    func theServerUnderstandsTheSamples(_ network: TestNetwork) async throws {
        let samples = try vectors("app_protocol_samples.json", as: Samples.self).perf
        let limit: UInt64 = 1024
        try await withTwoHosts(on: network) { server, client in
            await server.handle(PerfProtocol.name, handler: PerfProtocol.handler(limit: limit))
            let peer = try await client.connect(to: server.address)
            for sample in samples {
                let stream = try await client.newStream(to: peer, protocols: [PerfProtocol.name])
                let end = await streamError {
                    try await stream.write(bytes(hex: sample.headerHex))
                    try await stream.closeWrite()
                    let count = UInt64(try await stream.readToEnd(limit: 4096).count)
                    #expect(count == sample.downloadBytes)
                }
                let isTooMuch = sample.downloadBytes > limit
                #expect(end?.streamCode == (isTooMuch ? StreamErrorCode.resourceLimitExceeded.rawValue : nil))
                stream.reset()
            }
        }
    }

    @Test(arguments: TestNetwork.allCases, [(1001, 0), (0, 1001)])
    func aServerWithALimitResetsWhatGoesBeyond(_ network: TestNetwork, _ size: (upload: Int, download: Int))
        async throws
    {
        let (upload, download) = size
        try await withTwoHosts(on: network) { server, client in
            await server.handle(PerfProtocol.name, handler: PerfProtocol.handler(limit: 1000))
            let peer = try await client.connect(to: server.address)
            _ = try await client.perf(peer, upload: 1000, download: 1000)
            let error = await #expect(throws: HostError.self) {
                _ = try await client.perf(peer, upload: UInt64(upload), download: UInt64(download))
            }
            let cause = error?.cause as? NetStreamError
            #expect(cause?.streamCode == StreamErrorCode.resourceLimitExceeded.rawValue)
        }
    }

    @Test(arguments: TestNetwork.allCases, [9, 11])
    func aServerThatSendsAnotherNumberIsAnError(_ network: TestNetwork, count: Int) async throws {
        try await withTwoHosts(on: network) { server, client in
            await server.handle(PerfProtocol.name) { stream in
                _ = try await stream.readToEnd(limit: 100)
                try await stream.write([UInt8](repeating: 0, count: count))
                try await stream.closeWrite()
            }
            let peer = try await client.connect(to: server.address)
            let thrown = await code { _ = try await client.perf(peer, upload: 1, download: 10) }
            #expect(thrown == .perfFailed)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aServerThatIsStuckEndsTheMeasurement(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        try await withTwoHosts(on: network) { server, client in
            await server.handle(PerfProtocol.name) { stream in
                _ = try await stream.readToEnd(limit: 100)
                // Never answers; the end of the connection ends it.
                for await _ in server.events() {}
            }
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [PerfProtocol.name])
            let thrown = await code {
                try await clock.ticking(by: .seconds(1)) {
                    _ = try await PerfProtocol.measure(on: stream, upload: 1, download: 1, clock: clock)
                }
            }
            #expect(thrown == .timeout)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aClientThatIsStuckIsLetGo(_ network: TestNetwork) async throws {
        let clock = ManualClock()
        try await withTwoHosts(on: network) { server, client in
            let handler = PerfProtocol.handler(idleLimit: .seconds(5), clock: clock)
            await server.handle(PerfProtocol.name, handler: handler)
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [PerfProtocol.name])
            try await stream.write([UInt8](repeating: 0, count: 8))
            let error = await #expect(throws: NetStreamError.self) {
                try await clock.ticking(by: .seconds(1)) { _ = try await stream.read() }
            }
            #expect(error?.code == .reset && error?.byPeer == true)
        }
    }
}
