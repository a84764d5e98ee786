import PeerID
import QuicCore
import Testing

@Suite struct QuicErrorTests {
    @Test func isEqualByItsCode() {
        #expect(QuicError(.timeout, "a") == QuicError(.timeout, "b", quicCode: 3))
        #expect(QuicError(.timeout, "a") != QuicError(.streamTimeout, "a"))
        #expect(QuicError(.timeout, "").category == .connection)
    }

    @Test func namesEveryTransportCode() {
        for code in 0x00...0x11 as ClosedRange<UInt64> { #expect(QuicErrorCode(rawValue: code).name != nil) }
        #expect(QuicErrorCode.protocolViolation.description == "0xa PROTOCOL_VIOLATION")
        #expect(QuicErrorCode.crypto(alert: 120).description.contains("no_application_protocol"))
        #expect(QuicErrorCode(rawValue: 0x12a).tlsAlert == 42)
        #expect(QuicErrorCode(rawValue: 0x200).tlsAlert == nil)
        #expect(QuicErrorCode(rawValue: .max).name == nil)
        #expect(QuicErrorCode(rawValue: .max).description == "0xffffffffffffffff")
    }

    @Test func mapsEveryTransportCloseToAnError() {
        for code in (0...0x220 as ClosedRange<UInt64>).map({ $0 }) + [1 << 62, .max] {
            for byPeer in [true, false] {
                let error = QuicError.transportClose(QuicErrorCode(rawValue: code), byPeer: byPeer, reason: "why")
                #expect(error.quicCode == code)
                #expect(error.isByPeer == byPeer)
                #expect(error.message.contains("why"))
            }
        }
        #expect(QuicError.transportClose(.flowControlError, byPeer: true, reason: "").code == .flowControl)
        #expect(QuicError.transportClose(.crypto(alert: 42), byPeer: true, reason: "").code == .peerVerification)
        #expect(QuicError.transportClose(.crypto(alert: 120), byPeer: true, reason: "").code == .handshake)
    }

    @Test func saysWhoDidWhat() {
        let reset = QuicError.streamReset(code: 0x1003, byPeer: true)
        #expect(reset.code == .streamReset)
        #expect(reset.isApplicationCode)
        #expect(reset.transportCode == nil)
        #expect(reset.description.contains("0x1003, by the peer"))
        let state = QuicError.streamState("reset", attempted: "write to")
        #expect(state.currentState == "reset")
        #expect(state.attemptedOperation == "write to")
        #expect(QuicError(.dial, "x", cause: reset).description.contains("because: streamReset"))
    }
}
