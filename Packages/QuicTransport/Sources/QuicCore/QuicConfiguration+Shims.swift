internal import CNgtcp2Shims

extension QuicConfiguration.FrameGuard {
    /// The limits as the frame guard in C takes them.
    var shimLimits: lp2p_frame_guard_limits {
        lp2p_frame_guard_limits(
            connection_control: connectionControl.shimRate,
            stream_control: streamControl.shimRate,
            ping: ping.shimRate,
            max_ack_ranges: UInt32(clamping: maxAckRanges)
        )
    }
}

extension QuicConfiguration.FrameGuard.Rate {
    fileprivate var shimRate: lp2p_rate {
        lp2p_rate(per_second: UInt32(clamping: perSecond), burst: UInt32(clamping: burst))
    }
}

extension Duration {
    /// The duration in whole nanoseconds, at least 0 and at most what 64 bits hold.
    package var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = product.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return overflow || carry ? .max : sum
    }
}
