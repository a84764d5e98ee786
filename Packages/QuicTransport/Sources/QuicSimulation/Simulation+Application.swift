internal import Libp2pTLS
internal import PeerID
internal import QuicCore

/// The application on top of each connection: it opens streams as planned, answers the other side's, and checks every byte.
extension Simulation {
    /// Opens a stream as planned, now or when the peer allows another one. Nothing if the connection is over.
    public func open(_ plan: StreamPlan, on connection: SimulatedConnection) {
        guard !connection.isOver else { return }
        connection.waiting.append(plan)
        openWaiting(on: connection)
        service(connection)
    }

    private func openWaiting(on connection: SimulatedConnection) {
        guard connection.isUp, let core = connection.core else { return }
        while let plan = connection.waiting.first {
            guard let id = try? core.openStream() else { return }
            connection.waiting.removeFirst()
            start(plan, id: id, on: connection, core)
        }
    }

    private func start(_ plan: StreamPlan, id: StreamID, on connection: SimulatedConnection, _ core: ConnectionCore) {
        let header = SimulatedStream.Header(
            requestStart: generator.pick(0...BytePattern.length - 1),
            request: plan.request,
            responseStart: generator.pick(0...BytePattern.length - 1),
            response: plan.response
        )
        let stream = SimulatedStream(id: id, isOpener: true)
        stream.expected = (header.responseStart, header.response)
        remember(stream, on: connection)
        var segments = pattern.segments(from: header.requestStart, count: plan.request)
        if let first = SendSegment(copying: header.bytes) { segments.insert(first, at: 0) }
        core.send(segments, isEnd: true, on: id)
        guard let abort = plan.abort else { return }
        after(abort.after) { [unowned self, unowned connection] in
            cut(stream, half: abort.half, on: connection)
        }
    }

    private func cut(_ stream: SimulatedStream, half: StreamPlan.Abort.Half, on connection: SimulatedConnection) {
        guard let core = connection.core, core.isOpen, connection.node.isPresent, !stream.isClosed else { return }
        let code = UInt64(0x1_0000 + abortCodes.count)
        abortCodes[code] = stream.id
        network.tell("\(connection.label): ends the \(half) half of stream \(stream.id) with code \(code)")
        switch half {
        case .sending:
            stream.ownResetCode = code
            core.reset(stream.id, code: code)
        case .receiving:
            stream.ownStopCode = code
            core.stopReceiving(stream.id, code: code)
        }
        service(connection)
    }

    private func remember(_ stream: SimulatedStream, on connection: SimulatedConnection) {
        connection.streams.append(stream)
        connection.openStreams += 1
        connection.byID[stream.id] = stream
    }

    private func stream(_ id: StreamID, on connection: SimulatedConnection) -> SimulatedStream {
        if let known = connection.byID[id] { return known }
        if id.isServerInitiated == connection.isServer {
            fail("\(connection.label): an event of stream \(id), which this side never opened")
        }
        let stream = SimulatedStream(id: id, isOpener: false)
        remember(stream, on: connection)
        return stream
    }

    // MARK: events

    func takeEvents(of connection: SimulatedConnection, _ core: ConnectionCore) {
        var happened = false
        while let event = core.nextEvent() {
            happened = true
            tell(event, of: connection)
            if connection.isOver { fail("\(connection.label): \(event) after the end") }
            handle(event, of: connection, core)
        }
        if happened { connection.onEvents?(connection) }
    }

    private func tell(_ event: ConnectionEvent, of connection: SimulatedConnection) {
        if case .streamData(let id, let bytes, let isEnd) = event {
            return network.tell("\(connection.label): stream \(id), \(bytes.count) bytes\(isEnd ? " and the end" : "")")
        }
        if case .handshakeCompleted = event { return network.tell("\(connection.label): handshake completed") }
        if case .earlyDataStarted = event { return network.tell("\(connection.label): early data") }
        network.tell("\(connection.label): \(event)")
    }

    private func handle(_ event: ConnectionEvent, of connection: SimulatedConnection, _ core: ConnectionCore) {
        switch event {
        case .earlyDataStarted(let result):
            connection.early = result
            if connection.handshake != nil { fail("\(connection.label): early data after the handshake") }
            openWaiting(on: connection)
        case .earlyDataRejected(let ids):
            if Set(ids) != Set(connection.byID.keys) { fail("\(connection.label): not every early stream was refused") }
            connection.rejected = connection.streams
            connection.streams = []
            connection.byID = [:]
            connection.openStreams = 0
        case .handshakeCompleted(let result):
            connection.handshake = result
            connection.handshakeAt = network.now
            if !nodes.contains(where: { $0.identity.peerID == result.peer.peerID }) {
                fail("\(connection.label): verified a peer that does not exist")
            }
            openWaiting(on: connection)
        case .handshakeConfirmed: connection.confirmedAt = network.now
        case .streamsAvailable: openWaiting(on: connection)
        case .streamOpened(let id): _ = stream(id, on: connection)
        case .streamData(let id, let bytes, let isEnd):
            receive(bytes, isEnd: isEnd, on: stream(id, on: connection), of: connection, core)
        case .streamReset(let id, let code): wasReset(stream(id, on: connection), code: code, of: connection, core)
        case .streamStopped(let id, let code):
            if abortCodes[code] != id {
                fail("\(connection.label): stream \(id) was stopped with the unknown code \(code)")
            }
        case .streamClosed(let id):
            let stream = stream(id, on: connection)
            if stream.isClosed { fail("\(connection.label): stream \(id) was closed twice") }
            stream.isClosed = true
            connection.openStreams -= 1
            if !stream.isOpener { core.allowStreams(1) }
        case .pathValidated(let success):
            if success { connection.pathsValidated += 1 } else { connection.pathsFailed += 1 }
        case .pathChanged: connection.pathsChanged += 1
        case .newToken(let token): connection.tokens.append(token)
        case .datagramReceived(let bytes): connection.onDatagram?(bytes, connection)
        case .streamAcknowledged, .pingAcknowledged: break
        case .streamWritable, .connectionIDIssued, .connectionIDRetired: break
        case .terminated(let end): terminated(connection, end, core)
        }
    }

    private func receive(
        _ bytes: [UInt8],
        isEnd: Bool,
        on stream: SimulatedStream,
        of connection: SimulatedConnection,
        _ core: ConnectionCore
    ) {
        if stream.hasEnded || stream.resetCode != nil {
            fail("\(connection.label): data of stream \(stream.id) after its end")
        }
        giveCredit(bytes.count, on: stream, of: connection, core)
        var rest = bytes[...]
        if !stream.isOpener, stream.header.count < SimulatedStream.Header.length {
            let part = rest.prefix(SimulatedStream.Header.length - stream.header.count)
            stream.header += part
            rest = rest.dropFirst(part.count)
            if stream.header.count == SimulatedStream.Header.length { answer(stream, core) }
        }
        if !rest.isEmpty {
            if let expected = stream.expected, stream.received + rest.count <= expected.count,
                pattern.matches(rest, from: expected.start + stream.received)
            {
                stream.received += rest.count
            } else {
                fail("\(connection.label): wrong bytes on stream \(stream.id) after \(stream.received)")
            }
        }
        guard isEnd else { return }
        stream.hasEnded = true
        stream.endedAt = network.now
        if stream.expected?.count != stream.received {
            fail("\(connection.label): stream \(stream.id) ended after \(stream.received) bytes, not all of them")
        }
    }

    private func giveCredit(
        _ count: Int,
        on stream: SimulatedStream,
        of connection: SimulatedConnection,
        _ core: ConnectionCore
    ) {
        let delay = connection.node.settings.readingDelay
        guard delay > .zero else { return core.consumed(count, on: stream.id) }
        after(delay) { [unowned self, unowned connection] in
            guard connection.node.isPresent, let core = connection.core else { return }
            core.consumed(count, on: stream.id)
            service(connection)
        }
    }

    private func answer(_ stream: SimulatedStream, _ core: ConnectionCore) {
        let header = SimulatedStream.Header(stream.header)
        stream.expected = (header.requestStart, header.request)
        stream.hasAnswered = true
        core.send(pattern.segments(from: header.responseStart, count: header.response), isEnd: true, on: stream.id)
    }

    private func wasReset(
        _ stream: SimulatedStream,
        code: UInt64,
        of connection: SimulatedConnection,
        _ core: ConnectionCore
    ) {
        if stream.hasEnded { fail("\(connection.label): stream \(stream.id) was reset after its end") }
        if abortCodes[code] != stream.id {
            fail("\(connection.label): stream \(stream.id) was reset with the unknown code \(code)")
        }
        stream.resetCode = code
        // The request will never be whole: there is nothing to answer.
        if !stream.isOpener, !stream.hasAnswered {
            stream.hasAnswered = true
            core.reset(stream.id, code: code)
        }
    }

    // MARK: the end of a connection

    private func terminated(_ connection: SimulatedConnection, _ end: ConnectionTermination, _ core: ConnectionCore) {
        connection.termination = end
        connection.terminatedAt = network.now
        judge(end, of: connection)
        checkAge(of: connection, end, core)
    }

    private func judge(_ end: ConnectionTermination, of connection: SimulatedConnection) {
        // Whatever else is excused: only who has no such connection any more says so.
        if end.cause == .statelessReset, !isOtherSideOver(of: connection) {
            fail("\(connection.label): a stateless reset, though the other side was never over")
        }
        if connection.mayEndEarly || connection.allowed.contains(end.cause) {
            if !end.byPeer || end.cause != .application { excusedEnds += 1 }
            return
        }
        if end.cause == .application, connection.closedByUs || end.byPeer { return }
        if isInOrder(end, connection) || isImpaired && isExcused(end, connection) { return }
        fail("\(connection.label) ended with \(end.cause) (\(end.error)), which nothing calls for")
    }

    /// Whether a connection that may be the other side of this one is over, or forgotten by a node that started again.
    private func isOtherSideOver(of connection: SimulatedConnection) -> Bool {
        nodes.contains { node in
            node !== connection.node
                && node.connections.contains { other in
                    guard other.isServer != connection.isServer, other.isOver else { return false }
                    guard let peer = other.handshake?.peer.peerID else { return true }
                    return peer == connection.node.identity.peerID
                }
        }
    }

    /// Whether a connection ended as the protocol has it where nothing went wrong: idle for long enough, with nothing left to
    /// do and without keep-alive; or a server's, opened by a client's first packet that was sent again before the answer
    /// came, or before the Retry with whose token the client then went on elsewhere.
    private func isInOrder(_ end: ConnectionTermination, _ connection: SimulatedConnection) -> Bool {
        switch end.cause {
        case .idleTimeout:
            connection.isSettled && connection.handshake != nil
                && connection.node.settings.configuration.keepAliveInterval == nil
        case .handshakeTimeout: connection.isServer && connection.handshake == nil
        default: false
        }
    }

    /// Where packets are lost, the other side's close can be, too: then a connection on which nothing was to be done any more
    /// ends in silence or with a stateless reset. And a late or damaged copy of a client's first packet opens a connection
    /// that nobody goes on with.
    private func isExcused(_ end: ConnectionTermination, _ connection: SimulatedConnection) -> Bool {
        switch end.cause {
        case .idleTimeout, .statelessReset: connection.isSettled && (connection.isServer || connection.handshake != nil)
        case .handshakeTimeout, .dropped: connection.isServer && connection.handshake == nil
        case .application, .transport, .versionNegotiation: false
        }
    }

    /// No connection outlives its idle timeout, nor a handshake its own.
    private func checkAge(of connection: SimulatedConnection, _ end: ConnectionTermination, _ core: ConnectionCore) {
        let timeouts = connection.node.settings.configuration.timeouts
        // The first packet that wants an answer after the last arrival starts the timeout anew (RFC 9000 §10.1); those that
        // follow it without an answer do not.
        let silence = Double(network.now - max(connection.lastReceived, connection.askedAt ?? 0)) / 1e9
        guard connection.handshake != nil else {
            let limit = connection.isServer ? timeouts.inboundHandshake : max(timeouts.handshake, timeouts.idle)
            let age = Double(network.now - connection.begun) / 1e9
            if age > limit.secondCount + 1 {
                fail("\(connection.label): \(age) s without a handshake")
            }
            return
        }
        // Three probe timeouts are granted at least.
        let path = core.pathStatistics
        let probe = path.smoothedRoundTrip.secondCount + 4 * path.roundTripVariation.secondCount + 0.1
        let limit = max(timeouts.idle.secondCount, 3 * probe)
        if silence > limit + 1 { fail("\(connection.label): open after \(silence) s of silence") }
    }
}
