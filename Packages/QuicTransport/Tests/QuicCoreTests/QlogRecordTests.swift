import Testing

@testable import QuicCore

@Suite struct QlogRecordTests {
    private func record(in piece: String) -> String? {
        var found: String?
        Array(piece.utf8).withUnsafeBytes { bytes in
            QlogRecord.withRecord(in: bytes) { found = String(decoding: $0, as: UTF8.self) }
        }
        return found
    }

    private let head = "\u{1e}{\"time\":893,\"name\":\"transport:packet_sent\",\"data\":{\"frames\":["
    private let padding = #"{"frame_type":"padding"}],"header":{"packet_number":2},"raw":{"length":208}}}"# + "\n"

    @Test func aWholeRecordStaysAsItIs() {
        #expect(record(in: head + padding) == head + padding)
        #expect(record(in: "\u{1e}{}\n") == "\u{1e}{}\n")
        #expect(record(in: "") == "")
    }

    @Test func aRecordAfterOneThatIsRepeatedGetsItsHead() {
        let crypto = #"{"frame_type":"crypto","offset":0}],"header":{},"raw":{"length":845}}}"# + "\n"
        #expect(record(in: head + crypto + padding) == head + padding)
    }

    @Test func whatCannotBeMendedIsLeftOut() {
        #expect(record(in: "\u{1e}{\"time\":893}\n" + padding) == nil)
    }
}
