import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

/// A muxed stream whose every operation fails as it is told.
final class FailingStream: MuxedStream {
    let id: UInt64 = 0
    let direction = Direction.outbound
    let error: any Error
    private let resets_ = Mutex<[StreamErrorCode]>([])
    var resets: [StreamErrorCode] { resets_.withLock { $0 } }

    init(_ error: any Error) {
        self.error = error
    }

    func read(upTo maxLength: Int) async throws -> [UInt8]? { throw error }
    func write(_ bytes: [UInt8]) async throws { throw error }
    func closeWrite() async throws { throw error }
    func closeRead() async throws { throw error }
    func close() async throws { throw error }
    func reset(code: StreamErrorCode) { resets_.withLock { $0.append(code) } }
}

struct KindError: ClassifiedStreamError {
    var streamFailureKind: StreamFailureKind
    var hasEndedWriting = false
}

/// What each failure of a transport means for a stream.
@Suite struct FailureTests {
    struct Unclassified: Error {}

    func attempt(
        _ error: any Error,
        _ operation: StreamOperation,
        on pair: MemoryPair
    ) async throws -> (stream: NetStream, muxed: FailingStream, error: NetStreamError?) {
        let muxed = FailingStream(error)
        let stream = NetStream(muxed, connection: pair.client)
        try stream.establish()
        do {
            switch operation {
            case .read: _ = try await stream.read()
            case .write: try await stream.write([1])
            case .closeRead: try await stream.closeRead()
            case .closeWrite: try await stream.closeWrite()
            case .close: try await stream.close()
            case .reset: stream.reset()
            }
            return (stream, muxed, nil)
        } catch {
            return (stream, muxed, error as? NetStreamError)
        }
    }

    @Test(
        arguments: [StreamFailureKind.cancelled, .timeout],
        [StreamOperation.read, .write, .closeRead, .closeWrite, .close]
    )
    func aCloseThatCameHalfwayHasClosedTheWritingHalf(_ kind: StreamFailureKind, _ operation: StreamOperation)
        async throws
    {
        let pair = try await MemoryPair()
        let thrown = KindError(streamFailureKind: kind, hasEndedWriting: true)
        let (stream, muxed, error) = try await attempt(thrown, operation, on: pair)
        #expect(error?.code == (kind == .timeout ? .timeout : .cancelled))
        // Whatever else fails so has changed nothing.
        #expect(stream.state == (operation == .close ? .closedWrite : .open))
        #expect(error?.message.contains("the writing half is closed") == (operation == .close))
        #expect(muxed.resets.isEmpty)
        if operation == .close { #expect(await code { try await stream.write([1]) } == .writeClosed) }
    }

    @Test(arguments: [StreamOperation.read, .write, .closeRead, .closeWrite, .close])
    func unexpectedFailuresAreTerminal(_ operation: StreamOperation) async throws {
        let pair = try await MemoryPair()
        let errors: [(any Error, NetStreamError.Code)] = [
            (Unclassified(), .failed), (KindError(streamFailureKind: .other), .failed),
            (KindError(streamFailureKind: .limitExceeded), .limitExceeded),
            (KindError(streamFailureKind: .connectionClosed(code: 7, byPeer: true)), .connectionClosed),
        ]
        for (error, code) in errors {
            let (stream, muxed, thrown) = try await attempt(error, operation, on: pair)
            #expect(thrown?.code == code && thrown?.operation == operation)
            #expect(stream.state == .failed)
            // Whatever still works underneath is given up too.
            #expect(muxed.resets == [.generic])
        }
    }

    @Test(arguments: [StreamOperation.read, .write, .closeRead, .closeWrite, .close])
    func timeoutsAndCancellationsLeaveTheStreamAsItWas(_ operation: StreamOperation) async throws {
        let pair = try await MemoryPair()
        let errors: [(any Error, NetStreamError.Code)] = [
            (KindError(streamFailureKind: .timeout), .timeout), (KindError(streamFailureKind: .cancelled), .cancelled),
            (CancellationError(), .cancelled),
        ]
        for (error, code) in errors {
            let (stream, muxed, thrown) = try await attempt(error, operation, on: pair)
            #expect(thrown?.code == code)
            #expect(stream.state == .open && muxed.resets.isEmpty)
        }
    }

    @Test func aTimeoutOfAClosedConnectionIsItsEnd() async throws {
        let pair = try await MemoryPair()
        await pair.client.close(code: .none, reason: "")
        let (stream, _, thrown) = try await attempt(KindError(streamFailureKind: .timeout), .read, on: pair)
        #expect(thrown?.code == .connectionClosed && stream.state == .failed)
    }

    @Test func halvesThatTheTransportClosedAreClosed() async throws {
        let pair = try await MemoryPair()
        let closed = KindError(streamFailureKind: .closed)
        let expected: [(StreamOperation, NetStreamError.Code?, StreamState)] = [
            (.read, .endOfStream, .closedRead), (.closeRead, .endOfStream, .closedRead),
            (.write, .writeClosed, .closedWrite), (.closeWrite, nil, .closedWrite), (.close, nil, .closedBoth),
        ]
        for (operation, code, state) in expected {
            let (stream, _, thrown) = try await attempt(closed, operation, on: pair)
            #expect(thrown?.code == code && stream.state == state, "\(operation)")
        }
    }

    @Test func aResetByThePeerEndsTheHalfItConcerns() async throws {
        let pair = try await MemoryPair()
        let reset = KindError(streamFailureKind: .reset(code: 9, byPeer: true))
        let expected: [(StreamOperation, NetStreamError.Code?, StreamState)] = [
            (.read, .reset, .reset), (.closeRead, .reset, .reset), (.write, .reset, .closedWrite),
            (.closeWrite, nil, .closedWrite), (.close, nil, .closedBoth),
        ]
        for (operation, code, state) in expected {
            let (stream, muxed, thrown) = try await attempt(reset, operation, on: pair)
            #expect(thrown?.code == code && stream.state == state, "\(operation)")
            if let thrown { #expect(thrown.streamCode == 9 && thrown.byPeer) }
            // The sending half is given up together with the receiving one.
            #expect(muxed.resets == (state == .reset ? [.none] : []))
        }
    }

    @Test func errorsSayWhatTheyMean() {
        #expect(NetStreamError(.reset, "a") == NetStreamError(.reset, "b", streamCode: 1))
        #expect(NetStreamError(.reset, "a") != NetStreamError(.timeout, "a"))
        let error = NetStreamError(.reset, "gone", cause: Unclassified(), streamCode: 4, byPeer: true)
        #expect(error.description.contains("reset") && error.description.contains("Unclassified"))
        let kinds: [(NetStreamError.Code, StreamFailureKind)] = [
            (.endOfStream, .closed), (.writeClosed, .closed), (.timeout, .timeout), (.cancelled, .cancelled),
            (.limitExceeded, .limitExceeded), (.failed, .other),
            (.connectionClosed, .connectionClosed(code: 0, byPeer: false)), (.reset, .reset(code: 0, byPeer: false)),
        ]
        for (code, kind) in kinds { #expect(NetStreamError(code, "").streamFailureKind == kind) }
    }
}
