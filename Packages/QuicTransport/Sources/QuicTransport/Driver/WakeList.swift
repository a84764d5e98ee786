import NIOCore
import QuicCore
import Synchronization

/// Which streams of a connection have something for the event loop.
///
/// Tasks add streams from any thread; the loop is woken once, when the list stops being empty.
final class WakeList: Sendable {
    struct Entry: Sendable {
        let id: StreamID
        let mailbox: StreamMailbox
    }

    private struct State {
        var streams: [Entry] = []
        var driver: NIOLoopBound<ConnectionDriver>?
    }

    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Names the driver to wake; `nil` once the connection is over.
    func attach(_ driver: NIOLoopBound<ConnectionDriver>?) {
        state.withLock { state in
            state.driver = driver
            if driver == nil { state.streams = [] }
        }
    }

    /// Adds a stream, and wakes the loop if nothing was waiting for it.
    func add(_ id: StreamID, _ mailbox: StreamMailbox) {
        let driver = state.withLock { state -> NIOLoopBound<ConnectionDriver>? in
            guard let driver = state.driver else { return nil }
            state.streams.append(Entry(id: id, mailbox: mailbox))
            return state.streams.count == 1 ? driver : nil
        }
        if let driver { wake(driver) }
    }

    /// Wakes the loop for something else than a stream.
    func wakeLoop() {
        if let driver = state.withLock({ $0.driver }) { wake(driver) }
    }

    private func wake(_ driver: NIOLoopBound<ConnectionDriver>) {
        if eventLoop.inEventLoop, driver.value.joinsTurn() { return }
        eventLoop.execute { driver.value.wake() }
    }

    /// Takes the list; the loop calls it.
    ///
    /// - Parameter streams: Gets it. Empty; its room is that of the next list.
    func take(into streams: inout [Entry]) {
        state.withLock { state in
            if !state.streams.isEmpty { swap(&state.streams, &streams) }
        }
    }
}

/// Room for what tasks want of a connection, on its way from the mailboxes to the core.
struct OrderRoom {
    var streams: [WakeList.Entry] = []
    var taken: [OutboundSegment] = []
    var segments: [SendSegment] = []
}
