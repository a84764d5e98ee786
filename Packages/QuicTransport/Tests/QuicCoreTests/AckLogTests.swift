import CNgtcp2Shims
import Testing

@Suite struct AckLogTests {
    private var log = lp2p_ack_log()

    init() { lp2p_ack_log_init(&log) }

    @Test mutating func aGapIsALossOnceThreeLaterPacketsAreThere() {
        #expect(lp2p_ack_log_lost(&log) == 0)
        lp2p_ack_log_note(&log, 0, 4)
        lp2p_ack_log_note(&log, 6, 7)
        #expect(lp2p_ack_log_lost(&log) == 0)
        lp2p_ack_log_note(&log, 8, 8)
        #expect(lp2p_ack_log_lost(&log) == 1)
        // It was late, not lost.
        lp2p_ack_log_note(&log, 5, 5)
        #expect(lp2p_ack_log_lost(&log) == 0)
    }

    /// More packets than the log remembers, acknowledged at once.
    @Test(arguments: [Int64(4032), 4095, 4096, 8200, 100_000])
    func whatIsAcknowledgedAndForgottenAtOnceIsNoLoss(count: Int64) {
        for (smallest, lost) in [(Int64(10), UInt64(0)), (12, 2)] {
            var log = lp2p_ack_log()
            lp2p_ack_log_init(&log)
            lp2p_ack_log_note(&log, 0, 9)
            lp2p_ack_log_note(&log, smallest, smallest + count)
            #expect(lp2p_ack_log_lost(&log) == lost)
        }
        // And a gap that is beyond what is remembered.
        var log = lp2p_ack_log()
        lp2p_ack_log_init(&log)
        lp2p_ack_log_note(&log, 0, 9)
        lp2p_ack_log_note(&log, 6000, 6000 + count)
        #expect(lp2p_ack_log_lost(&log) == 5990)
    }

    @Test mutating func staysWithinItsMemoryWhateverAPeerClaims() {
        lp2p_ack_log_note(&log, 1 << 61, (1 << 62) - 1)
        lp2p_ack_log_note(&log, 0, 5)
        lp2p_ack_log_note(&log, 0, (1 << 62) - 1)
        #expect(log.largest == (1 << 62) - 1)
    }

    @Test mutating func agreesWithASetOfNumbers() {
        for seed in propertySeeds(2) {
            lp2p_ack_log_init(&log)
            var generator = SeededGenerator(seed: seed)
            var acknowledged: Set<Int64> = []
            var forgotten: UInt64 = 0
            var base: Int64 = 0
            var largest: Int64 = -1
            for _ in 0..<300 {
                let step = Int64(generator.next() % (generator.next() % 50 == 0 ? 9000 : 40))
                let end = max(0, largest + step - 20)
                let start = max(0, end - Int64(generator.next() % 300))
                lp2p_ack_log_note(&log, start, end)
                if end > largest {
                    largest = end
                    let next = (end | 63) + 1 - 4096
                    while base < next {
                        if acknowledged.remove(base) == nil { forgotten += 1 }
                        base += 1
                    }
                }
                for number in max(start, base)..<max(end + 1, base) { acknowledged.insert(number) }
                let open = base...max(base, largest - 3)
                let missing = largest - 3 < base ? 0 : open.count { !acknowledged.contains($0) }
                #expect(lp2p_ack_log_lost(&log) == forgotten + UInt64(missing), "seed \(seed)")
            }
        }
    }
}
