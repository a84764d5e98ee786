import CNgtcp2Shims
import Testing

private let pass: Int32 = 0

@Suite struct FrameGuardConnectionIDTests {
    /// What a frame becomes when it is taken out.
    private func suppressed(_ frame: [UInt8]) -> [UInt8] {
        [0x1b] + [UInt8](repeating: 0, count: frame.count - 1)
    }

    @Test func handsOnAFreshID() {
        var frames = Guard()
        for sequence in 1...8 as ClosedRange<UInt64> {
            let frame = newConnectionID(sequence, retire: sequence - 1)
            #expect(frames.inspect(frame) == (pass, frame))
        }
        #expect(frames.state.suppressed == 0)
        #expect(frames.state.largest_retire_prior_to == 7)
    }

    @Test func handsOnARetransmissionOfAnIDInUse() {
        var frames = Guard()
        let frame = newConnectionID(3, retire: 2)
        #expect(frames.inspect(frame).packet == frame)
        #expect(frames.inspect(frame).packet == frame)
    }

    @Test func takesOutARepetitionOfARetiredID() {
        var frames = Guard()
        let old = newConnectionID(1)
        #expect(frames.inspect(old).packet == old)
        _ = frames.inspect(newConnectionID(3, retire: 3))
        let padding: [UInt8] = [0, 0]
        let stream: [UInt8] = [0x0a, 0x04, 0x02, 7, 8]
        let result = frames.inspect(padding + old + stream)
        #expect(result.verdict == pass)
        #expect(result.packet == padding + suppressed(old) + stream)
        #expect(frames.state.suppressed == 1)
    }

    @Test func takesOutARepetitionWithinOnePacket() {
        var frames = Guard()
        let old = newConnectionID(1)
        let result = frames.inspect(old + newConnectionID(2, retire: 2) + old)
        #expect(result.packet == old + newConnectionID(2, retire: 2) + suppressed(old))
    }

    @Test func handsOnALateIDThatWasNeverSeen() {
        // It has to reach the library, which retires it at once: the peer waits for that.
        var frames = Guard()
        _ = frames.inspect(newConnectionID(5, retire: 5))
        let late = newConnectionID(2)
        #expect(frames.inspect(late).packet == late)
        #expect(frames.inspect(late).packet == suppressed(late))
    }

    @Test func countsTheHandshakesIDAsSeen() {
        var frames = Guard()
        let zero = newConnectionID(0)
        #expect(frames.inspect(zero).packet == zero)
        _ = frames.inspect(newConnectionID(1, retire: 1))
        #expect(frames.inspect(zero).packet == suppressed(zero))
        var fresh = Guard()
        _ = fresh.inspect(newConnectionID(1, retire: 1))
        #expect(fresh.inspect(zero).packet == suppressed(zero))
    }

    @Test func takesOutWhatIsOlderThanTheWindow() {
        var frames = Guard()
        _ = frames.inspect(newConnectionID(200, retire: 200))
        let outside = newConnectionID(72)
        let inside = newConnectionID(73)
        #expect(frames.inspect(outside).packet == suppressed(outside))
        #expect(frames.inspect(inside).packet == inside)
        #expect(frames.inspect(inside).packet == suppressed(inside))
    }

    @Test func slidesAnyDistanceAtOnce() {
        var frames = Guard()
        let last: UInt64 = (1 << 62) - 1
        let frame = newConnectionID(last, retire: last)
        #expect(frames.inspect(frame) == (pass, frame))
        #expect(frames.state.largest_sequence == last)
        let before = newConnectionID(last - 127)
        #expect(frames.inspect(before).packet == before)
        let older = newConnectionID(last - 128)
        #expect(frames.inspect(older).packet == suppressed(older))
    }

    @Test func agreesWithAModelThatForgetsNothing() {
        for seed in propertySeeds() {
            var generator = SeededGenerator(seed: seed)
            var frames = Guard { $0.connection_control.per_second = 0 }
            var seen: Set<UInt64> = [0]
            var retired: UInt64 = 0
            var largest: UInt64 = 0
            for step in 0..<3000 {
                let jump = UInt64.random(in: 0...(step % 50 == 0 ? 300 : 3), using: &generator)
                let back = UInt64.random(in: 0...140, using: &generator)
                let base = largest + jump
                let sequence = Bool.random(using: &generator) || back > base ? base : base - back
                let retire = UInt64.random(in: 0...sequence, using: &generator)
                let frame = newConnectionID(sequence, retire: Bool.random(using: &generator) ? retire : 0)
                retired = max(retired, frame == newConnectionID(sequence) ? 0 : retire)
                let age = max(largest, sequence) - sequence
                let wasSeen = seen.contains(sequence) || age >= 128
                let expected = wasSeen && sequence < retired ? suppressed(frame) : frame
                #expect(frames.inspect(frame) == (pass, expected), "seed \(seed), step \(step)")
                seen.insert(sequence)
                largest = max(largest, sequence)
            }
        }
    }
}

@Suite struct FrameGuardFloodTests {
    private static let connectionControl: [[UInt8]] = [
        [0x1a, 1, 2, 3, 4, 5, 6, 7, 8], [0x1b, 1, 2, 3, 4, 5, 6, 7, 8], newConnectionID(1), [0x19, 0], [7, 1, 1],
        [0x1e],
    ]
    private static let streamControl: [[UInt8]] = [
        [4, 0, 0, 0], [5, 0, 0], [0x0a, 0, 0], [0x0b, 0, 0], [0x10, 0], [0x11, 0, 0], [0x12, 0], [0x13, 0], [0x14, 0],
        [0x15, 0, 0], [0x16, 0], [0x17, 0],
    ]

    private func limited() -> Guard {
        Guard {
            $0.connection_control = lp2p_rate(per_second: 10, burst: 5)
            $0.stream_control = lp2p_rate(per_second: 10, burst: 5)
            $0.ping = lp2p_rate(per_second: 10, burst: 5)
        }
    }

    @Test(arguments: connectionControl + streamControl + [[1]]) func endsAFloodOfOneType(frame: [UInt8]) {
        var frames = limited()
        for _ in 0..<5 { #expect(frames.inspect(frame).verdict == 0) }
        #expect(frames.inspect(frame).verdict == 0x0a)
        #expect(frames.state.verdict_frame_type == UInt64(frame[0]))
    }

    @Test(arguments: connectionControl + streamControl + [[1]]) func permitsTheConfiguredRateForEver(frame: [UInt8]) {
        var frames = limited()
        for _ in 0..<200 {
            #expect(frames.inspect(frame).verdict == 0)
            frames.now += 100_000_000
        }
    }

    @Test func refillsTheBurst() {
        var frames = limited()
        for _ in 0..<5 { _ = frames.inspect([1]) }
        frames.now += 500_000_000
        for _ in 0..<5 { #expect(frames.inspect([1]).verdict == 0) }
        #expect(frames.inspect([1]).verdict == 0x0a)
    }

    @Test func countsEachTypeByItself() {
        var frames = limited()
        let types: [[UInt8]] =
            Self.connectionControl + [[4, 0, 0, 0], [5, 0, 0], [0x0a, 0, 0], [0x10, 0], [0x14, 0], [1]]
        for _ in 0..<5 {
            for frame in types { #expect(frames.inspect(frame).verdict == 0) }
        }
    }

    @Test func doesNotCountData() {
        var frames = limited()
        for _ in 0..<1000 {
            #expect(frames.inspect([0x0a, 0, 1, 0xff, 2, 0, 0, 0, 0, 6, 0, 1, 1]).verdict == 0)
        }
    }

    @Test func treatsTimeThatGoesBackwardsAsStandingStill() {
        var frames = limited()
        for _ in 0..<5 { _ = frames.inspect([1]) }
        frames.now = 0
        #expect(frames.inspect([1]).verdict == 0x0a)
        frames.now = .max
        for _ in 0..<5 { #expect(frames.inspect([1]).verdict == 0) }
    }

    @Test func takesZeroAsNoLimit() {
        var frames = Guard { $0.ping.per_second = 0 }
        #expect(frames.inspect([UInt8](repeating: 1, count: 100_000)).verdict == 0)
    }

    @Test func letsTheDefaultsPassWhatFastPeersSend() {
        // go at full speed: a STOP_SENDING, a RESET_STREAM and a FIN for each of 17,500 streams a second, and a PING
        // for every twentieth acknowledgement.
        var frames = Guard()
        for _ in 0..<35_000 {
            #expect(frames.inspect([5, 0, 0, 4, 0, 0, 0, 0x0b, 0, 0, 1]).verdict == 0)
            frames.now += 1_000_000_000 / 17_500
        }
    }
}
