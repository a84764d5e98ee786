import CNgtcp2Shims
import PeerID
import Testing

@testable import QuicCore

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

    @Test func mapsEveryStatusOfTheLibraryToAnError() {
        let internalOnes: Set<UInt32> = [
            LP2P_OK.rawValue, LP2P_INVALID_ARGUMENT.rawValue, LP2P_NO_BUFFER.rawValue, LP2P_INTERNAL.rawValue,
            LP2P_WRITE_MORE.rawValue, LP2P_CALLBACK_FAILURE.rawValue, LP2P_DISCARD_PACKET.rawValue,
            LP2P_DECRYPT.rawValue, LP2P_UNKNOWN.rawValue,
        ]
        for status in 0...LP2P_UNKNOWN.rawValue {
            let error = QuicError(status: lp2p_status(status), while: "testing", code: 7)
            #expect(error.message.hasPrefix("testing: "))
            #expect(error.quicCode == 7)
            #expect((error.code == .internal) == internalOnes.contains(status), "\(error)")
        }
        #expect(QuicError(status: lp2p_status(UInt32.max), while: "testing").code == .internal)
    }

    @Test func knowsAStatusForEveryNumberOfTheLibrary() {
        var known: Set<UInt32> = []
        for number in Int32(-2000)...0 {
            let status = lp2p_status_from_library(number)
            #expect(status.rawValue <= LP2P_UNKNOWN.rawValue)
            known.insert(status.rawValue)
        }
        // All but the guard's own verdict come from the library.
        #expect(known.count == Int(LP2P_UNKNOWN.rawValue))
    }

    @Test func namesBothPeersOfAMismatch() throws {
        let first = try PeerID(bytes: [0x12, 0x20] + [UInt8](repeating: 1, count: 32))
        let second = try PeerID(bytes: [0x12, 0x20] + [UInt8](repeating: 2, count: 32))
        let error = QuicError.peerMismatch(expected: first, actual: second)
        #expect(error.expectedPeer == first)
        #expect(error.actualPeer == second)
        #expect(error.message.contains(first.description) && error.message.contains(second.description))
    }
}
