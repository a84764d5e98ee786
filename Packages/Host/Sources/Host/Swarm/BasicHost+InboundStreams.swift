import Logging
import Metrics
import NetStream
import Synchronization

extension BasicHost {
    /// Negotiates and handles one inbound stream. One child task of its connection. Gives the turn to negotiate back.
    ///
    /// What waits for a handler's end, which can be that of the connection, is kept small: the negotiation and all that is
    /// rare are functions of their own, never merged into this one, so that their memory is not held meanwhile.
    func serve(_ muxed: any MuxedStream, of connection: HostConnection) async {
        let accepted = await negotiate(muxed, of: connection)
        connection.inboundNegotiations.release()
        guard let accepted else { return }
        if !connection.handlers.tryAcquire() {
            guard await waitForHandler(of: accepted, muxed, connection) else { return }
        }
        defer { connection.handlers.release() }
        guard beginWork(on: accepted.name) else { return accepted.stream.reset(code: .shutdown) }
        defer { endWork(on: accepted.name) }
        metrics.streamsHandled.increment()
        logHandling("stream opened", of: accepted.stream, on: connection)
        if accepted.match.runsOnTransport || connection.muxed.taskExecutor == nil {
            await run(accepted.match.handler, on: accepted.stream, of: connection)
        } else {
            await withTaskExecutorPreference(globalConcurrentExecutor) {
                await run(accepted.match.handler, on: accepted.stream, of: connection)
            }
        }
        logHandling("stream closed", of: accepted.stream, on: connection)
    }

    /// An inbound stream whose protocol is agreed on.
    private struct AcceptedStream {
        var stream: NetStream
        var name: [UInt8]
        var match: HandlerRegistry.Match
    }

    /// Agrees with the peer on the protocol of an inbound stream.
    ///
    /// - Returns: `nil` when there is nothing to handle; the stream is over then.
    @inline(never)
    private func negotiate(_ muxed: any MuxedStream, of connection: HostConnection) async -> AcceptedStream? {
        let use: StreamUse
        do throws(HostError) {
            use = try connection.reserveStream(.inbound)
        } catch {
            refuse(muxed, of: connection, error)
            muxed.reset(code: .resourceLimitExceeded)
            return nil
        }
        guard let stream = try? connection.wrap(muxed, use: use) else {
            muxed.reset(code: .generic)
            return nil
        }
        let start = configuration.clock.now()
        let name: [UInt8]?
        do {
            name = try await answer(on: stream)
        } catch {
            negotiationFailed(error, on: stream, of: connection)
            return nil
        }
        guard let name, let match = await handler(for: name) else {
            await closeUnhandled(stream)
            return nil
        }
        metrics.negotiationTime.record(duration: start.elapsed())
        let accepted = AcceptedStream(stream: stream, name: name, match: match)
        return settle(use, of: accepted, muxed, connection) ? accepted : nil
    }

    /// The peer asked and did not like the answers or did not wait for them; or the handler was removed just now.
    @inline(never)
    private func closeUnhandled(_ stream: NetStream) async {
        do { try await stream.close() } catch { stream.reset(code: .protocolNegotiationFailed) }
    }

    /// Counts a stream for its protocol from now on. `false` when there is no room; the stream is over then.
    @inline(never)
    private func settle(
        _ use: StreamUse,
        of accepted: AcceptedStream,
        _ muxed: any MuxedStream,
        _ connection: HostConnection
    ) -> Bool {
        let text = String(decoding: accepted.name, as: UTF8.self)
        do throws(HostError) {
            try use.settle(text, countedAs: String(decoding: accepted.match.registered, as: UTF8.self))
        } catch {
            refuse(muxed, of: connection, error, protocolID: text)
            accepted.stream.reset(code: .resourceLimitExceeded)
            return false
        }
        accepted.stream.protocolID = text
        return true
    }

    /// What the peer wants to speak and this host speaks too, in good time; `nil` when there is nothing.
    @inline(never)
    private func answer(on stream: NetStream) async throws -> [UInt8]? {
        try await withDeadline(
            configuration.streams.negotiationTimeout,
            clock: configuration.clock,
            breakingOff: { stream.reset(code: .protocolNegotiationFailed) }
        ) {
            try await MultistreamDriver.answer(on: stream) { self.state.withLock { $0.handlers } }
        }
    }

    @inline(never)
    private func negotiationFailed(_ error: any Error, on stream: NetStream, of connection: HostConnection) {
        metrics.negotiationFailed(.inbound, error)
        stream.reset(code: .protocolNegotiationFailed)
        logger.debug("a negotiation failed", metadata: metadata(of: stream, on: connection).failing(error))
    }

    /// Waits until fewer streams of the connection are handled. `false` when that took too long; the stream is over then.
    @inline(never)
    private func waitForHandler(
        of accepted: AcceptedStream,
        _ muxed: any MuxedStream,
        _ connection: HostConnection
    ) async -> Bool {
        do {
            try await withDeadline(configuration.streams.negotiationTimeout, clock: configuration.clock) {
                try await connection.handlers.acquire()
            }
            return true
        } catch {
            let refusal = HostError.wrapping(error, as: .resourceLimit, "no handler became free")
            refuse(muxed, of: connection, refusal, protocolID: accepted.stream.protocolID)
            accepted.stream.reset(code: .resourceLimitExceeded)
            return false
        }
    }

    @inline(never)
    private func logHandling(_ what: Logger.Message, of stream: NetStream, on connection: HostConnection) {
        logger.debug(what, metadata: metadata(of: stream, on: connection))
    }

    private func refuse(
        _ stream: any MuxedStream,
        of connection: HostConnection,
        _ error: HostError,
        protocolID: String? = nil
    ) {
        metrics.streamRefused(error)
        let metadata = connection.metadata(ofStream: stream.id, stream.direction, protocolID: protocolID)
        logger.debug("a stream was refused", metadata: metadata.failing(error))
    }

    /// The handler for a name. The registry is asked outside the lock: predicates are the user's code.
    private func handler(for name: [UInt8]) async -> HandlerRegistry.Match? {
        let handlers = state.withLock { $0.handlers }
        return await handlers.awayFromTransport { handlers.handler(for: name) }
    }

    private func run(_ handler: StreamHandler, on stream: NetStream, of connection: HostConnection) async {
        do {
            try await handler(stream)
            if !stream.state.isEnd { try await stream.close() }
        } catch {
            handlerFailed(error, on: stream, of: connection)
        }
    }

    @inline(never)
    private func handlerFailed(_ error: any Error, on stream: NetStream, of connection: HostConnection) {
        // What the peer's behaviour or the host's end brings about is not worth a line each time.
        let isOver = error is NetStreamError || error is HostError || Task.isCancelled
        stream.reset(code: Task.isCancelled ? .shutdown : Self.resetCode(for: error))
        logger.log(
            level: isOver ? .debug : .info,
            "a handler failed",
            metadata: metadata(of: stream, on: connection).failing(error)
        )
    }

    private static func resetCode(for error: any Error) -> StreamErrorCode {
        if let error = error as? HostError, error.code == .identifyFailed { return .protocolViolation }
        guard let error = error as? NetStreamError else { return .generic }
        switch error.code {
        case .unexpectedEnd, .malformedLength, .limitExceeded: return .protocolViolation
        default: return .generic
        }
    }
}
