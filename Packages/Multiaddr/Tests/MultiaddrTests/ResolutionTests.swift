import Dispatch
import Synchronization
import Testing

@testable import Multiaddr

/// Answers from tables and counts how often it is asked.
private final class TableResolver: NameResolver {
    struct Unreachable: Error {}

    let four: [String: [[UInt8]]]
    let six: [String: [[UInt8]]]
    let text: [String: [String]]
    let failing: Set<String>
    private let asked = Mutex(0)

    init(
        four: [String: [[UInt8]]] = [:],
        six: [String: [[UInt8]]] = [:],
        text: [String: [String]] = [:],
        failing: Set<String> = []
    ) {
        self.four = four
        self.six = six
        self.text = text
        self.failing = failing
    }

    var count: Int { asked.withLock { $0 } }

    func ip4Addresses(of name: String) async throws -> [[UInt8]] {
        asked.withLock { $0 += 1 }
        if failing.contains("4 \(name)") { throw Unreachable() }
        return four[name] ?? []
    }

    func ip6Addresses(of name: String) async throws -> [[UInt8]] {
        asked.withLock { $0 += 1 }
        if failing.contains("6 \(name)") { throw Unreachable() }
        return six[name] ?? []
    }

    func textRecords(of name: String) async throws -> [[UInt8]] {
        asked.withLock { $0 += 1 }
        if failing.contains(name) { throw Unreachable() }
        return (text[name] ?? []).map { Array($0.utf8) }
    }
}

private let peer = "/p2p/12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"
private let other = "/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"
private let localhost6: [UInt8] = [UInt8](repeating: 0, count: 15) + [1]

/// The code of the error that resolving ends in.
private func code(_ resolver: some NameResolver, _ address: Multiaddr) async -> MultiaddrError.Code? {
    do {
        let found = try await resolver.resolve(address)
        Issue.record("expected an error, got \(found)")
        return nil
    } catch {
        return (error as? MultiaddrError)?.code
    }
}

@Suite struct Resolution {
    @Test func namesAreReplacedByTheirAddresses() async throws {
        let resolver = TableResolver(four: ["a.b": [[1, 2, 3, 4], [5, 6, 7, 8]]], six: ["a.b": [localhost6]])
        #expect(
            try await resolver.resolve("/dns4/a.b/udp/1/quic-v1") == [
                "/ip4/1.2.3.4/udp/1/quic-v1", "/ip4/5.6.7.8/udp/1/quic-v1",
            ]
        )
        #expect(try await resolver.resolve("/dns6/a.b/tcp/1") == ["/ip6/::1/tcp/1"])
        #expect(try await resolver.resolve("/dns/a.b") == ["/ip4/1.2.3.4", "/ip4/5.6.7.8", "/ip6/::1"])
    }

    @Test func addressesWithoutNamesNeedNoLookup() async throws {
        let resolver = TableResolver()
        #expect(try await resolver.resolve("/ip4/1.2.3.4/tcp/1") == ["/ip4/1.2.3.4/tcp/1"])
        #expect(resolver.count == 0)
    }

    @Test func textRecordsHoldWholeAddressesAndLeadOn() async throws {
        let resolver = TableResolver(
            four: ["node.b": [[1, 2, 3, 4]]],
            text: [
                "_dnsaddr.boot.b": [
                    "dnsaddr=/dnsaddr/deep.b", "dnsaddr=/ip6/::1/udp/2/quic-v1", "unrelated", "dnsaddr=/x",
                ],
                "_dnsaddr.deep.b": ["dnsaddr=/dns4/node.b/udp/1/quic-v1", "DNSADDR=/ip4/9.9.9.9"],
            ]
        )
        #expect(
            try await resolver.resolve("/dnsaddr/boot.b") == ["/ip6/::1/udp/2/quic-v1", "/ip4/1.2.3.4/udp/1/quic-v1"]
        )
    }

    @Test func onlyRecordsThatEndInTheRestCount() async throws {
        let records = ["dnsaddr=/ip4/1.1.1.1/udp/1/quic-v1\(peer)", "dnsaddr=/ip4/2.2.2.2/udp/1/quic-v1\(other)"]
        let resolver = TableResolver(text: ["_dnsaddr.b": records])
        let found = try await resolver.resolve(try Multiaddr(parsing: "/dnsaddr/b\(peer)"))
        #expect(found.map(\.description) == ["/ip4/1.1.1.1/udp/1/quic-v1\(peer)"])
        let relayed = try await resolver.resolve(try Multiaddr(parsing: "/dnsaddr/b\(other)/p2p-circuit\(peer)"))
        #expect(relayed.map(\.description) == ["/ip4/2.2.2.2/udp/1/quic-v1\(other)/p2p-circuit\(peer)"])
    }

    @Test func circlesEndInAnError() async {
        let resolver = TableResolver(
            text: ["_dnsaddr.a": ["dnsaddr=/dnsaddr/b", "dnsaddr=/dnsaddr/a"], "_dnsaddr.b": ["dnsaddr=/dnsaddr/a"]]
        )
        #expect(await code(resolver, "/dnsaddr/a") == .resolutionFailed)
        #expect(resolver.count == 2)
    }

    @Test func chainsEndAfterThirtyTwoLookups() async throws {
        var text: [String: [String]] = [:]
        for index in 0..<40 { text["_dnsaddr.n\(index)"] = ["dnsaddr=/dnsaddr/n\(index + 1)"] }
        text["_dnsaddr.n40"] = ["dnsaddr=/ip4/1.2.3.4"]
        let resolver = TableResolver(text: text)
        #expect(await code(resolver, "/dnsaddr/n0") == .resolutionLimit)
        #expect(resolver.count == 32)
        #expect(try await resolver.resolve("/dnsaddr/n9") == ["/ip4/1.2.3.4"])
    }

    @Test func floodsOfRecordsAreCut() async throws {
        let many = (0..<5000).map { "dnsaddr=/ip4/1.2.\($0 / 256).\($0 % 256)" }
        let names = (0..<5000).map { "dnsaddr=/dnsaddr/n\($0)" }
        let resolver = TableResolver(text: ["_dnsaddr.a": many, "_dnsaddr.b": names])
        #expect(try await resolver.resolve("/dnsaddr/a").count == 100)
        #expect(await code(resolver, "/dnsaddr/b") != nil)
        #expect(resolver.count <= 130)
    }

    @Test func oneFamilyThatFailsDoesNotSpoilTheOther() async throws {
        let resolver = TableResolver(four: ["a.b": [[1, 2, 3, 4]]], failing: ["6 a.b", "4 c.d", "6 c.d"])
        #expect(try await resolver.resolve("/dns/a.b") == ["/ip4/1.2.3.4"])
        #expect(await code(resolver, "/dns/c.d") == .resolutionFailed)
        #expect(await code(resolver, "/dns/nobody") == .resolutionFailed)
    }

    @Test func answersOfTheWrongLengthAndNamesTooLongAreRefused() async throws {
        let resolver = TableResolver(four: ["a": [[1, 2, 3], [1, 2, 3, 4, 5], []]])
        #expect(await code(resolver, "/dns4/a") == .resolutionFailed)
        let name = String(repeating: "a", count: 254)
        #expect(await code(resolver, try Multiaddr(parsing: "/dns4/\(name)")) == .resolutionFailed)
        #expect(resolver.count == 1)
    }

    @Test func theSystemKnowsTheLocalHost() async throws {
        let found = try await SystemNameResolver().resolve("/dns4/localhost/udp/1/quic-v1")
        #expect(found.contains("/ip4/127.0.0.1/udp/1/quic-v1"))
        await #expect(throws: MultiaddrError.self) { try await SystemNameResolver().ip4Addresses(of: "") }
        await #expect(throws: MultiaddrError.self) { try await SystemNameResolver().textRecords(of: "a\u{0}b") }
    }

    @Test func aCancelledLookupReturnsBeforeItsThreadDoes() async throws {
        let pool = LookupPool(width: 1, backlog: 1)
        // The thread is held by a lock until the caller has come back.
        let gate = Gate()
        let task = Task { try await pool.run { gate.pass() } }
        await gate.entered()
        let queued = Task { try await pool.run { 1 } }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        gate.open()
        #expect(try await queued.value == 1)
    }
}

/// Holds a thread until it is opened, and tells when one has arrived.
private final class Gate: Sendable {
    private let arrived = AsyncStream.makeStream(of: Void.self)
    private let semaphore = DispatchSemaphore(value: 0)

    func pass() {
        arrived.continuation.yield()
        semaphore.wait()
    }

    func entered() async {
        for await _ in arrived.stream { return }
    }

    func open() { semaphore.signal() }
}

@Suite struct DNSMessages {
    private let header: [UInt8] = [0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]
    private let question: [UInt8] = [1, 0x61, 1, 0x62, 0, 0, 16, 0, 1]

    private func record(_ type: UInt8, _ data: [UInt8]) -> [UInt8] {
        [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, UInt8(data.count >> 8), UInt8(data.count & 0xff)] + data
    }

    @Test func stringsOfARecordAreJoinedAndOtherRecordsSkipped() {
        let message = header + question + record(5, [0xc0, 12]) + record(16, [2, 0x68, 0x69, 0, 1, 0x21])
        #expect(DNSMessage.textRecords(in: message.span) == [Array("hi!".utf8)])
    }

    @Test func everyCutOfAMessageIsHarmless() {
        let message = header + question + record(16, [1, 0x61]) + record(16, [200, 0x61])
        for end in 0...message.count {
            let found = DNSMessage.textRecords(in: message.span.extracting(0..<end))
            #expect(found.isEmpty || found == [[0x61]])
        }
    }

    @Test func randomMessagesAreHarmless() {
        var random = SeededGenerator.announced("DNS messages")
        for _ in 0..<10_000 {
            var message = header + question + record(16, [1, 0x61]) + record(16, [0])
            for _ in 0..<3 {
                message[Int.random(in: 0..<message.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = DNSMessage.textRecords(in: message.span)
            _ = DNSMessage.textRecords(in: random.bytes(Int.random(in: 0...80, using: &random)).span)
        }
    }
}
