import QuicCore
import Synchronization

/// The event loop's side of a stream: what arrived, what was sent, and how it ended.
extension StreamMailbox: SendMemoryWaiter {
    /// Bytes arrived in order, and with `fin` the end of the stream. The array is kept, not copied.
    ///
    /// - Parameter readers: Gets those appended that have their bytes now. The caller has to resume each, best when
    ///   everything is delivered: one that is resumed before finds the rest only after another wait.
    func deliver(_ chunk: consuming [UInt8], fin: Bool, to readers: inout InboundHalf<Reader>.Served) {
        let chunk = chunk
        perform { state, _ in
            if state.times.firstReceived == 0, !chunk.isEmpty { state.times.firstReceived = clock() }
            state.inbound.deliver(chunk, fin: fin, to: &readers)
        }
    }

    /// The peer reset its sending half.
    func peerReset(code: UInt64) {
        perform { state, actions in
            if state.inbound.isOpen { state.times.noteReset(at: clock(), code: code, byPeer: true) }
            actions.reads = state.inbound.fail(.streamReset(code: code, byPeer: true))
        }
    }

    /// The peer wants no more bytes (the library has answered with a reset). Reading goes on.
    func peerStopped(code: UInt64) {
        perform { state, actions in
            if state.outbound.canBeReset { state.times.noteReset(at: clock(), code: code, byPeer: true) }
            actions.resume(all: state.outbound.fail(.streamReset(code: code, byPeer: true)))
        }
    }

    /// The peer acknowledged bytes.
    func freed(bytes: Int) {
        perform { state, actions in
            actions.resume(state.outbound.freed(bytes))
        }
    }

    /// The connection has send memory again for the writer that stood in line.
    func memoryGranted(_ bytes: Int, for ticket: SendMemory.Ticket) {
        perform { state, actions in
            actions.resume(state.outbound.memoryGranted(bytes, for: ticket))
        }
    }

    /// Both halves are over for the transport: everything was acknowledged or given up. What had arrived can still be
    /// read.
    func streamClosed() {
        perform { state, actions in
            state.times.closed = clock()
            actions.reads = state.inbound.fail(.closedForReading)
            actions.resume(all: state.outbound.fail(.closedForWriting))
        }
    }

    /// The connection is over, or the peer never got to know of the stream. What had arrived can still be read, then comes the
    /// error.
    func connectionFailed(_ error: QuicError) {
        perform { state, actions in
            state.isDetached = true
            state.times.closed = clock()
            actions.reads = state.inbound.fail(error)
            actions.resume(all: state.outbound.fail(error))
        }
    }

    /// Moves out everything the loop has to do, and allows the next wake.
    ///
    /// - Parameter segments: Gets the bytes to send appended.
    func takeOutbound(into segments: inout [OutboundSegment]) -> StreamOrders {
        state.withLock { state in
            state.isWakeOutstanding = false
            // The number may be another stream's by now.
            guard !state.isDetached else { return StreamOrders() }
            var orders = StreamOrders(credit: state.inbound.takeCredit(), reset: state.reset, stop: state.stop)
            let before = segments.count
            orders.isEnd = state.outbound.take(into: &segments)
            if state.times.firstSent == 0, segments.count > before { state.times.firstSent = clock() }
            state.reset = nil
            state.stop = nil
            return orders
        }
    }
}
