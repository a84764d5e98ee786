import NIOCore
import NetStream
import QuicCore

/// How long a dial may take.
struct DialLimit: Sendable {
    let duration: Duration
    /// What the dial fails with when the time is over.
    let error: @Sendable () -> QuicError
}

/// A dial that has not come to its end.
struct PendingDial {
    /// Told once.
    let complete: (Result<QuicConnection, QuicError>) -> Void
    /// Gives it up when its time is over.
    var timer: StreamTimer?
}

/// The beginning and the end of a dial. Whatever ends it first, success, failure, the task or the time, decides: all of it
/// happens on the event loop.
extension ConnectionDriver {
    /// `completion` is called once.
    func beginDial(within limit: DialLimit?, _ completion: @escaping (Result<QuicConnection, QuicError>) -> Void) {
        pendingDial = PendingDial(complete: completion)
        guard let limit else { return }
        let bound = NIOLoopBound(self, eventLoop: endpoint.eventLoop)
        pendingDial?.timer = endpoint.deadlines.schedule(after: limit.duration) {
            bound.value.giveUpDial(limit.error(), reason: "the dial took too long")
        }
    }

    /// The task that dialed does not want the connection any more.
    func cancelDial() {
        giveUpDial(.dialCancelled, reason: "the dial was cancelled")
    }

    private func giveUpDial(_ error: QuicError, reason: String) {
        guard pendingDial != nil else { return }
        endDial(.failure(error))
        close(code: .none, reason: reason)
    }

    private var dialStage: QuicError.DialStage {
        if core.isEstablished { return .confirmation }
        return core.traffic.datagramsReceived > 0 ? .handshake : .contact
    }

    // Not inlined: it is called from the loop over events, which would pay for the check of exclusive access to the property each time it begins.
    @inline(never)
    func endDial(_ result: Result<QuicConnection, QuicError>) {
        guard let dial = pendingDial else { return }
        pendingDial = nil
        dial.timer?.cancel()
        dial.complete(result.mapError { $0.during(dialStage) })
    }
}
