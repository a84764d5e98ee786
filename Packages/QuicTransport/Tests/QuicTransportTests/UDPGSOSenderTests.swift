import CQuicUDP
import Testing

@testable import QuicTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A socket that answers from a script and remembers what it was given.
private final class ScriptedSocket: DatagramTransmitting {
    var calls: [(length: Int, segmentSize: Int)] = []
    var answer: (_ call: Int, _ length: Int, _ segmentSize: Int) -> Int32

    init(_ answer: @escaping (Int, Int, Int) -> Int32) {
        self.answer = answer
    }

    func transmit(
        _ bytes: UnsafeRawBufferPointer,
        segmentSize: Int,
        to destination: cquic_addr,
        from source: cquic_addr?,
        ecn: UInt8
    ) -> UDPTransmission {
        calls.append((bytes.count, segmentSize))
        let code = answer(calls.count, bytes.count, segmentSize)
        return code == 0 ? .sent : .failed(code)
    }
}

@Suite struct UDPGSOSenderTests {
    private func send(_ count: Int, _ segment: Int, _ sender: inout GSOSender, _ socket: ScriptedSocket)
        -> UDPSendResult
    {
        var calls = 0
        let result = [UInt8](repeating: 1, count: count).withUnsafeBytes {
            sender.send(
                $0,
                segmentSize: segment,
                to: cquic_addr(),
                from: nil,
                ecn: 0,
                through: socket,
                calls: &calls
            )
        }
        return result
    }

    @Test func aTrainLeavesInAsFewCallsAsTheKernelAllows() {
        var sender = GSOSender(usesSegmentation: true)
        let socket = ScriptedSocket { _, _, _ in 0 }
        #expect(send(100 * 1000 + 10, 1000, &sender, socket) == .sent)
        // 64 segments would fit the kernel's count and 65 its size.
        #expect(socket.calls.map(\.length) == [64_000, 36_010])
        #expect(socket.calls.allSatisfy { $0.segmentSize == 1000 })
    }

    @Test func aTrainOfLargeSegmentsStaysBelowTheLargestMessage() {
        var sender = GSOSender(usesSegmentation: true)
        let socket = ScriptedSocket { _, _, _ in 0 }
        #expect(send(10 * 9000, 9000, &sender, socket) == .sent)
        #expect(socket.calls.map(\.length) == [63_000, 27_000])
    }

    @Test func aSingleDatagramUsesNoSegmentation() {
        var sender = GSOSender(usesSegmentation: true)
        let socket = ScriptedSocket { _, _, _ in 0 }
        #expect(send(900, 1200, &sender, socket) == .sent)
        #expect(send(1200, 1200, &sender, socket) == .sent)
        #expect(send(1200, 0, &sender, socket) == .sent)
        #expect(send(0, 0, &sender, socket) == .sent)
        #expect(socket.calls.map(\.segmentSize) == [0, 0, 0, 0])
    }

    @Test(arguments: [EIO, EINVAL])
    func segmentationIsSwitchedOffWhenOnlySingleDatagramsPass(code: Int32) {
        var sender = GSOSender(usesSegmentation: true)
        let socket = ScriptedSocket { _, _, segment in segment > 0 ? code : 0 }
        #expect(send(5 * 1200, 1200, &sender, socket) == .sent)
        #expect(!sender.usesSegmentation)
        #expect(socket.calls.map(\.length) == [6000, 1200, 1200, 1200, 1200, 1200])
        socket.calls = []
        #expect(send(3 * 1200, 1200, &sender, socket) == .sent)
        #expect(socket.calls.map(\.length) == [1200, 1200, 1200])
    }

    @Test func aBadDestinationDoesNotSwitchSegmentationOff() {
        var sender = GSOSender(usesSegmentation: true)
        let socket = ScriptedSocket { _, _, _ in EINVAL }
        #expect(send(5 * 1200, 1200, &sender, socket) == .dropped(EINVAL))
        #expect(sender.usesSegmentation)
        #expect(socket.calls.count == 2)
    }

    @Test func aFullBufferSaysHowManyDatagramsAreGone() {
        var sender = GSOSender(usesSegmentation: true)
        let train = ScriptedSocket { call, _, _ in call == 2 ? EAGAIN : 0 }
        #expect(send(100 * 1000, 1000, &sender, train) == .wouldBlock(sentSegments: 64))
        var single = GSOSender(usesSegmentation: false)
        let singles = ScriptedSocket { call, _, _ in call == 4 ? EAGAIN : 0 }
        #expect(send(10 * 1000, 1000, &single, singles) == .wouldBlock(sentSegments: 3))
    }

    @Test func aFullDeviceIsNoLossEither() {
        var sender = GSOSender(usesSegmentation: true)
        let socket = ScriptedSocket { call, _, _ in call == 2 ? ENOBUFS : 0 }
        #expect(send(100 * 1000, 1000, &sender, socket) == .wouldBlock(sentSegments: 64, behindSocket: true))
        #expect(sender.usesSegmentation)
    }

    @Test func aFullBufferOnTheFirstSingleAfterARefusedTrainKeepsTheCount() {
        var sender = GSOSender(usesSegmentation: true)
        let socket = ScriptedSocket { call, _, segment in segment > 0 ? EIO : call == 2 ? EAGAIN : 0 }
        #expect(send(5 * 1000, 1000, &sender, socket) == .wouldBlock(sentSegments: 0))
        #expect(send(5 * 1000, 1000, &sender, socket) == .sent)
        #expect(!sender.usesSegmentation)
    }

    @Test func anErrorLeftOverFromAnEarlierDatagramIsRetriedOnce() {
        var sender = GSOSender(usesSegmentation: true)
        let once = ScriptedSocket { call, _, _ in call == 1 ? ECONNREFUSED : 0 }
        #expect(send(1200, 1200, &sender, once) == .sent)
        let always = ScriptedSocket { _, _, _ in ECONNREFUSED }
        #expect(send(1200, 1200, &sender, always) == .dropped(ECONNREFUSED))
        #expect(always.calls.count == 2)
    }
}
