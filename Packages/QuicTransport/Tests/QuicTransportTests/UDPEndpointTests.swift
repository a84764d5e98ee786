import NIOCore
import NIOPosix
import NetStreamTesting
import QuicCore
import Synchronization
import Testing

@testable import QuicTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One thing that a handler was told.
struct ReceivedBatch: Sendable {
    var bytes: [UInt8]
    var segmentSize: Int
    var source: NetworkAddress
    var local: NetworkAddress?
    var ecn: UInt8

    var datagrams: [[UInt8]] {
        stride(from: 0, to: bytes.count, by: segmentSize).map {
            Array(bytes[$0..<min($0 + segmentSize, bytes.count)])
        }
    }
}

/// Hands what arrives to a test that waits for it.
final class RecordingHandler: UDPEndpointHandler, Sendable {
    private struct State {
        var batches: [ReceivedBatch] = []
        var waiter: (bytes: Int, continuation: CheckedContinuation<Void, Never>)?
        var completions = 0
        var writable = 0
    }
    private let state = Mutex(State())

    func received(
        _ datagrams: UnsafeRawBufferPointer,
        segmentSize: Int,
        from: NetworkAddress,
        to local: NetworkAddress?,
        ecn: UInt8,
        on endpoint: UDPEndpoint
    ) {
        let batch = ReceivedBatch(
            bytes: Array(datagrams),
            segmentSize: segmentSize,
            source: from,
            local: local,
            ecn: ecn
        )
        state.withLock { $0.batches.append(batch) }
    }

    func receiveCompleted(_ endpoint: UDPEndpoint) {
        let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.completions += 1
            guard let waiter = state.waiter, Self.bytes(state) >= waiter.bytes else { return nil }
            state.waiter = nil
            return waiter.continuation
        }
        continuation?.resume()
    }

    func writable(_ endpoint: UDPEndpoint) {
        state.withLock { $0.writable += 1 }
    }

    private static func bytes(_ state: borrowing State) -> Int {
        state.batches.reduce(0) { $0 + $1.bytes.count }
    }

    var completions: Int { state.withLock { $0.completions } }

    /// Waits until so many bytes are there and takes everything.
    func take(bytes count: Int) async -> [ReceivedBatch] {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                if Self.bytes(state) >= count { return true }
                state.waiter = (count, continuation)
                return false
            }
            if ready { continuation.resume() }
        }
        return state.withLock { state in
            defer { state.batches = [] }
            return state.batches
        }
    }
}

/// An endpoint with its recording handler, usable from a test's task.
struct TestEndpoint: Sendable {
    let bound: NIOLoopBound<UDPEndpoint>
    let loop: any EventLoop
    let handler = RecordingHandler()
    let address: NetworkAddress

    init(
        _ address: NetworkAddress,
        options: UDPSocketOptions = UDPSocketOptions(),
        on loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    ) async throws {
        let bound = try await UDPEndpoint.bind(to: address, options: options, on: loop).get()
        self.bound = bound
        self.loop = loop
        self.address = try await loop.submit { bound.value.localAddress }.get()
        try await loop.submit { [handler] in bound.value.start(handler) }.get()
    }

    func send(
        _ bytes: [UInt8],
        segmentSize: Int = 0,
        to destination: NetworkAddress,
        from source: NetworkAddress? = nil,
        ecn: UInt8 = 0
    ) async throws -> UDPSendResult {
        try await loop.submit { [bound] in
            bytes.withUnsafeBytes {
                bound.value.send($0, segmentSize: segmentSize, to: destination, from: source, ecn: ecn)
            }
        }.get()
    }

    func statistics() async throws -> UDPStatistics {
        try await loop.submit { [bound] in bound.value.statistics }.get()
    }

    func usesSegmentation() async throws -> Bool {
        try await loop.submit { [bound] in bound.value.usesSegmentation }.get()
    }

    func close() async throws {
        try await loop.flatSubmit { [bound] in bound.value.close() }.get()
    }
}

/// A pair of endpoints.
func endpoints(_ first: NetworkAddress, _ second: NetworkAddress) async throws -> (TestEndpoint, TestEndpoint) {
    (try await TestEndpoint(first), try await TestEndpoint(second))
}

private let loopback4 = NetworkAddress.ip4(127, 0, 0, 1, port: 0)
private let loopback6 = NetworkAddress.ip6(high: 0, low: 1, port: 0)
private let any4 = NetworkAddress.ip4(0, 0, 0, 0, port: 0)
private let any6 = NetworkAddress.ip6(high: 0, low: 0, port: 0)

@Suite struct UDPEndpointTests {
    @Test(arguments: [loopback4, loopback6, any4, any6])
    func portZeroTakesAFreePort(address: NetworkAddress) async throws {
        let endpoint = try await TestEndpoint(address)
        #expect(endpoint.address.port != 0)
        #expect(endpoint.address.withPort(0) == address)
        try await endpoint.close()
    }

    @Test func aBusyPortIsReported() async throws {
        let endpoint = try await TestEndpoint(loopback4)
        await #expect(throws: UDPSocketError(code: EADDRINUSE, operation: "open a UDP socket")) {
            _ = try await TestEndpoint(endpoint.address)
        }
        try await endpoint.close()
        // Close has given the port back.
        try await TestEndpoint(endpoint.address).close()
    }

    @Test(arguments: [loopback4, loopback6])
    func aTrainArrivesWithItsSegments(address: NetworkAddress) async throws {
        let (a, b) = try await endpoints(address, address)
        let train = (0..<44 * 1452 - 100).map { UInt8(truncatingIfNeeded: $0 / 1452 + $0) }
        #expect(try await a.send(train, segmentSize: 1452, to: b.address) == .sent)
        let batches = await b.handler.take(bytes: train.count)
        let datagrams = batches.flatMap(\.datagrams)
        #expect(datagrams.flatMap { $0 } == train)
        #expect(datagrams.dropLast().allSatisfy { $0.count == 1452 })
        #expect(datagrams.count == 44)
        #expect(datagrams.last?.count == 1352)
        #expect(batches.allSatisfy { $0.source == a.address && $0.local == b.address })
        #expect(b.handler.completions > 0)
        try await a.close()
        try await b.close()
    }

    @Test func moreThanTheKernelTakesAtOnceArrivesToo() async throws {
        let (a, b) = try await endpoints(loopback4, loopback4)
        let train = (0..<150 * 1200).map { UInt8(truncatingIfNeeded: $0 &* 31 / 7) }
        #expect(try await a.send(train, segmentSize: 1200, to: b.address) == .sent)
        let datagrams = await b.handler.take(bytes: train.count).flatMap(\.datagrams)
        #expect(datagrams.count == 150)
        #expect(datagrams.flatMap { $0 } == train)
        try await a.close()
        try await b.close()
    }

    @Test func aDualStackSocketServesBothFamilies() async throws {
        let server = try await TestEndpoint(any6)
        for client in [try await TestEndpoint(loopback4), try await TestEndpoint(loopback6)] {
            let destination = client.address.withPort(server.address.port)
            for ecn: UInt8 in 0...3 {
                let train = [UInt8](repeating: ecn, count: 3000)
                #expect(try await client.send(train, segmentSize: 1200, to: destination, ecn: ecn) == .sent)
                let batches = await server.handler.take(bytes: 3000)
                #expect(batches.allSatisfy { $0.source == client.address && $0.local == destination && $0.ecn == ecn })
                #expect(batches.flatMap(\.datagrams).map(\.count) == [1200, 1200, 600])
                let from = batches.first?.local
                #expect(
                    try await server.send(train, segmentSize: 1200, to: client.address, from: from, ecn: ecn) == .sent
                )
                let answers = await client.handler.take(bytes: 3000)
                #expect(answers.allSatisfy { $0.source == destination && $0.ecn == ecn })
            }
            try await client.close()
        }
        try await server.close()
    }

    @Test func anIPv6OnlySocketLeavesThePortToIPv4() async throws {
        var (six, four): (TestEndpoint, TestEndpoint?) = (
            try await TestEndpoint(any6, options: UDPSocketOptions(ipv6Only: true)), nil
        )
        // Somebody else may have the port that is free for IPv6.
        for _ in 0..<20 where four == nil {
            four = try? await TestEndpoint(any4.withPort(six.address.port))
            guard four == nil else { break }
            try await six.close()
            six = try await TestEndpoint(any6, options: UDPSocketOptions(ipv6Only: true))
        }
        #expect(try await six.send([1], to: .ip4(127, 0, 0, 1, port: six.address.port)) != .sent)
        try await six.close()
        try await #require(four).close()
    }

    @Test(arguments: [loopback4, loopback6])
    func congestionMarksArrive(address: NetworkAddress) async throws {
        let (a, b) = try await endpoints(address, address)
        for ecn: UInt8 in [0, 1, 2, 3, 0] {
            #expect(try await a.send([1, 2, 3], to: b.address, ecn: ecn) == .sent)
            #expect(await b.handler.take(bytes: 3).map(\.ecn) == [ecn])
        }
        try await a.close()
        try await b.close()
    }

    @Test func theSourceAddressIsTheOneAskedFor() async throws {
        let (a, b) = try await endpoints(any4, loopback4)
        for last: UInt8 in [1, 2, 77] {
            let source = NetworkAddress.ip4(127, 0, 0, last, port: 0)
            #expect(try await a.send([last], to: b.address, from: source) == .sent)
            #expect(await b.handler.take(bytes: 1).first?.source == source.withPort(a.address.port))
        }
        // What was sent to 127.0.0.9 says so.
        #expect(try await b.send([1], to: .ip4(127, 0, 0, 9, port: a.address.port)) == .sent)
        #expect(await a.handler.take(bytes: 1).first?.local == .ip4(127, 0, 0, 9, port: a.address.port))
        // An address that is not ours is refused for this datagram only.
        #expect(try await a.send([1], to: b.address, from: .ip4(192, 0, 2, 1, port: 0)) != .sent)
        #expect(try await a.send([1], to: b.address) == .sent)
        #expect(await b.handler.take(bytes: 1).count == 1)
        try await a.close()
        try await b.close()
    }

    @Test func badDestinationsFailAlone() async throws {
        let (a, b) = try await endpoints(loopback4, loopback4)
        let bad: [NetworkAddress] = [
            .ip4(127, 0, 0, 1, port: 0), .ip4(255, 255, 255, 255, port: 9), .ip4(192, 0, 2, 1, port: 9),
            .ip4(0, 0, 0, 0, port: 0), loopback6.withPort(9), .ip4(240, 0, 0, 1, port: 9),
        ]
        for destination in bad {
            for size in [100, 5000] {
                let result = try await a.send([UInt8](repeating: 0, count: size), segmentSize: 1200, to: destination)
                guard case .dropped = result else {
                    Issue.record("\(destination) gave \(result)")
                    continue
                }
            }
            #expect(try await a.send([9], to: b.address) == .sent)
            #expect(await b.handler.take(bytes: 1).count == 1)
        }
        #expect(try await a.usesSegmentation())
        #expect(try await a.statistics().datagramsDropped == bad.count * 6)
        try await a.close()
        try await b.close()
    }

    @Test func aClosedPortDoesNotDisturbTheSocket() async throws {
        let gone = try await TestEndpoint(loopback4)
        try await gone.close()
        let (a, b) = try await endpoints(any4, loopback4)
        for _ in 0..<20 {
            _ = try await a.send([1], to: gone.address)
            #expect(try await a.send([2], to: b.address) == .sent)
            #expect(await b.handler.take(bytes: 1).first?.bytes == [2])
            #expect(try await b.send([3], to: NetworkAddress.ip4(127, 0, 0, 1, port: a.address.port)) == .sent)
            #expect(await a.handler.take(bytes: 1).first?.bytes == [3])
        }
        try await a.close()
        try await b.close()
    }

    @Test func aDatagramLargerThanThePathIsRefusedNotFragmented() async throws {
        let (a, b) = try await endpoints(loopback4, loopback4)
        let large = [UInt8](repeating: 0, count: 65_507)
        // The loopback interface's MTU is 65536, so the largest datagram passes there and one byte more does not.
        _ = try await a.send(large, to: b.address)
        #expect(try await a.send(large + [0], to: b.address) == .dropped(EMSGSIZE))
        #expect(try await a.send([1], to: b.address) == .sent)
        try await a.close()
        try await b.close()
    }

    @Test func aSendAfterCloseIsDropped() async throws {
        let a = try await TestEndpoint(loopback4)
        try await a.close()
        try await a.close()
        #expect(try await a.send([1], to: .ip4(127, 0, 0, 1, port: 9)) == .dropped(EBADF))
    }

    @Test func closingWhileOthersSendIsSafe() async throws {
        let b = try await TestEndpoint(loopback4)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                let a = try await TestEndpoint(loopback4)
                group.addTask {
                    let train = [UInt8](repeating: 3, count: 20 * 1200)
                    for _ in 0..<200 { _ = try await a.send(train, segmentSize: 1200, to: b.address) }
                    try await a.close()
                }
            }
            _ = await b.handler.take(bytes: 100 * 1200)
            try await b.close()
            try await group.waitForAll()
        }
    }

    @Test(.timeLimit(.minutes(1))) func tenThousandRandomDatagramsArrive() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("tenThousandRandomDatagramsArrive seed \(seed)")
        let (a, b) = try await endpoints(loopback4, any6)
        let destination = a.address.withPort(b.address.port)
        var random = SeededGenerator(seed: seed)
        var empty = 0
        var sent = 0
        // Rounds are small, so that nothing is lost for want of buffers.
        while sent < 10_000 {
            var bytes: [UInt8] = []
            for _ in 0..<10 {
                let train = random.bytes(upTo: random.next() % 4 == 0 ? 2 : 3000)
                let segment = 300 + Int(random.next() % 1200)
                let ecn = UInt8(truncatingIfNeeded: random.next())
                #expect(try await a.send(train, segmentSize: segment, to: destination, ecn: ecn) == .sent)
                bytes += train
                empty += train.isEmpty ? 1 : 0
                sent += max(1, (train.count + segment - 1) / segment)
            }
            let received = await b.handler.take(bytes: bytes.count).flatMap(\.bytes)
            #expect(received == bytes)
        }
        // One more, behind the last empty one.
        #expect(try await a.send([1], to: destination) == .sent)
        _ = await b.handler.take(bytes: 1)
        let statistics = try await b.statistics()
        #expect(statistics.emptyDatagrams == empty)
        #expect(statistics.datagramsReceived == sent + 1 - empty)
        #expect(statistics.receiveErrors == 0)
        try await a.close()
        try await b.close()
    }
}

extension SeededGenerator {
    mutating func bytes(upTo limit: Int) -> [UInt8] {
        let count = Int(next() % UInt64(limit))
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}
