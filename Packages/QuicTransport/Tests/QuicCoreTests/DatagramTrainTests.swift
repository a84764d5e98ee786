import Testing

@testable import QuicCore

/// Datagrams that come glued together, as a kernel with receive offload hands them over, and those that leave so.
@Suite struct DatagramTrainTests {
    /// Two nodes with a confirmed connection, and what the client sends from then on, held back.
    private final class Pair {
        let client: CoreNode
        let server: CoreNode
        let network: CoreNetwork
        let core: ConnectionCore
        var heldBack: [[UInt8]] = []
        /// The bytes of the streams until then.
        let sentBefore: Int

        init(seed: UInt64) throws {
            client = try CoreNode(port: 1001, seed: seed, accepts: false)
            server = try CoreNode(port: 1002, seed: seed + 1)
            network = CoreNetwork(client, server)
            core = try network.dial(from: client, to: server, expecting: nil)
            network.run(seconds: 5)
            // Full packets have one size from then on.
            sentBefore = try network.discoverPathSize(core, of: client)
            let to = server.address
            network.filter = { [unowned self] packet in
                guard packet.to == to else { return packet }
                heldBack.append(packet.bytes)
                return nil
            }
        }

        /// Has the client send bytes on a new stream.
        func send(_ bytes: [UInt8], isEnd: Bool = true) throws -> StreamID {
            let stream = try #require(try core.openStream())
            core.send([try #require(SendSegment(copying: bytes))], isEnd: isEnd, on: stream)
            network.service(core, of: client)
            // The pacer may hold the rest back for a moment.
            network.run(seconds: 0.003)
            return stream
        }

        /// Takes the datagrams that can lie in one train: those of the first one's size, and one that is shorter.
        func takeTrain() -> (bytes: [UInt8], segmentSize: Int) {
            let size = heldBack.first?.count ?? 0
            var count = heldBack.prefix { $0.count == size }.count
            if count < heldBack.count, heldBack[count].count < size { count += 1 }
            defer { heldBack.removeFirst(count) }
            return (Array(heldBack.prefix(count).joined()), size)
        }

        /// Hands a train to the server, run by run. Returns how long each run was.
        @discardableResult
        func deliver(_ bytes: [UInt8], segmentSize: Int) -> [Int] {
            var lengths: [Int] = []
            bytes.withUnsafeBytes { bytes in
                var rest = bytes
                while !rest.isEmpty {
                    let (outcome, length) = server.endpoint.receiveRun(
                        rest,
                        segmentSize: segmentSize,
                        from: client.address,
                        to: server.address,
                        ecn: 0,
                        now: network.now
                    )
                    lengths.append(length)
                    rest = UnsafeRawBufferPointer(rebasing: rest[length...])
                    if case .connection(let core) = outcome { network.service(core, of: server) }
                }
            }
            return lengths
        }
    }

    private func pattern(_ count: Int, _ start: Int = 0) -> [UInt8] {
        (start..<start + count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    @Test func aTrainArrivesInOneRun() throws {
        let pair = try Pair(seed: 701)
        let stream = try pair.send(pattern(9000))
        let before = pair.server.endpoint.statistics
        let (bytes, size) = pair.takeTrain()
        #expect(bytes.count > 5 * size)
        #expect(pair.deliver(bytes, segmentSize: size) == [bytes.count])
        #expect(pair.heldBack.isEmpty)
        #expect(pair.server.received[stream] == pattern(9000))
        #expect(pair.server.ended.contains(stream))
        let after = pair.server.endpoint.statistics
        #expect(after.bytesReceived - before.bytesReceived == UInt64(bytes.count))
        #expect(after.datagramsReceived - before.datagramsReceived == UInt64((bytes.count + size - 1) / size))
    }

    @Test func aTrainEndsWhereAnotherConnectionBegins() throws {
        let pair = try Pair(seed: 703)
        let first = try pair.send(pattern(4000))
        let (bytes, size) = pair.takeTrain()
        // A short header with an ID that nobody has, and then the rest.
        var stranger = [UInt8](bytes[..<size])
        for index in 1...8 { stranger[index] ^= 0xff }
        let train = bytes[..<size] + stranger + bytes[size...]
        #expect(pair.deliver(Array(train), segmentSize: size) == [size, size, bytes.count - size])
        #expect(pair.server.received[first] == pattern(4000))
    }

    @Test func aDamagedDatagramCostsItsTrainNothingElse() throws {
        let pair = try Pair(seed: 705)
        let stream = try pair.send(pattern(9000))
        var (bytes, size) = pair.takeTrain()
        bytes[2 * size + 40] ^= 1
        #expect(pair.deliver(bytes, segmentSize: size) == [bytes.count])
        // What came before it; the rest waits for it.
        let received = try #require(pair.server.received[stream])
        #expect(received.count < 2 * size && pattern(9000).starts(with: received))
        pair.network.filter = { $0 }
        #expect(pair.network.run(seconds: 5) { pair.server.ended.contains(stream) })
        #expect(pair.server.received[stream] == pattern(9000))
    }

    @Test func whatFollowsAStopInItsTrainIsRead() throws {
        let pair = try Pair(seed: 707)
        // The server sends on a stream that the client does not want any more.
        let unwanted = try pair.send([1], isEnd: false)
        let (request, requestSize) = pair.takeTrain()
        pair.deliver(request, segmentSize: requestSize)
        let serverCore = try #require(pair.server.opened.first)
        pair.core.stopReceiving(unwanted, code: 9)
        let stream = try pair.send(pattern(9000))
        let (bytes, size) = pair.takeTrain()
        #expect(pair.deliver(bytes, segmentSize: size) == [bytes.count])
        let stops = pair.server.events(of: serverCore).filter {
            if case .streamStopped(unwanted, code: 9) = $0 { true } else { false }
        }
        #expect(stops.count == 1)
        #expect(pair.server.received[stream] == pattern(9000))
    }

    @Test func aTrainForAConnectionThatIsClosingIsCountedDatagramByDatagram() throws {
        let pair = try Pair(seed: 709)
        _ = try pair.send(pattern(9000))
        let (bytes, size) = pair.takeTrain()
        let serverCore = try #require(pair.server.opened.first)
        serverCore.close(code: 5, reason: "", now: pair.network.now)
        pair.network.service(serverCore, of: pair.server)
        let before = serverCore.traffic
        pair.deliver(bytes, segmentSize: size)
        #expect(serverCore.datagramsSinceClose == (bytes.count + size - 1) / size)
        let counted = serverCore.traffic.datagramsReceived - before.datagramsReceived
        #expect(counted == UInt64((bytes.count + size - 1) / size))
    }

    /// Several streams of odd lengths, whose bytes lie in many pieces: packets that one stream fills, and those that hold
    /// the end of one and the beginning of the next.
    @Test func trainsOfManyStreamsHoldEveryByteOnce() throws {
        let pair = try Pair(seed: 711)
        pair.network.filter = { $0 }
        var streams: [(StreamID, [UInt8])] = []
        for index in 0..<20 {
            let bytes = pattern(1 + index * 3571, index)
            let stream = try #require(try pair.core.openStream())
            var segments: [SendSegment] = []
            var offset = 0
            while offset < bytes.count {
                let end = min(bytes.count, offset + 1 + (offset * 7 + index * 131) % 5000)
                segments.append(try #require(SendSegment(copying: Array(bytes[offset..<end]))))
                offset = end
            }
            pair.core.send(segments, isEnd: true, on: stream)
            streams.append((stream, bytes))
        }
        pair.network.service(pair.core, of: pair.client)
        #expect(pair.network.run(seconds: 10) { pair.server.ended.count == streams.count })
        for (stream, bytes) in streams { #expect(pair.server.received[stream] == bytes) }
        pair.network.run(seconds: 1)
        let acknowledged = pair.client.events(of: pair.core).reduce(0) { sum, event in
            if case .streamAcknowledged(_, let count) = event { sum + count } else { sum }
        }
        #expect(acknowledged == streams.reduce(pair.sentBefore) { $0 + $1.1.count })
    }
}

@Suite struct StreamArrivalsTests {
    @Test func muchIsGatheredInPiecesOfModerateSize() {
        var arrivals = StreamArrivals()
        var expected: [UInt8] = []
        for index in 0..<200 {
            let packet = [UInt8](repeating: UInt8(index), count: 1400)
            packet.withUnsafeBytes { arrivals.append($0) }
            expected += packet
        }
        #expect(arrivals.count == expected.count)
        let (full, last) = arrivals.drain()
        #expect(Array(full.joined()) + last == expected)
        #expect(full.count == 4 && full.allSatisfy { $0.count <= StreamArrivals.pieceSize && $0.count > 60_000 })
        #expect(!last.isEmpty)
        #expect(arrivals.count == 0)
        let again = arrivals.drain()
        #expect(again.full.isEmpty && again.last.isEmpty)
    }
}
