import Multiaddr
import NetStream
import PeerID
import Synchronization

/// What every transport must do, as checks that any test framework can call.
///
/// ```swift
/// @Test(arguments: TransportCompliance.allCases)
/// func complies(_ check: TransportCompliance) async throws {
///     try await check.run(on: TransportFixture(listenAddress: "/memory/0") { MemoryTransport(identity: $0, …) })
/// }
/// ```
public enum TransportCompliance: String, Sendable, CaseIterable {
    /// Bytes come back as they were sent, each way and both ways at once.
    case echo
    /// After `closeWrite` the peer reads the end and can still answer.
    case halfClose
    /// After `closeRead` the peer's writes fail and its reading half works on.
    case stopReading
    /// A reset's code is seen by the peer, and that the peer did it.
    case resetCode
    /// A stream that nobody holds any more is broken off, so that the peer does not wait; what was ended before arrives.
    case letGo
    /// Data that arrived is read before the end of the stream, which is then seen again and again.
    case endAfterData
    /// A writer suspends when nobody reads, and goes on when somebody does. Cancelling it loses and doubles nothing.
    case backPressure
    /// Many streams work at once without mixing.
    case manyStreams
    /// `acceptStream`, `openStream`, `read` and `write` fail after the connection was closed; waiting ones too.
    case useAfterClose
    /// A listener accepts no more after it was closed; a waiting `accept` ends.
    case closedListener
    /// Dialling fails when the peer is not the one named in the address.
    case wrongPeer
    /// A cancelled read leaves the stream working, and no byte is lost.
    case cancelledRead
    /// A cancelled `acceptStream` leaves the connection working.
    case cancelledAccept
    /// The code and the reason of a close are seen by the peer.
    case closeCode
    /// Peers, keys, addresses and directions are those of the two ends.
    case identities

    /// Runs the check. Throws ``ComplianceFailure`` when the transport does not pass.
    public func run(on fixture: TransportFixture) async throws {
        switch self {
        case .echo: try await fixture.withPair(rawValue, checkEcho)
        case .halfClose: try await fixture.withPair(rawValue, checkHalfClose)
        case .stopReading: try await fixture.withPair(rawValue, checkStopReading)
        case .resetCode: try await fixture.withPair(rawValue, checkResetCode)
        case .letGo: try await fixture.withPair(rawValue, checkLetGo)
        case .endAfterData: try await fixture.withPair(rawValue, checkEndAfterData)
        case .backPressure:
            try await fixture.withPair(rawValue) { try await checkBackPressure($0, fixture: fixture) }
        case .manyStreams:
            try await fixture.withPair(rawValue) { try await checkManyStreams($0, count: fixture.streamsAtOnce) }
        case .useAfterClose: try await fixture.withPair(rawValue, checkUseAfterClose)
        case .closedListener: try await fixture.withPair(rawValue, checkClosedListener)
        case .wrongPeer: try await fixture.withPair(rawValue, checkWrongPeer)
        case .cancelledRead: try await fixture.withPair(rawValue, checkCancelledRead)
        case .cancelledAccept: try await fixture.withPair(rawValue, checkCancelledAccept)
        case .closeCode: try await fixture.withPair(rawValue, checkCloseCode)
        case .identities: try await fixture.withPair(rawValue, checkIdentities)
        }
    }

    /// Runs every check in turn.
    public static func runAll(on fixture: TransportFixture) async throws {
        for check in allCases { try await check.run(on: fixture) }
    }

    private func expect(_ isTrue: Bool, _ message: @autoclosure () -> String) throws {
        guard isTrue else { throw ComplianceFailure(check: rawValue, message: message()) }
    }

    // MARK: Streams

    private func checkEcho(_ pair: ConnectedPair) async throws {
        let payload = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let stream = try await pair.server.acceptStream()
                while let chunk = try await stream.read(upTo: 4096) { try await stream.write(chunk) }
                try await stream.closeWrite()
            }
            let stream = try await pair.client.openStream()
            group.addTask {
                try await stream.write(payload)
                try await stream.closeWrite()
            }
            let back = try await stream.readAll()
            try expect(back == payload, "sent \(payload.count) bytes, got \(back.count) back that differ")
            try await group.waitForAll()
        }
    }

    private func checkHalfClose(_ pair: ConnectedPair) async throws {
        let (client, server) = try await pair.openStream()
        try await client.write([1, 2, 3])
        try await client.closeWrite()
        let request = try await server.readAll()
        try expect(request == [1, 2, 3], "read \(request) before the end instead of [1, 2, 3]")
        let refused = await failureKind { try await client.write([4]) }
        try expect(
            refused == .closed,
            "a write after closeWrite must fail with .closed, not \(String(describing: refused))"
        )
        try await server.write([5, 6])
        try await server.closeWrite()
        let answer = try await client.readAll()
        try expect(answer == [5, 6], "the answer to a half-closed stream is \(answer) instead of [5, 6]")
    }

    private func checkStopReading(_ pair: ConnectedPair) async throws {
        let (client, server) = try await pair.openStream()
        try await server.closeRead()
        // The request travels at its own pace: write until it has arrived. The bytes go nowhere.
        var kind: StreamFailureKind?
        while kind == nil {
            kind = await failureKind { try await client.write([UInt8](repeating: 0, count: 1024)) }
            if kind == nil { await Task.yield() }
        }
        switch kind {
        case .reset(_, byPeer: true), .closed: break
        default: try expect(false, "writes to a peer that stopped reading fail with \(String(describing: kind))")
        }
        try await server.write([7])
        try await server.closeWrite()
        let rest = try await client.readAll()
        try expect(rest == [7], "the other half must work on after STOP_SENDING; read \(rest) instead of [7]")
    }

    private func checkResetCode(_ pair: ConnectedPair) async throws {
        let (client, server) = try await pair.openStream()
        client.reset(code: .rateLimited)
        let kind = await failureKind { _ = try await server.readAll() }
        let expected = StreamFailureKind.reset(code: StreamErrorCode.rateLimited.rawValue, byPeer: true)
        try expect(kind == expected, "the peer of a reset sees \(String(describing: kind)), not \(expected)")
        let own = await failureKind { _ = try await client.read(upTo: 1) }
        if case .reset(_, byPeer: false) = own {
        } else {
            try expect(
                false,
                "reads after an own reset fail with \(String(describing: own)), not .reset(byPeer: false)"
            )
        }
        let write = await failureKind { try await client.write([1]) }
        try expect(write != nil, "a write after an own reset succeeds")
        client.reset(code: .none)
    }

    private func checkLetGo(_ pair: ConnectedPair) async throws {
        /// Opens a stream and lets go of one end of it. Returns the other one.
        func leftAlone(by isLeaving: Direction, _ body: (any MuxedStream) async throws -> Void) async throws
            -> any MuxedStream
        {
            let (client, server) = try await pair.openStream()
            let (leaving, staying) = isLeaving == .outbound ? (client, server) : (server, client)
            try await body(leaving)
            return staying
        }
        for direction in [Direction.outbound, .inbound] {
            let broken = try await leftAlone(by: direction) { try await $0.write([1]) }
            let kind = await failureKind { _ = try await broken.readAll() }
            let expected = StreamFailureKind.reset(code: StreamErrorCode.none.rawValue, byPeer: true)
            try expect(
                kind == expected,
                "the peer of a stream let go of sees \(String(describing: kind)), not \(expected)"
            )
            let ended = try await leftAlone(by: direction) {
                try await $0.write([1, 2, 3])
                try await $0.closeWrite()
            }
            let bytes = try await ended.readAll()
            try expect(bytes == [1, 2, 3], "\(bytes) arrived before the end of a stream let go of, not [1, 2, 3]")
        }
    }

    private func checkEndAfterData(_ pair: ConnectedPair) async throws {
        let (client, server) = try await pair.openStream()
        let payload = [UInt8](repeating: 9, count: 20_000)
        try await client.write(payload)
        try await client.closeWrite()
        let bytes = try await server.readAll()
        try expect(bytes == payload, "read \(bytes.count) bytes before the end instead of \(payload.count)")
        let again = try await server.read(upTo: 1)
        try expect(again == nil, "a read after the end must return nil again")
    }

    private func checkBackPressure(_ pair: ConnectedPair, fixture: TransportFixture) async throws {
        let (client, server) = try await pair.openStream()
        let written = Mutex(0)
        let chunk = [UInt8](repeating: 1, count: 16384)
        do {
            try await withDeadline(fixture.suspensionTime) {
                while written.withLock({ $0 }) < fixture.moreThanAllWindows {
                    try await client.write(chunk)
                    written.withLock { $0 += chunk.count }
                }
            }
            try expect(false, "a writer put \(written.withLock { $0 }) bytes into a stream that nobody reads")
        } catch let error as NetStreamError where error.code == .timeout {}
        // The cancelled write may have sent a part of its chunk; after it the stream works on.
        let complete = written.withLock { $0 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await client.write([2, 3])
                try await client.closeWrite()
            }
            let all = try await server.readAll()
            try await group.waitForAll()
            try expect(all.suffix(2) == [2, 3], "what was written after a cancelled write did not arrive at the end")
            let ones = all.dropLast(2)
            try expect(ones.allSatisfy { $0 == 1 }, "bytes were mixed up by a cancelled write")
            let range = complete...(complete + chunk.count)
            try expect(range.contains(ones.count), "\(ones.count) bytes arrived, but \(range) were sent")
        }
    }

    private func checkManyStreams(_ pair: ConnectedPair, count: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await withThrowingTaskGroup(of: Void.self) { handlers in
                    for _ in 0..<count {
                        let stream = try await pair.server.acceptStream()
                        handlers.addTask {
                            let request = try await stream.readAll()
                            try await stream.write(request.reversed())
                            try await stream.closeWrite()
                        }
                    }
                    try await handlers.waitForAll()
                }
            }
            // All are open before the first ends.
            var streams: [any MuxedStream] = []
            for index in 0..<count {
                let stream = try await pair.client.openStream()
                try await stream.write([UInt8(truncatingIfNeeded: index)])
                streams.append(stream)
            }
            try expect(Set(streams.map(\.id)).count == count, "stream numbers are not unique")
            for (index, stream) in streams.enumerated() {
                group.addTask {
                    let body = [UInt8](repeating: UInt8(truncatingIfNeeded: index &* 7), count: 2000 + index)
                    try await stream.write(body)
                    try await stream.closeWrite()
                    let answer = try await stream.readAll()
                    let expected = body + [UInt8(truncatingIfNeeded: index)]
                    try expect(answer == expected, "stream \(index) got the wrong answer of \(answer.count) bytes")
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: Closing

    private func checkUseAfterClose(_ pair: ConnectedPair) async throws {
        let (client, server) = try await pair.openStream()
        async let waitingRead = failureKind { _ = try await server.readAll() }
        async let waitingAccept = failureKind { _ = try await pair.server.acceptStream() }
        await pair.client.close(code: .none, reason: "done")
        try expect(pair.client.isClosed, "isClosed is false after close")
        for (name, kind) in [
            ("a waiting read", await waitingRead),
            ("a waiting acceptStream", await waitingAccept),
            ("acceptStream", await failureKind { _ = try await pair.client.acceptStream() }),
            ("openStream", await failureKind { _ = try await pair.client.openStream() }),
            ("read", await failureKind { _ = try await client.read(upTo: 1) }),
            ("write", await failureKind { try await client.write([1]) }),
            ("acceptStream at the peer", await failureKind { _ = try await pair.server.acceptStream() }),
        ] {
            if case .connectionClosed = kind { continue }
            try expect(false, "\(name) after a close ends with \(String(describing: kind)), not .connectionClosed")
        }
        await pair.client.close(code: .shutdown, reason: "again")
    }

    private func checkClosedListener(_ pair: ConnectedPair) async throws {
        async let waiting = failureKind { _ = try await pair.listener.accept() }
        await pair.listener.close()
        for kind in [await waiting, await failureKind { _ = try await pair.listener.accept() }] {
            try expect(
                kind == .closed,
                "accept on a closed listener ends with \(String(describing: kind)), not .closed"
            )
        }
        let (client, server) = try await pair.openStream()
        try await client.closeWrite()
        let rest = try await server.readAll()
        try expect(rest.isEmpty, "connections must live on when their listener is closed")
        await pair.listener.close()
    }

    private func checkWrongPeer(_ pair: ConnectedPair) async throws {
        let wrong = pair.address.withPeerID(PrivateKey.ed25519().peerID)
        do {
            let connection = try await pair.clientTransport.dial(wrong)
            await connection.close(code: .none, reason: "")
        } catch { return }
        try expect(false, "dialling succeeded although the peer is not the one in the address")
    }

    private func checkCloseCode(_ pair: ConnectedPair) async throws {
        async let seen = pair.server.waitUntilClosed()
        await pair.client.close(code: .garbageCollected, reason: "idle for long")
        let there = await seen
        try expect(
            there.code == ConnectionErrorCode.garbageCollected.rawValue && there.isApplication && there.byPeer,
            "the peer of a close sees \(there)"
        )
        try expect(there.reason == "idle for long", "the peer of a close sees the reason \"\(there.reason)\"")
        let here = await pair.client.waitUntilClosed()
        try expect(
            here.code == ConnectionErrorCode.garbageCollected.rawValue && !here.byPeer,
            "the closer itself sees \(here)"
        )
        try expect(pair.server.isClosed, "isClosed is false at the peer of a close")
    }

    // MARK: Cancellation

    private func checkCancelledRead(_ pair: ConnectedPair) async throws {
        let (client, server) = try await pair.openStream()
        let reading = Task { await failureKind { _ = try await server.read(upTo: 10) } }
        await Task.yield()
        reading.cancel()
        let kind = await reading.value
        try expect(kind == .cancelled, "a cancelled read ends with \(String(describing: kind)), not .cancelled")
        try await client.write([1, 2, 3])
        try await client.closeWrite()
        let bytes = try await server.readAll()
        try expect(bytes == [1, 2, 3], "after a cancelled read \(bytes) was read instead of [1, 2, 3]")
    }

    private func checkCancelledAccept(_ pair: ConnectedPair) async throws {
        let accepting = Task { await failureKind { _ = try await pair.server.acceptStream() } }
        await Task.yield()
        accepting.cancel()
        let kind = await accepting.value
        try expect(kind == .cancelled, "a cancelled acceptStream ends with \(String(describing: kind))")
        _ = try await pair.openStream()
    }

    // MARK: Identity

    private func checkIdentities(_ pair: ConnectedPair) async throws {
        let (client, server) = (pair.client, pair.server)
        try expect(client.remotePeer == server.localPeer, "the dialler sees the wrong peer")
        try expect(server.remotePeer == client.localPeer, "the listener sees the wrong peer")
        try expect(client.remotePublicKey.peerID == client.remotePeer, "key and peer ID do not belong together")
        try expect(server.remotePublicKey.peerID == server.remotePeer, "key and peer ID do not belong together")
        try expect(client.remotePeer != client.localPeer, "the two ends have one identity")
        try expect(client.direction == .outbound && server.direction == .inbound, "directions are wrong")
        try expect(
            client.remoteAddress.peerID == nil && client.remoteAddress == pair.address.withoutPeerID,
            "the dialler's remote address is \(client.remoteAddress), not \(pair.address.withoutPeerID)"
        )
        let (near, far) = try await pair.openStream()
        try expect(near.direction == .outbound && far.direction == .inbound, "directions of a stream are wrong")
        try expect(near.id == far.id, "a stream has different numbers at its ends")
    }
}
