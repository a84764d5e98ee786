import Libp2pTLS
import PeerID
import QuicCore
import QuicSimulation

/// A client and a server of the protocol core with nothing between them: what one writes the other reads at once, 50 µs of
/// virtual time later. No checks and no sockets, so that what is counted is the core and the libraries below it.
final class Pair {
    private let client: Side
    private let server: Side
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    private let zeros = Zeros()
    private(set) var now: UInt64 = 1_000_000_000
    /// Bytes that the client got, in all.
    private(set) var received = 0
    /// The client's streams that are over.
    private(set) var finished = 0
    private var isConfirmed = false
    private var flight: [Flight] = []

    private struct Side {
        var endpoint: EndpointCore
        var address: NetworkAddress
        var core: ConnectionCore?
    }

    private struct Flight {
        var bytes: [UInt8]
        var segmentSize: Int
        var toServer: Bool
        var ecn: UInt8
    }

    private var sides: [Side]

    init(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        sides = try (0..<2).map { index in
            let identity = try PrivateKey.ed25519(
                seed: (0..<32).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            )
            // Ed25519, because the signature of a P-256 key varies in length, and a clock that stands still.
            let tls = TLSConfiguration(certificateKey: .ed25519, clock: { 1_700_000_000 })
            var configuration = QuicConfiguration.defaults
            configuration.streams.initialInboundCredit = 200
            // The same on every machine, whatever is installed there.
            configuration.packetProtection = .gnutls
            let endpoint = EndpointCore(
                configuration: configuration,
                tls: try TLSContext(identity: identity, configuration: tls),
                identifiers: try ServerConnectionIDs(
                    staticKey: (0..<32).map { _ in UInt8(truncatingIfNeeded: generator.next()) },
                    owner: 0
                ),
                random: generator.fork()
            )
            endpoint.acceptsConnections = index == 1
            return Side(endpoint: endpoint, address: .ip4(10, 0, 0, UInt8(index + 1), port: 4001))
        }
        (client, server) = (sides[0], sides[1])
    }

    deinit { buffer.deallocate() }

    // MARK: what scenarios do

    /// A handshake up to the server's consent.
    func connect() throws {
        isConfirmed = false
        sides[0].core = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: nil,
            now: now
        )
        try run { isConfirmed }
    }

    /// Closes the connection and waits until both sides have forgotten it.
    func disconnect() throws {
        sides[0].core?.close(code: 0, reason: "", now: now)
        try run { sides[0].core == nil && sides[1].core == nil }
    }

    /// Opens a stream and sends a header, which says how many bytes are wanted, and so many zeros.
    @discardableResult
    func request(_ count: Int, wanting wanted: Int, isEnd: Bool = true) throws -> StreamID {
        guard let id = try sides[0].core?.openStream() else { throw Failed("no credit for a stream") }
        send([UInt8](withUnsafeBytes(of: UInt64(wanted).bigEndian, Array.init)), on: id)
        sendZeros(count, isEnd: isEnd, on: id, of: 0)
        return id
    }

    /// Sends on a stream that was opened before.
    func send(_ count: Int, on id: StreamID) { sendZeros(count, isEnd: false, on: id, of: 0) }

    /// Lets things happen until something is so.
    func run(until condition: () -> Bool) throws {
        for _ in 0..<10_000_000 {
            for index in 0..<2 { service(index) }
            if condition() { return }
            if flight.isEmpty { try wait() } else { deliver() }
        }
        throw Failed("it never comes to an end")
    }

    // MARK: driving, as ConnectionCore says

    private func service(_ index: Int) {
        guard let core = sides[index].core else { return }
        takeEvents(of: core, index)
        while let batch = core.writeBatch(into: buffer, maxSegments: 44, now: now) {
            flight.append(
                Flight(
                    bytes: Array(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<batch.count])),
                    segmentSize: batch.segmentSize,
                    toServer: index == 0,
                    ecn: batch.ecn
                )
            )
        }
        sides[index].endpoint.synchronize(core)
        takeEvents(of: core, index)
        guard core.isFinished else { return }
        sides[index].endpoint.remove(core)
        sides[index].core = nil
    }

    private func deliver() {
        now += 50_000
        let arriving = flight
        flight.removeAll(keepingCapacity: true)
        for each in arriving {
            let index = each.toServer ? 1 : 0
            each.bytes.withUnsafeBytes { bytes in
                var offset = 0
                while offset < bytes.count {
                    let end = min(offset + each.segmentSize, bytes.count)
                    receive(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), at: index, ecn: each.ecn)
                    offset = end
                }
            }
        }
    }

    private func receive(_ datagram: UnsafeRawBufferPointer, at index: Int, ecn: UInt8) {
        let side = sides[index]
        let outcome = side.endpoint.receive(
            datagram,
            from: sides[1 - index].address,
            to: side.address,
            ecn: ecn,
            now: now
        )
        if case .opened(let core) = outcome { sides[index].core = core }
    }

    /// Nothing is under way: the next timer.
    private func wait() throws {
        guard let next = sides.compactMap({ $0.core?.nextDeadline }).min() else {
            throw Failed("nothing will ever happen")
        }
        now = max(now, next)
        for side in sides { side.core?.handleTimer(now: now) }
    }

    // MARK: the application

    private func takeEvents(of core: ConnectionCore, _ index: Int) {
        while let event = core.nextEvent() {
            switch event {
            case .handshakeConfirmed where index == 0: isConfirmed = true
            case .streamData(let id, let bytes, let isEnd):
                core.consumed(bytes.count, on: id)
                if index == 0 { received += bytes.count } else { serve(bytes, isEnd: isEnd, on: id) }
            case .streamClosed:
                if index == 0 { finished += 1 } else { core.allowStreams(1) }
            default: break
            }
        }
    }

    /// What a stream's header wants; with the highest bit each byte is answered by one.
    private var wanted: [StreamID: Int] = [:]

    private func serve(_ bytes: [UInt8], isEnd: Bool, on id: StreamID) {
        var count = bytes.count
        if wanted[id] == nil {
            wanted[id] = bytes.prefix(8).reduce(0) { $0 << 8 | Int($1) }
            count -= 8
        }
        if wanted[id] == Self.echo {
            if count > 0 || isEnd { sendZeros(count, isEnd: isEnd, on: id, of: 1) }
        } else if isEnd {
            sendZeros(wanted[id] ?? 0, isEnd: true, on: id, of: 1)
        }
        if isEnd { wanted[id] = nil }
    }

    /// The header of a stream on which every byte comes back.
    static let echo = 1 << 62

    private func send(_ bytes: [UInt8], on id: StreamID) {
        guard let segment = SendSegment(copying: bytes) else { return }
        sides[0].core?.send([segment], isEnd: false, on: id)
    }

    private func sendZeros(_ count: Int, isEnd: Bool, on id: StreamID, of index: Int) {
        var segments: [SendSegment] = []
        var left = count
        while left > 0 {
            let step = min(left, Zeros.count)
            segments.append(SendSegment(owner: zeros, base: UnsafeRawPointer(zeros.base), count: step))
            left -= step
        }
        sides[index].core?.send(segments, isEnd: isEnd, on: id)
    }
}

/// Where all bytes come from.
private final class Zeros {
    static let count = 65_536
    let base = UnsafeMutableRawPointer.allocate(byteCount: Zeros.count, alignment: 16)

    init() { base.initializeMemory(as: UInt8.self, repeating: 0, count: Zeros.count) }

    deinit { base.deallocate() }
}

struct Failed: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
