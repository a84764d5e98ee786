import CNgtcp2Shims
import Testing

/// A frame guard with the limits of the defaults, driven packet by packet.
struct Guard {
    var state = lp2p_frame_guard()
    var now: UInt64 = 1_000_000_000

    init(_ change: (inout lp2p_frame_guard_limits) -> Void = { _ in }) {
        var limits = lp2p_frame_guard_limits(
            connection_control: lp2p_rate(per_second: 100, burst: 1000),
            stream_control: lp2p_rate(per_second: 50_000, burst: 50_000),
            ping: lp2p_rate(per_second: 50_000, burst: 50_000),
            max_ack_ranges: 512
        )
        change(&limits)
        lp2p_frame_guard_init(&state, &limits)
    }

    enum Space: Int32, CaseIterable { case initial, zeroRTT, handshake, oneRTT }

    /// The verdict on a packet, and the packet as it is handed on.
    ///
    /// The packet lies in memory of exactly its size, so that a sanitizer sees any step beyond it.
    mutating func inspect(_ packet: [UInt8], _ space: Space = .oneRTT) -> (verdict: Int32, packet: [UInt8]) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: packet.count, alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: packet)
        let verdict = lp2p_frame_guard_inspect(
            &state,
            memory.baseAddress?.assumingMemoryBound(to: UInt8.self),
            packet.count,
            space.rawValue,
            now
        )
        return (verdict, [UInt8](memory))
    }
}

/// The shortest encoding of a QUIC integer, or one of at least a given length.
func varint(_ value: UInt64, length: Int = 1) -> [UInt8] {
    let sizes: [(Int, UInt64)] = [(1, 0x3f), (2, 0x3fff), (4, 0x3fff_ffff), (8, 0x3fff_ffff_ffff_ffff)]
    for (exponent, (size, limit)) in sizes.enumerated() where value <= limit && size >= length {
        var bytes = (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64(size - 1 - $0))) }
        bytes[0] |= UInt8(exponent) << 6
        return bytes
    }
    return []
}

func newConnectionID(_ sequence: UInt64, retire: UInt64 = 0, length: UInt8 = 8) -> [UInt8] {
    [0x18] + varint(sequence) + varint(retire) + [length] + [UInt8](repeating: 0xab, count: Int(length) + 16)
}

/// One well-formed frame of each type, with the packet types it may stand in.
struct SampleFrame: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var spaces: Set<Guard.Space>
    /// Whether the frame may end anywhere, because it reaches to the end of the packet.
    var reachesToTheEnd = false

    var testDescription: String { name }

    static let all: [SampleFrame] = {
        let anywhere = Set(Guard.Space.allCases)
        let crypto: Set<Guard.Space> = [.initial, .handshake, .oneRTT]
        let data: Set<Guard.Space> = [.zeroRTT, .oneRTT]
        let late: Set<Guard.Space> = [.oneRTT]
        var frames: [SampleFrame] = [
            .init(name: "PING", bytes: [1], spaces: anywhere),
            .init(
                name: "ACK",
                bytes: [2] + varint(1000) + varint(3) + varint(2) + varint(5)
                    + varint(1) + varint(2) + varint(300) + varint(70),
                spaces: crypto
            ),
            .init(
                name: "ACK with ECN",
                bytes: [3] + varint(9) + [0, 0, 0] + varint(1) + varint(2) + varint(70),
                spaces: crypto
            ),
            .init(name: "RESET_STREAM", bytes: [4] + varint(4) + varint(0x1003) + varint(70_000), spaces: data),
            .init(name: "STOP_SENDING", bytes: [5] + varint(4) + varint(0x1003), spaces: data),
            .init(name: "CRYPTO", bytes: [6] + varint(100) + varint(5) + [1, 2, 3, 4, 5], spaces: crypto),
            .init(name: "NEW_TOKEN", bytes: [7] + varint(3) + [1, 2, 3], spaces: late),
            .init(name: "MAX_DATA", bytes: [0x10] + varint(1 << 40), spaces: data),
            .init(name: "MAX_STREAM_DATA", bytes: [0x11] + varint(4) + varint(1 << 40), spaces: data),
            .init(name: "MAX_STREAMS bidirectional", bytes: [0x12] + varint(1 << 60), spaces: data),
            .init(name: "MAX_STREAMS unidirectional", bytes: [0x13] + varint(100), spaces: data),
            .init(name: "DATA_BLOCKED", bytes: [0x14] + varint(1 << 20), spaces: data),
            .init(name: "STREAM_DATA_BLOCKED", bytes: [0x15] + varint(4) + varint(1 << 20), spaces: data),
            .init(name: "STREAMS_BLOCKED bidirectional", bytes: [0x16] + varint(100), spaces: data),
            .init(name: "STREAMS_BLOCKED unidirectional", bytes: [0x17] + varint(1 << 60), spaces: data),
            .init(name: "NEW_CONNECTION_ID", bytes: newConnectionID(300, retire: 299, length: 20), spaces: data),
            .init(name: "RETIRE_CONNECTION_ID", bytes: [0x19] + varint(70), spaces: late),
            .init(name: "PATH_CHALLENGE", bytes: [0x1a, 1, 2, 3, 4, 5, 6, 7, 8], spaces: data),
            .init(name: "PATH_RESPONSE", bytes: [0x1b, 1, 2, 3, 4, 5, 6, 7, 8], spaces: late),
            .init(
                name: "CONNECTION_CLOSE",
                bytes: [0x1c] + varint(0x12a) + varint(6) + varint(2) + [0x68, 0x69],
                spaces: anywhere
            ),
            .init(
                name: "CONNECTION_CLOSE of the application",
                bytes: [0x1d] + varint(0x1000) + varint(1) + [0x68],
                spaces: data
            ),
            .init(name: "HANDSHAKE_DONE", bytes: [0x1e], spaces: late),
            .init(name: "DATAGRAM", bytes: [0x30, 1, 2, 3], spaces: data, reachesToTheEnd: true),
            .init(name: "DATAGRAM with length", bytes: [0x31] + varint(3) + [1, 2, 3], spaces: data),
        ]
        for flags in UInt8(0)...7 {
            var bytes = [0x08 | flags] + varint(400)
            if flags & 4 != 0 { bytes += varint(70_000) }
            if flags & 2 != 0 { bytes += varint(3) }
            frames.append(
                .init(
                    name: "STREAM \(flags)",
                    bytes: bytes + [1, 2, 3],
                    spaces: data,
                    reachesToTheEnd: flags & 2 == 0
                )
            )
        }
        return frames
    }()
}

private let pass: Int32 = 0
private let frameEncodingError: Int32 = 0x07
private let protocolViolation: Int32 = 0x0a

@Suite struct FrameGuardTests {
    @Test(arguments: SampleFrame.all) func passesAWellFormedFrameWhereItMayStand(frame: SampleFrame) {
        for space in Guard.Space.allCases {
            var frames = Guard()
            let result = frames.inspect([0, 0] + frame.bytes, space)
            #expect(result.verdict == (frame.spaces.contains(space) ? pass : protocolViolation), "\(space)")
            #expect(result.packet == [0, 0] + frame.bytes)
        }
    }

    @Test(arguments: SampleFrame.all) func refusesAFrameThatIsCutAnywhere(frame: SampleFrame) {
        let space: Guard.Space = .oneRTT
        for length in 1..<max(frame.bytes.count, 2) where !frame.reachesToTheEnd && length < frame.bytes.count {
            var frames = Guard()
            let result = frames.inspect(Array(frame.bytes[..<length]), space)
            #expect(result.verdict == frameEncodingError, "after \(length) bytes")
            #expect(frames.state.verdict == frameEncodingError)
            #expect(frames.state.verdict_text != nil)
        }
    }

    @Test func passesAllFramesTogether() {
        var frames = Guard()
        var packet: [UInt8] = []
        for frame in SampleFrame.all where !frame.reachesToTheEnd { packet += frame.bytes + [0] }
        #expect(frames.inspect(packet).verdict == pass)
    }

    @Test func refusesUnknownTypes() {
        let known = Set(SampleFrame.all.map { $0.bytes[0] } + [0])
        let zeros = [UInt8](repeating: 0, count: 40)
        for type in UInt8(0)...63 where !known.contains(type) {
            var frames = Guard()
            #expect(frames.inspect([type] + zeros).verdict == frameEncodingError)
        }
        for type in [64, 0x4000, 1 << 40, (1 << 62) - 1] as [UInt64] {
            var frames = Guard()
            #expect(frames.inspect(varint(type) + zeros).verdict == frameEncodingError)
        }
    }

    @Test func refusesTypesThatAreNotInTheirShortestForm() {
        for length in [2, 4, 8] {
            var frames = Guard()
            #expect(frames.inspect(varint(1, length: length)).verdict == protocolViolation)
        }
    }

    @Test func refusesAPacketWithoutFrames() {
        var frames = Guard()
        #expect(frames.inspect([]).verdict == protocolViolation)
        #expect(frames.inspect([0]).verdict == pass)
    }

    @Test func refusesFieldsThatAreOutOfRange() {
        let maximum: UInt64 = (1 << 62) - 1
        let cases: [(String, [UInt8])] = [
            ("ACK below 0", [2] + varint(5) + [0, 0] + varint(6)),
            ("ACK whose second range is below 0", [2] + varint(5) + [0, 1, 3] + [1, 0]),
            ("ACK whose gap is below 0", [2] + varint(5) + [0, 1, 0] + varint(maximum) + [0]),
            ("ACK with more ranges than bytes", [2] + varint(5) + [0] + varint(maximum) + [0, 0, 0]),
            ("CRYPTO too long", [6, 0] + varint(maximum)),
            ("CRYPTO beyond the end", [6] + varint(maximum) + [1, 0]),
            ("STREAM beyond the end", [0x0e, 0] + varint(maximum) + [1, 0]),
            ("STREAM to the packet's end, beyond the end", [0x0c, 0] + varint(maximum) + [0]),
            ("STREAM too long", [0x0a, 0] + varint(maximum) + [0]),
            ("NEW_TOKEN without a token", [7, 0]),
            ("MAX_STREAMS too many", [0x12] + varint(1 << 60 + 1)),
            ("STREAMS_BLOCKED too many", [0x17] + varint(1 << 60 + 1)),
            ("NEW_CONNECTION_ID without bytes", newConnectionID(1, length: 0)),
            ("NEW_CONNECTION_ID of 21 bytes", newConnectionID(1, length: 21)),
            ("NEW_CONNECTION_ID that retires itself", newConnectionID(1, retire: 2)),
            ("CONNECTION_CLOSE too long", [0x1c, 0, 0] + varint(maximum)),
            ("DATAGRAM too long", [0x31] + varint(maximum)),
        ]
        for (name, packet) in cases {
            var frames = Guard()
            #expect(frames.inspect(packet).verdict == frameEncodingError, "\(name)")
        }
    }

    @Test func boundsTheRangesOfAnACK() {
        func ack(_ ranges: Int) -> [UInt8] {
            var frame: [UInt8] = [2] + varint(1 << 30) + [0]
            frame += varint(UInt64(ranges)) + [0]
            return frame + [UInt8](repeating: 0, count: 2 * ranges)
        }
        var frames = Guard()
        #expect(frames.inspect(ack(512)).verdict == pass)
        #expect(frames.inspect(ack(513)).verdict == protocolViolation)
    }

    @Test func remembersTheLargestAcknowledgedPacketOf1RTTOnly() {
        var frames = Guard()
        #expect(frames.state.largest_acked == -1)
        _ = frames.inspect([2] + varint(90) + [0, 0, 0], .initial)
        _ = frames.inspect([2] + varint(91) + [0, 0, 0], .handshake)
        #expect(frames.state.largest_acked == -1)
        _ = frames.inspect([2] + varint(7) + [0, 0, 0])
        #expect(frames.state.largest_acked == 7)
        _ = frames.inspect([2] + varint(5) + [0, 0, 0])
        #expect(frames.state.largest_acked == 7)
        _ = frames.inspect([3] + varint((1 << 62) - 1) + [0, 0, 0, 0, 0, 0])
        #expect(frames.state.largest_acked == (1 << 62) - 1)
    }

    @Test func survivesRandomBytes() {
        for seed in propertySeeds() {
            var generator = SeededGenerator(seed: seed)
            var frames = Guard()
            var verdicts: [Int32: Int] = [:]
            for _ in 0..<20_000 {
                var packet: [UInt8] = []
                // Well-formed frames first, so that the walk gets somewhere; then noise, and some flipped bytes.
                for _ in 0..<Int.random(in: 0...3, using: &generator) {
                    packet += SampleFrame.all.randomElement(using: &generator)?.bytes ?? []
                }
                packet += (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator) & (Bool.random(using: &generator) ? 0x1f : 0xff)
                }
                if let index = packet.indices.randomElement(using: &generator) {
                    packet[index] = UInt8.random(in: 0...255, using: &generator)
                }
                frames.now += 50_000_000
                let space = Guard.Space.allCases.randomElement(using: &generator) ?? .oneRTT
                let result = frames.inspect(packet, space)
                verdicts[result.verdict, default: 0] += 1
                #expect(result.packet.count == packet.count)
            }
            #expect(Set(verdicts.keys) == [pass, frameEncodingError, protocolViolation], "seed \(seed): \(verdicts)")
        }
    }
}
