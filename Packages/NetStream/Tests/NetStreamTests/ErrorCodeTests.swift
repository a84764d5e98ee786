import NetStream
import Testing

/// The numbers that libp2p has given to the codes of closes and resets: other implementations read them.
@Suite struct ErrorCodeTests {
    @Test func connectionsCloseWithTheRegisteredNumbers() {
        let codes: [(ConnectionErrorCode, UInt64)] = [
            (.none, 0), (.protocolNegotiationFailed, 0x1000), (.resourceLimitExceeded, 0x1001), (.rateLimited, 0x1002),
            (.protocolViolation, 0x1003), (.supplanted, 0x1004), (.garbageCollected, 0x1005), (.shutdown, 0x1006),
            (.gated, 0x1007),
        ]
        for (code, number) in codes { #expect(code.rawValue == number) }
    }

    @Test func streamsAreResetWithTheRegisteredNumbers() {
        let codes: [(StreamErrorCode, UInt64)] = [
            (.none, 0), (.generic, 1), (.protocolNegotiationFailed, 0x1001), (.resourceLimitExceeded, 0x1002),
            (.rateLimited, 0x1003), (.protocolViolation, 0x1004), (.supplanted, 0x1005), (.garbageCollected, 0x1006),
            (.shutdown, 0x1007), (.gated, 0x1008),
        ]
        for (code, number) in codes { #expect(code.rawValue == number) }
    }
}
