import NetStream
import NetStreamTesting
import Testing

/// Every cell of the table on real streams.
@Suite struct NetStreamTableTests {
    func stream(
        in state: StreamState,
        counter: Counter
    ) async throws -> (near: NetStream, far: any MuxedStream, pair: MemoryPair) {
        let pair = try await MemoryPair()
        let (near, far) = try await pair.stream(onRelease: { _ in counter.increment() })
        switch state {
        case .initial: break
        case .open: try near.establish()
        case .closedRead:
            try near.establish()
            try await far.closeWrite()
            #expect(try await near.read() == nil)
        case .closedWrite:
            try near.establish()
            try await near.closeWrite()
        case .closedBoth:
            try near.establish()
            try await near.close()
        case .reset:
            try near.establish()
            far.reset(code: .rateLimited)
            #expect(await code { _ = try await near.read() } == .reset)
        case .failed:
            try near.establish()
            await pair.server.close(code: .shutdown, reason: "bye")
            #expect(await code { _ = try await near.read() } == .connectionClosed)
        }
        #expect(near.state == state)
        return (near, far, pair)
    }

    @Test(arguments: Ledger.cells)
    func cell(_ state: StreamState, _ operation: StreamOperation) async throws {
        let counter = Counter()
        let (near, far, _) = try await stream(in: state, counter: counter)
        let cell = try #require(Ledger.rows[operation]?[state])
        if cell == .works, operation == .read { try await far.write([42]) }
        let result: Result<Void, any Error>
        do {
            switch operation {
            case .read: #expect(try await near.read(upTo: 10) == [42])
            case .write: try await near.write([1, 2])
            case .closeRead: try await near.closeRead()
            case .closeWrite: try await near.closeWrite()
            case .close: try await near.close()
            case .reset: near.reset(code: .generic)
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        switch cell {
        case .works, .noOp:
            try result.get()
            #expect(near.state == state)
        case .moves(let next):
            try result.get()
            #expect(near.state == next)
        case .refused:
            #expect(near.state == state)
            guard case .failure(let error) = result, let error = error as? NetStreamError else {
                Issue.record("\(operation) in \(state) was not refused")
                return
            }
            #expect(error.state == state && error.operation == operation)
            #expect(error.message.contains("\(state)") && error.message.contains("\(operation)"))
            let expected: NetStreamError.Code =
                switch state {
                case .initial: .notEstablished
                case .reset: .reset
                case .failed: .connectionClosed
                default: operation == .read ? .endOfStream : .writeClosed
                }
            #expect(error.code == expected)
            if state == .reset { #expect(error.streamCode == StreamErrorCode.rateLimited.rawValue && error.byPeer) }
        }
        #expect(counter.value == (near.state.isEnd ? 1 : 0))
        #expect(near.isOperational == near.state.isOperational)
    }

    @Test func aStreamIsEstablishedOnce() async throws {
        let (near, far) = try await MemoryPair().openStream()
        defer { withExtendedLifetime(far) {} }
        #expect(await code { try near.establish() } == .alreadyEstablished)
    }

    @Test func endOfStreamMovesTheReadingHalfOnly() async throws {
        let pair = try await MemoryPair()
        let counter = Counter()
        let (near, far) = try await pair.openStream(onRelease: { _ in counter.increment() })
        try await near.closeWrite()
        #expect(try await far.read(upTo: 1) == nil)
        try await far.write([1])
        try await far.closeWrite()
        #expect(try await near.read() == [1])
        #expect(near.state == .closedWrite)
        #expect(try await near.read() == nil)
        #expect(near.state == .closedBoth)
        #expect(counter.value == 1)
        near.reset()
        #expect(near.state == .reset)
        #expect(counter.value == 1)
    }

    @Test func aPeerThatStopsReadingEndsTheWritingHalfOnly() async throws {
        let pair = try await MemoryPair()
        let (near, far) = try await pair.openStream()
        try await far.closeRead()
        let error = await #expect(throws: NetStreamError.self) { try await near.write([1]) }
        #expect(error?.code == .reset && error?.byPeer == true)
        #expect(near.state == .closedWrite)
        try await near.closeWrite()
        try await far.write([2])
        #expect(try await near.read() == [2])
    }

    @Test func closingTowardsAPeerThatStoppedReadingIsNoError() async throws {
        let pair = try await MemoryPair()
        let (near, far) = try await pair.openStream()
        try await far.closeRead()
        try await near.closeWrite()
        #expect(near.state == .closedWrite)
        let (other, otherFar) = try await pair.openStream()
        try await otherFar.close()
        try await other.close()
        #expect(other.state == .closedBoth)
    }

    @Test func resetCarriesItsCodeToThePeer() async throws {
        let pair = try await MemoryPair()
        let (near, far) = try await pair.openStream()
        near.reset(code: .gated)
        do {
            _ = try await far.read(upTo: 1)
            Issue.record("the peer does not see the reset")
        } catch let error as any ClassifiedStreamError {
            #expect(error.streamFailureKind == .reset(code: StreamErrorCode.gated.rawValue, byPeer: true))
        }
        #expect(await code { try await near.write([1]) } == .reset)
    }

    @Test func aResetUnderAWaitingReadEndsIt() async throws {
        let pair = try await MemoryPair()
        let (near, far) = try await pair.openStream()
        defer { withExtendedLifetime(far) {} }
        async let waiting = code { _ = try await near.readExactly(5) }
        near.reset()
        #expect(await waiting == .reset)
    }

    @Test func protocolAndAddressesAreKnown() async throws {
        let pair = try await MemoryPair()
        let (near, far) = try await pair.openStream()
        defer { withExtendedLifetime(far) {} }
        #expect(near.protocolID == nil)
        near.protocolID = "/echo/1.0.0"
        #expect(near.protocolID == "/echo/1.0.0")
        #expect(near.remotePeer == pair.server.localPeer)
        #expect(near.remoteAddress == pair.client.remoteAddress)
        #expect(near.direction == .outbound)
    }

    /// Random operations of many tasks at once: no crash, a legal end, one release.
    @Test func manyTasksAtOnceReleaseOnce() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        for round in 0..<50 as Range<UInt64> {
            let counter = Counter()
            let pair = try await MemoryPair()
            let (near, far) = try await pair.openStream(onRelease: { _ in counter.increment() })
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<8 as Range<UInt64> {
                    group.addTask {
                        var random = SeededGenerator(seed: seed &+ round &* 100 &+ task)
                        for _ in 0..<10 {
                            switch Int.random(in: 0..<12, using: &random) {
                            case 0: try? await near.closeRead()
                            case 1: try? await near.closeWrite()
                            case 2: try? await near.close()
                            case 3: near.reset()
                            case 4: try? await far.closeWrite()
                            case 5: try? await far.closeRead()
                            default: try? await near.write([1, 2, 3])
                            }
                        }
                    }
                }
            }
            near.reset()
            #expect(near.state.isEnd, "seed \(seed)")
            #expect(counter.value == 1, "seed \(seed)")
        }
    }
}
