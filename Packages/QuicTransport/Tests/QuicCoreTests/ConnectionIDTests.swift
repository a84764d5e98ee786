import QuicCore
import Testing

@Suite struct ConnectionIDTests {
    @Test(arguments: 0...20) func keepsItsBytesAtEveryLength(length: Int) throws {
        let bytes = (0..<length).map { UInt8($0 * 11 + 1) }
        let id = try #require(ConnectionID(bytes))
        #expect(id.count == length)
        #expect(id.isEmpty == (length == 0))
        #expect(id.bytes == bytes)
        #expect(id.withUnsafeBytes { Array($0) } == bytes)
        #expect(bytes.withUnsafeBytes { ConnectionID($0) } == id)
        let copy = ConnectionID(bytes.span.bytes)
        #expect(copy == id)
    }

    @Test func refusesMoreThanTwentyBytes() {
        #expect(ConnectionID([UInt8](repeating: 1, count: 21)) == nil)
    }

    @Test func differsByLengthEvenWhenTheRestIsZero() throws {
        let ids = Set((0...20).compactMap { ConnectionID([UInt8](repeating: 0, count: $0)) })
        #expect(ids.count == 21)
        #expect(ids.contains(.empty))
    }

    @Test func differsByEveryByte() throws {
        let base = [UInt8](repeating: 0, count: 20)
        let ids = (0..<20).compactMap { index -> ConnectionID? in
            var bytes = base
            bytes[index] = 1
            return ConnectionID(bytes)
        }
        #expect(Set(ids).count == 20)
    }

    @Test func printsHexadecimal() throws {
        #expect(ConnectionID([0x83, 0x94, 0xc8, 0x0f])?.description == "8394c80f")
        #expect(ConnectionID.empty.description == "")
    }

    @Test func takesNoHeap() {
        #expect(MemoryLayout<ConnectionID>.size == 21)
    }
}
