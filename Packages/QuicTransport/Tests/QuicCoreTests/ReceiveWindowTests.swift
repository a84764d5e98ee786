import CNgtcp2Shims
import Testing

/// The window starts with room for 256 packet numbers and grows to 4,096.
@Suite struct ReceiveWindowTests {
    /// A window of a test.
    private final class Window {
        private var window = lp2p_receive_window()

        init() { lp2p_receive_window_init(&window) }
        deinit { lp2p_receive_window_free(&window) }

        func note(_ number: Int64) -> lp2p_packet_novelty { lp2p_receive_window_note(&window, number) }
        func all(_ numbers: some Sequence<Int64>, are novelty: lp2p_packet_novelty) -> Bool {
            numbers.allSatisfy { note($0) == novelty }
        }
        var isSmall: Bool { window.bits == nil }
    }

    @Test func whatWasReadBeforeItGrewIsKnownAfterwards() {
        let window = Window()
        #expect(window.all(stride(from: 0, to: 256, by: 2), are: LP2P_PACKET_NEW))
        #expect(window.isSmall)
        #expect(window.note(256) == LP2P_PACKET_NEW)
        #expect(!window.isSmall)
        #expect(window.all(stride(from: 0, to: 256, by: 2), are: LP2P_PACKET_COPY))
        #expect(window.all(stride(from: 1, to: 256, by: 2), are: LP2P_PACKET_NEW), "they were late")
        #expect(window.all(0...256, are: LP2P_PACKET_COPY))
    }

    @Test func itRemembersFourThousandAndNinetySixNumbers() {
        let window = Window()
        #expect(window.all(0..<5000, are: LP2P_PACKET_NEW))
        #expect(window.note(4999 - 4096) == LP2P_PACKET_TOO_OLD)
        #expect(window.note(4999 - 4095) == LP2P_PACKET_COPY)
        #expect(window.note(4999) == LP2P_PACKET_COPY)
    }

    @Test(arguments: [0, 255, 256, 4095] as [Int64]) func aJumpForgetsWhatIsTooOldAndNothingElse(first: Int64) {
        let window = Window()
        #expect(window.note(first) == LP2P_PACKET_NEW)
        let second = first + 4095
        #expect(window.note(second) == LP2P_PACKET_NEW)
        #expect(window.note(first) == LP2P_PACKET_COPY)
        #expect(window.note(second + 10_000) == LP2P_PACKET_NEW)
        #expect(window.note(second) == LP2P_PACKET_TOO_OLD)
        // None of the numbers between was read, whatever stood in their places before.
        #expect(window.all(second + 10_000 - 4095..<second + 10_000, are: LP2P_PACKET_NEW))
    }
}
