import CNgtcp2Shims
import FuzzSupport
import QuicCore

/// What QuicTransport reads before ngtcp2 does.
let targets: [FuzzTarget] = [
    FuzzTarget("packet-header", fuzzPacketHeader),
    FuzzTarget("frame-guard", fuzzFrameGuard),
]

/// The unprotected part of a datagram: every range lies in it, and an answer can be made.
@Sendable func fuzzPacketHeader(_ input: [UInt8]) {
    let bytes = input.span.bytes
    for length in [0, 8, 20] {
        guard let header = try? PacketHeader(parsing: bytes, shortHeaderIDLength: length) else { continue }
        let all = 0...input.count
        promise(all.contains(header.end), "the packet ends in the datagram")
        for range in [header.destinationIDRange, header.sourceIDRange, header.tokenRange ?? 0..<0] {
            promise(all.contains(range.lowerBound) && all.contains(range.upperBound), "a field lies in the datagram")
        }
        _ = VersionNegotiation.versions(offeredBy: header, datagram: bytes)
        let padded = input + [UInt8](repeating: 0, count: 1200)
        if let same = try? PacketHeader(parsing: padded.span.bytes, shortHeaderIDLength: length),
            let reply = VersionNegotiation.reply(
                to: same,
                datagram: padded.span.bytes,
                supported: [QuicVersion(rawValue: 1)],
                random: 7
            )
        {
            let read = try? PacketHeader(parsing: reply.span.bytes, shortHeaderIDLength: length)
            promise(read?.kind == .versionNegotiation, "the answer is Version Negotiation")
            promise(reply.count < padded.count, "the answer is smaller than the question")
        }
    }
}

/// Decrypted packets, several in a row for one connection: a length in two bytes before each, and its space in one.
@Sendable func fuzzFrameGuard(_ input: [UInt8]) {
    var limits = lp2p_frame_guard_limits()
    limits.connection_control = lp2p_rate(per_second: 100, burst: 1000)
    limits.stream_control = lp2p_rate(per_second: 100, burst: 1000)
    limits.ping = lp2p_rate(per_second: 100, burst: 1000)
    limits.max_ack_ranges = 256
    var state = lp2p_frame_guard()
    lp2p_frame_guard_init(&state, &limits)
    var now: UInt64 = 0
    var rest = input[...]
    while rest.count >= 3 {
        let length = min(Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1]), rest.count - 3)
        let space = Int32(rest[rest.startIndex + 2] & 3)
        // A copy of exactly this size: the sanitizer sees a read beyond it.
        var packet = Array(rest.dropFirst(3).prefix(length))
        rest = rest.dropFirst(3 + length)
        let verdict = packet.withUnsafeMutableBufferPointer { bytes in
            lp2p_frame_guard_inspect(&state, bytes.baseAddress, bytes.count, space, now)
        }
        promise(packet.count == length, "a packet keeps its length")
        if verdict != 0 {
            promise(state.verdict_text != nil, "a verdict has a text")
            return
        }
        // What has passed once passes again: the guard changes a packet only into one that it accepts.
        now += 1_000_000
    }
}
