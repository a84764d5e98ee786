import NetStream
import QuicCore
import QuicTransport
import Testing

@Suite struct QuicErrorClassifiedTests {
    @Test func classifiesWhatTheLayersAboveActOn() {
        let cases: [(QuicError, StreamFailureKind)] = [
            (.streamReset(code: 7, byPeer: true), .reset(code: 7, byPeer: true)),
            (.streamReset(code: 0, byPeer: false), .reset(code: 0, byPeer: false)),
            (
                .connectionClosed(code: 0x1006, isApplication: true, byPeer: true, reason: "bye"),
                .connectionClosed(code: 0x1006, byPeer: true)
            ),
            (
                .transportClose(.protocolViolation, byPeer: false, reason: ""),
                .connectionClosed(code: 0x0a, byPeer: false)
            ),
            (QuicError(.statelessReset, "", isByPeer: true), .connectionClosed(code: 0, byPeer: true)),
            (.streamState("closed", attempted: "read"), .closed),
            (QuicError(.streamClosed, ""), .closed),
            (QuicError(.streamTimeout, ""), .timeout),
            (QuicError(.flowControlDeadlock, ""), .timeout),
            (QuicError(.sendMemoryExhausted, ""), .timeout),
            (QuicError(.limit, ""), .limitExceeded),
            (QuicError(.timeout, ""), .connectionClosed(code: 0, byPeer: false)),
            (QuicError(.cancelled, ""), .cancelled),
            (QuicError(.streamLimit, ""), .limitExceeded),
            (QuicError(.memoryLimit, ""), .limitExceeded),
            (QuicError(.resolution, ""), .other),
        ]
        for (error, kind) in cases { #expect(error.streamFailureKind == kind, "\(error)") }
    }
}
