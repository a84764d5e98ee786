import Testing

@testable import QuicCore

/// A server that is spoken to by hand, and what it was given and gave.
private final class Meter {
    let server: CoreNode
    let network: CoreNetwork
    let stranger: NetworkAddress
    private(set) var received = 0
    private(set) var sent = 0
    private(set) var replies: [[UInt8]] = []
    /// The moment at which more went out than three times what came in.
    private(set) var excess: String?

    init(
        seed: UInt64,
        stranger: NetworkAddress,
        retry: QuicConfiguration.Endpoint.Retry = .never,
        budget: ConnectionBudget? = nil
    ) throws {
        var configuration = QuicConfiguration.defaults
        configuration.endpoint.retry = retry
        server = try CoreNode(port: 1002, seed: seed, configuration: configuration, budget: budget)
        network = CoreNetwork(server)
        self.stranger = stranger
        network.filter = { [unowned self] packet in
            if packet.to == stranger {
                sent += packet.bytes.count
                replies.append(packet.bytes)
                if sent > 3 * received, excess == nil { excess = "\(sent) bytes sent for \(received) received" }
            }
            return nil
        }
    }

    func give(_ bytes: [UInt8]) {
        received += bytes.count
        network.deliver(bytes, to: server, from: stranger)
    }

    func wait(seconds: Double) { network.run(seconds: seconds) }
}

@Suite struct AmplificationTests {
    private let stranger = NetworkAddress.ip4(10, 0, 0, 1, port: 7777)

    private func junk(_ generator: inout SeededGenerator, knowing ids: [[UInt8]]) -> [UInt8] {
        let count = Int(generator.next() % 1500)
        var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        guard count > 40, let id = ids.randomElement(using: &generator) else { return bytes }
        switch generator.next() % 3 {
        case 0: bytes.replaceSubrange(0..<(1 + id.count), with: [0x40 | bytes[0] & 0x3f] + id)
        case 1:
            let first = 0xc0 | bytes[0] & 0x3f
            bytes.replaceSubrange(0..<(6 + id.count), with: [first, 0, 0, 0, 1, UInt8(id.count)] + id)
        default: bytes.replaceSubrange(0..<5, with: [0xc3, 0x1a, 0x2a, 0x3a, 0x4a])
        }
        return bytes
    }

    @Test func handshakesThatStopHalfWayAndJunkAreNotAmplified() throws {
        let hello = try ClientHello.captured()
        for seed in propertySeeds(3) {
            var generator = SeededGenerator(seed: seed)
            let meter = try Meter(seed: seed, stranger: stranger)
            var ids: [[UInt8]] = []
            for _ in 0..<40 {
                switch generator.next() % 6 {
                case 0, 1:
                    // A handshake: whole, broken inside TLS, or only its beginning.
                    let id = (0..<8).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                    ids.append(id)
                    var message = hello.message
                    switch generator.next() % 3 {
                    case 0: message[Int(generator.next() % UInt64(message.count))] ^= 0xff
                    case 1: message.removeLast(message.count / 2)
                    default: break
                    }
                    meter.give(InitialForge(destination: id).seal(InitialForge.crypto(message), source: hello.source))
                case 2: meter.wait(seconds: Double(generator.next() % 5000) / 1000)
                default: meter.give(junk(&generator, knowing: ids))
                }
                // What the server called itself.
                for reply in meter.replies.suffix(3) {
                    if let id = try? parse(reply, idLength: 8).sourceID?.bytes { ids.append(id) }
                }
            }
            meter.wait(seconds: 40)
            #expect(meter.excess == nil, "seed \(seed)")
            #expect(meter.sent > 0, "seed \(seed)")
            #expect(meter.server.endpoint.connectionCount == 0, "seed \(seed)")
            #expect(meter.server.endpoint.registry.isEmpty, "seed \(seed)")
        }
    }

    @Test func aServerThatHearsNothingMoreStopsAtThreeTimes() throws {
        let meter = try Meter(seed: 5, stranger: stranger)
        meter.give(try ClientHello.captured().initial(to: [1, 2, 3, 4, 5, 6, 7, 9]))
        meter.wait(seconds: 30)
        #expect(meter.excess == nil)
        #expect(meter.sent > 1200)
        #expect(meter.server.endpoint.halfOpenCount == 0)
    }

    @Test func closesAreNotAmplifiedByTinyDatagrams() throws {
        let meter = try Meter(seed: 6, stranger: stranger)
        let id: [UInt8] = [7, 2, 3, 4, 5, 6, 7, 9]
        // No transport parameters: TLS ends at once, and the server says so.
        let hello = try ClientHello.captured().with(transportParameters: nil)
        meter.give(hello.initial(to: id))
        try #require(meter.replies.count == 1)
        // The shortest packets that reach the closing connection: in answer to each it would say it again.
        let tiny: [UInt8] = [0xc3, 0, 0, 0, 1, 8] + id + [0, 0, 0]
        let before = meter.sent
        for _ in 0..<4096 { meter.give(tiny) }
        // Ever more rarely, and never with more than thrice the bytes of the one that is answered.
        #expect(meter.replies.count <= 14)
        #expect(meter.sent - before <= 13 * 3 * tiny.count)
        #expect(meter.excess == nil)
        meter.wait(seconds: 30)
        #expect(meter.server.endpoint.connectionCount == 0)
    }

    @Test func anInitialThatDoesNotDecryptOpensNothingAndIsNotAnswered() throws {
        let meter = try Meter(seed: 8, stranger: stranger)
        let good = try ClientHello.captured().initial(to: [1, 2, 3, 4, 5, 6, 7, 8])
        for index in 0..<200 {
            var bytes = good
            // The sealed part: packet number, frames and tag.
            bytes[30 + index * 5] ^= 0x40
            meter.give(bytes)
        }
        #expect(meter.sent == 0)
        #expect(meter.server.opened.isEmpty)
        #expect(meter.server.endpoint.connectionCount == 0)
        #expect(meter.server.endpoint.halfOpenCount == 0)
        #expect(meter.server.endpoint.registry.isEmpty)
        #expect(meter.server.endpoint.statistics.malformed == 200)
        meter.give(good)
        #expect(meter.server.opened.count == 1)
    }

    @Test func refusalsAreSmallAndRationed() throws {
        let hello = try ClientHello.captured()
        let full = try Meter(seed: 10, stranger: stranger, budget: ConnectionBudget(limit: 0))
        for index in 0..<1000 {
            full.give(hello.initial(to: [5, 5, 5, 5, 5, 5, UInt8(index >> 8), UInt8(index & 0xff)]))
        }
        #expect(full.excess == nil)
        #expect(full.sent > 0)
        #expect(full.replies.count == 500)
        #expect(full.server.endpoint.statistics.rejected == 1000)
        // Tokens that look like a Retry's (of both lengths that the library has had) and are none.
        let other = try Meter(seed: 11, stranger: stranger, retry: .always)
        for length in [62, 78] {
            let token = [0xb6] + [UInt8](repeating: 3, count: length - 1)
            other.give(hello.initial(to: [6, 5, 5, 5, 5, 5, 5, UInt8(length)], token: token))
        }
        #expect(other.excess == nil)
        #expect(other.server.endpoint.statistics.invalidTokens == 1)
        #expect(other.server.endpoint.connectionCount == 0)
    }

    @Test func retriesAreNotAmplified() throws {
        for seed in propertySeeds(2) {
            var generator = SeededGenerator(seed: seed)
            let meter = try Meter(seed: seed, stranger: stranger, retry: .always)
            for index in 0..<300 {
                if index % 3 == 0 {
                    let id = (0..<8).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                    meter.give(InitialForge(destination: id).seal([0x01]))
                } else {
                    meter.give(junk(&generator, knowing: []))
                }
            }
            #expect(meter.excess == nil, "seed \(seed)")
            #expect(meter.server.endpoint.statistics.retries >= 100, "seed \(seed)")
            #expect(meter.server.endpoint.connectionCount == 0)
        }
    }
}
