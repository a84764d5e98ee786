import CNgtcp2Shims
import Testing

/// Answers to PATH_CHALLENGE have no probe timeout in ngtcp2: they must not fill a small congestion window.
@Suite struct FrameGuardPathChallengeTests {
    private let challenge: [UInt8] = [0x1a, 1, 2, 3, 4, 5, 6, 7, 8]
    private let taken: [UInt8] = [0x1b, 0, 0, 0, 0, 0, 0, 0, 0]

    private func makeGuard(isSmall: Bool) -> Guard {
        var frames = Guard()
        if isSmall {
            frames.state.congestion_window = { _ in 2684 }
        } else {
            frames.state.congestion_window = { _ in 100_000 }
        }
        return frames
    }

    @Test func inASmallWindowOneIsAnsweredUntilSomethingIsAcknowledged() {
        var frames = makeGuard(isSmall: true)
        #expect(frames.inspect(challenge).packet == challenge)
        for _ in 0..<3 { #expect(frames.inspect(challenge).packet == taken) }
        #expect(frames.state.suppressed == 3)
        // ACK of packet 5.
        _ = frames.inspect([0x02, 5, 0, 0, 0])
        #expect(frames.inspect(challenge).packet == challenge)
        // The same once more acknowledges nothing new.
        _ = frames.inspect([0x02, 5, 0, 0, 0])
        #expect(frames.inspect(challenge).packet == taken)
    }

    @Test func anAnswerThatMayBeLostIsGivenAgainAfterASecond() {
        var frames = makeGuard(isSmall: true)
        frames.now = 5_000_000_000
        #expect(frames.inspect(challenge).packet == challenge)
        frames.now += 999_999_999
        #expect(frames.inspect(challenge).packet == taken)
        frames.now += 1
        #expect(frames.inspect(challenge).packet == challenge)
    }

    @Test func inAWideWindowEachIsAnswered() {
        var frames = makeGuard(isSmall: false)
        for _ in 0..<8 { #expect(frames.inspect(challenge).packet == challenge) }
        #expect(frames.state.suppressed == 0)
    }
}
