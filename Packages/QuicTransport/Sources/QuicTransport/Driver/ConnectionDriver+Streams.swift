import DequeModule
import NIOCore
import NetStream
import QuicCore

extension ConnectionDriver {
    // MARK: opened here

    /// Opens a stream, or waits for the peer's credit.
    func open(id waiterID: UInt64, _ complete: @escaping @Sendable (Result<QuicStream, QuicError>) -> Void) {
        guard openWaiters.isEmpty else {
            openWaiters.append(OpenWaiter(id: waiterID, complete: complete))
            return
        }
        switch tryOpen() {
        case .success(let stream?): complete(.success(stream))
        case .success(nil):
            openWaiters.append(OpenWaiter(id: waiterID, complete: complete))
        case .failure(let error): complete(.failure(error))
        }
    }

    /// Opens a stream; `nil` when there is no credit for it, or others wait for some.
    func openAtOnce() throws(QuicError) -> QuicStream? {
        guard openWaiters.isEmpty else { return nil }
        return try tryOpen().get()
    }

    /// Takes a waiter out of the line.
    func cancelOpen(id: UInt64, _ error: QuicError) {
        guard let index = openWaiters.firstIndex(where: { $0.id == id }) else { return }
        openWaiters.remove(at: index).complete(.failure(error))
    }

    func serveOpenWaiters() {
        while let waiter = openWaiters.first {
            switch tryOpen() {
            case .success(let stream?):
                openWaiters.removeFirst()
                waiter.complete(.success(stream))
            case .success(nil): return
            case .failure(let error):
                openWaiters.removeFirst()
                waiter.complete(.failure(error))
            }
        }
    }

    private func tryOpen() -> Result<QuicStream?, QuicError> {
        guard let connection else { return .failure(core.termination?.error ?? .notConnected) }
        let limit = endpoint.settings.configuration.streams.maxOutbound
        guard openOutbound < limit else {
            return .failure(
                QuicError(
                    .streamLimit,
                    "\(limit) streams are open on this connection; close some, or raise streams.maxOutbound"
                )
            )
        }
        do {
            guard let id = try core.openStream() else { return .success(nil) }
            openOutbound += 1
            return .success(makeStream(id, .outbound, connection))
        } catch {
            return .failure(error)
        }
    }

    // MARK: opened by the peer

    func peerOpened(_ id: StreamID) {
        guard let connection else { return }
        let stream = makeStream(id, .inbound, connection)
        // The credit bounds the queue, so it cannot be full while the peer keeps to it; the core closes when it does not.
        if !connection.inbound.offer(stream) { stream.reset(code: .resourceLimitExceeded) }
        allow(inbound.streamsOpened(upTo: Int(id.rawValue / 4) + 1))
    }

    /// The application has taken a stream that the peer opened.
    func streamAccepted() {
        allow(inbound.streamAccepted())
    }

    private func allow(_ count: Int) {
        guard count > 0 else { return }
        core.allowStreams(count)
        endpoint.touch(self)
        endpoint.serviceSoon()
    }

    // MARK: both

    private func makeStream(_ id: StreamID, _ direction: Direction, _ connection: QuicConnection) -> QuicStream {
        let wakes = wakes
        let deadlines = endpoint.deadlines
        let mailbox = StreamMailbox(
            limits: endpoint.settings.streamLimits,
            memory: sendMemory,
            scheduleTimeout: { deadlines.schedule(after: $0, $1) },
            wakeLoop: { wakes.add(id, $0) }
        )
        streams[id] = mailbox
        return QuicStream(
            id: id,
            direction: direction,
            isEarly: !isHandshakeDone,
            mailbox: mailbox,
            connection: connection
        )
    }

    /// Asked at the end of each turn: acknowledgements give send memory back.
    func serveThoseInLine() {
        while let (waiter, bytes, ticket) = sendMemory.next() { waiter.memoryGranted(bytes, for: ticket) }
    }

    func closed(_ id: StreamID) {
        guard let mailbox = streams.removeValue(forKey: id) else { return }
        mailbox.streamClosed()
        let isOurs = id.isServerInitiated == core.isServer
        if isOurs {
            openOutbound -= 1
        } else {
            allow(inbound.streamFinished())
        }
    }
}
