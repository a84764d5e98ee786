internal import CNgtcp2Shims

/// Comes down when the path carries less than it did, and up again when it carries more.
///
/// Path MTU discovery of the library only ever goes up. A path that shrinks (a tunnel comes up, a route changes) then
/// swallows every full packet and every retransmission of it, until the idle timeout. So: when bytes are in flight and
/// the peer has acknowledged nothing new for three probe timeouts, and for 250 ms at least, packets are made no larger than
/// 1,200 bytes, which every path carries. From time to time one larger packet tries to come up again, size by size. A false alarm, after
/// heavy loss, costs a little throughput until then.
struct PathSizeGuard {
    /// What every path carries (RFC 9000 §14).
    static let minimum = 1200
    /// Shorter silences are a busy machine's: on the loopback three probe timeouts are less than a tenth of a second.
    static let shortestSilence: UInt64 = 250_000_000
    /// The first attempt to come up again after coming down, and the longest pause between attempts, in nanoseconds.
    static let firstPause: UInt64 = 10_000_000_000
    static let longestPause: UInt64 = 600_000_000_000

    /// How the path does at the moment.
    struct Pulse {
        /// The largest payload that discovery has found.
        var full: Int
        var bytesInFlight: UInt64
        var largestAcknowledged: Int64
        /// In nanoseconds.
        var probeTimeout: UInt64
        /// The packet that tries a larger size has arrived.
        var isProbeAcknowledged: Bool

        init(
            full: Int,
            bytesInFlight: UInt64,
            largestAcknowledged: Int64,
            probeTimeout: UInt64,
            isProbeAcknowledged: Bool
        ) {
            self.full = full
            self.bytesInFlight = bytesInFlight
            self.largestAcknowledged = largestAcknowledged
            self.probeTimeout = probeTimeout
            self.isProbeAcknowledged = isProbeAcknowledged
        }
    }

    /// The largest payload while the path is under suspicion; `nil` for what discovery has found.
    private(set) var limit: Int?
    /// How often the path was found to carry less than before.
    private(set) var reductions: UInt64 = 0
    /// Bytes have been in flight without a new acknowledgement since then.
    private var silentSince: UInt64?
    private var largestAcknowledged: Int64 = -1
    private var isSilent = false
    private var probe: (size: Int, giveUpAt: UInt64)?
    private var nextProbe: UInt64 = 0
    private var pause = PathSizeGuard.firstPause

    /// Looks at the path. Call it at every turn, before packets are written.
    mutating func look(_ pulse: Pulse, now: UInt64) {
        guard pulse.full > Self.minimum else {
            // Nothing to come down from: the path is new, or a small one.
            limit = nil
            probe = nil
            silentSince = nil
            return
        }
        noteSilence(pulse, now: now)
        if isSilent, limit ?? pulse.full > Self.minimum { comeDown(now: now) }
        finishProbe(pulse, now: now)
    }

    private mutating func noteSilence(_ pulse: Pulse, now: UInt64) {
        if pulse.bytesInFlight == 0 {
            silentSince = nil
        } else if silentSince == nil || pulse.largestAcknowledged > largestAcknowledged {
            silentSince = now
        }
        largestAcknowledged = max(largestAcknowledged, pulse.largestAcknowledged)
        isSilent = silentSince.map { now >= $0 &+ max(Self.shortestSilence, 3 &* pulse.probeTimeout) } ?? false
    }

    private mutating func comeDown(now: UInt64) {
        if limit == nil { pause = Self.firstPause }
        limit = Self.minimum
        probe = nil
        nextProbe = now &+ pause
        reductions += 1
    }

    private mutating func finishProbe(_ pulse: Pulse, now: UInt64) {
        guard let probe else { return }
        if pulse.isProbeAcknowledged {
            self.probe = nil
            limit = probe.size < pulse.full ? probe.size : nil
            nextProbe = now
        } else if now >= probe.giveUpAt {
            self.probe = nil
            pause = min(2 &* pause, Self.longestPause)
            nextProbe = now &+ pause
        }
    }

    /// The largest payload of the next packet if it is to try a larger size, else `nil`.
    func probeSize(_ pulse: Pulse, among candidates: [Int], now: UInt64) -> Int? {
        guard let limit, probe == nil, !isSilent, now >= nextProbe, pulse.full > limit else { return nil }
        return candidates.filter { $0 > limit && $0 < pulse.full }.min() ?? pulse.full
    }

    /// A packet of `size` bytes, above the limit, is on its way.
    mutating func probeSent(size: Int, _ pulse: Pulse, now: UInt64) {
        probe = (size, now &+ 3 &* pulse.probeTimeout)
    }
}

extension PathSizeGuard.Pulse {
    init(_ pulse: lp2p_pulse, isProbeAcknowledged: Bool) {
        self.init(
            full: pulse.max_udp_payload,
            bytesInFlight: pulse.bytes_in_flight,
            largestAcknowledged: pulse.largest_acked,
            probeTimeout: pulse.pto,
            isProbeAcknowledged: isProbeAcknowledged
        )
    }
}
