import QuicCore
import Testing

@testable import QuicTransport

@Suite struct StreamMailboxReadTests {
    let bench = MailboxBench()
    var mailbox: StreamMailbox { bench.mailbox }

    @Test func aChunkThatFitsIsReturnedWhole() async throws {
        let chunk = [UInt8](repeating: 7, count: 2000)
        let address = chunk.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
        mailbox.deliver(chunk, fin: false)
        let read = try await mailbox.read(upTo: 2000)
        #expect(read?.withUnsafeBytes { Int(bitPattern: $0.baseAddress) } == address)
    }

    @Test func aLargeChunkIsReadInPieces() async throws {
        mailbox.deliver(Array(0..<250), fin: true)
        var all: [UInt8] = []
        while let piece = try await mailbox.read(upTo: 99) {
            #expect((1...99).contains(piece.count))
            all += piece
        }
        #expect(all == Array(0..<250))
        #expect(try await mailbox.read(upTo: 1) == nil)
    }

    @Test func smallPiecesAreGathered() async throws {
        for byte: UInt8 in 0..<200 { mailbox.deliver([byte], fin: false) }
        #expect(try await mailbox.read(upTo: 1000) == Array(0..<200))
    }

    @Test func aWaitingReadGetsWhatArrives() async throws {
        async let read = mailbox.read(upTo: 10, timeout: .seconds(1))
        await bench.timers.armed(1)
        mailbox.deliver([], fin: false)
        mailbox.deliver([1, 2], fin: false)
        #expect(try await read == [1, 2])
        #expect(bench.timers.pending == 0)
    }

    @Test func waitingReadsAreServedInOrder() async throws {
        async let first = mailbox.read(upTo: 2, timeout: .seconds(1))
        await bench.timers.armed(1)
        async let second = mailbox.read(upTo: 10, timeout: .seconds(1))
        await bench.timers.armed(2)
        mailbox.deliver([1, 2, 3], fin: true)
        #expect(try await first == [1, 2])
        #expect(try await second == [3])
        #expect(try await mailbox.read(upTo: 1) == nil)
    }

    @Test func bytesComeBeforeTheReset() async throws {
        mailbox.deliver([1, 2], fin: false)
        mailbox.peerReset(code: 42)
        #expect(try await mailbox.read(upTo: 1) == [1])
        #expect(try await mailbox.read(upTo: 1) == [2])
        let error = await #expect(throws: QuicError.self) { _ = try await mailbox.read(upTo: 1) }
        #expect(error?.code == .streamReset)
        #expect(error?.quicCode == 42)
        #expect(error?.isByPeer == true)
    }

    @Test func bytesAndEndComeBeforeTheConnectionsError() async throws {
        mailbox.deliver([1], fin: true)
        mailbox.connectionFailed(QuicError(.connectionClosed, ""))
        #expect(try await mailbox.read(upTo: 9) == [1])
        #expect(try await mailbox.read(upTo: 9) == nil)
        let other = MailboxBench()
        other.mailbox.deliver([1], fin: false)
        other.mailbox.connectionFailed(QuicError(.connectionClosed, ""))
        #expect(try await other.mailbox.read(upTo: 9) == [1])
        #expect(await code { _ = try await other.mailbox.read(upTo: 9) } == .connectionClosed)
    }

    @Test func aResetAfterTheEndChangesNothing() async throws {
        mailbox.deliver([1], fin: true)
        mailbox.peerReset(code: 1)
        mailbox.deliver([2], fin: true)
        #expect(try await mailbox.read(upTo: 9) == [1])
        #expect(try await mailbox.read(upTo: 9) == nil)
    }

    @Test func aTimeoutLeavesTheStreamAsItWas() async throws {
        async let failed = code { _ = try await mailbox.read(upTo: 1, timeout: .seconds(1)) }
        await bench.timers.armed(1)
        bench.timers.fireAll()
        #expect(await failed == .streamTimeout)
        mailbox.deliver([5], fin: false)
        #expect(try await mailbox.read(upTo: 1) == [5])
    }

    @Test func aCancelledReadLosesNothing() async throws {
        let task = Task { try await mailbox.read(upTo: 1, timeout: .seconds(1)) }
        await bench.timers.armed(1)
        task.cancel()
        #expect(await code { _ = try await task.value } == .cancelled)
        mailbox.deliver([5], fin: false)
        #expect(try await mailbox.read(upTo: 1) == [5])
    }

    @Test func aTaskCancelledBeforeReadsWhatIsThere() async throws {
        mailbox.deliver([5], fin: false)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            let first = try await mailbox.read(upTo: 1)
            return (first, await code { _ = try await mailbox.read(upTo: 1) })
        }
        let (first, second) = try await task.value
        #expect(first == [5])
        #expect(second == .cancelled)
    }

    @Test func nonsenseLengthsAreRefused() async {
        #expect(await code { _ = try await mailbox.read(upTo: 0) } == .streamState)
        #expect(await code { _ = try await mailbox.read(upTo: -1) } == .streamState)
    }

    @Test func creditReturnsAtHalfTheWindowOrWhenAllIsRead() async throws {
        mailbox.deliver([UInt8](repeating: 0, count: 900), fin: false)
        mailbox.deliver([UInt8](repeating: 0, count: 1100), fin: false)
        _ = try await mailbox.read(upTo: 499)
        #expect(bench.wakes == 0)
        _ = try await mailbox.read(upTo: 1)
        #expect(bench.wakes == 1)
        _ = try await mailbox.read(upTo: 400)
        #expect(bench.wakes == 1)
        #expect(bench.take().orders == StreamOrders(credit: 900))
        _ = try await mailbox.read(upTo: 10)
        #expect(bench.wakes == 1)
        _ = try await mailbox.read(upTo: 5000)
        #expect(bench.wakes == 2)
        #expect(bench.take().orders.credit == 1100)
        #expect(bench.take().orders == StreamOrders())
    }

    @Test func closeReadThrowsTheBufferAwayAndTellsThePeerOnce() async throws {
        async let waiting = code { _ = try await mailbox.read(upTo: 1, timeout: .seconds(1)) }
        await bench.timers.armed(1)
        mailbox.closeRead()
        #expect(await waiting == .streamClosed)
        #expect(bench.take().orders == StreamOrders(stop: 0))
        mailbox.closeRead()
        mailbox.deliver([1, 2, 3], fin: false)
        mailbox.deliver([4], fin: true)
        #expect(bench.take().orders == StreamOrders(credit: 4))
        #expect(await code { _ = try await mailbox.read(upTo: 1) } == .streamClosed)
    }

    @Test func closeReadAfterTheEndTellsNobody() async throws {
        mailbox.deliver([1, 2, 3], fin: true)
        mailbox.closeRead()
        #expect(await code { _ = try await mailbox.read(upTo: 1) } == .streamClosed)
        #expect(bench.take().orders == StreamOrders(credit: 3))
    }

    @Test func creditFlowsAfterTheStreamIsClosedButNotAfterTheConnectionIs() async throws {
        mailbox.deliver([1, 2, 3], fin: true)
        mailbox.streamClosed()
        _ = try await mailbox.read(upTo: 9)
        #expect(bench.wakes == 1)
        #expect(bench.take().orders.credit == 3)
        let other = MailboxBench()
        other.mailbox.deliver([1, 2, 3], fin: true)
        other.mailbox.connectionFailed(QuicError(.timeout, ""))
        _ = try await other.mailbox.read(upTo: 9)
        #expect(other.wakes == 0)
    }
}
