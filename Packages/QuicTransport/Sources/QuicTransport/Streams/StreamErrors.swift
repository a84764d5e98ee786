import QuicCore

/// How a wait of a stream ends early.
extension QuicError {
    static var cancelledWait: QuicError {
        QuicError(.cancelled, "the waiting task was cancelled; the stream is as it was")
    }

    static func deadlock(unread: Int) -> QuicError {
        QuicError(
            .flowControlDeadlock,
            "the deadline of a write passed while \(unread) bytes of the peer wait on the same stream to be read; where "
                + "both sides only write neither can go on: read while you write. The stream is as it was"
        )
    }

    static var outOfSendMemory: QuicError {
        QuicError(
            .sendMemoryExhausted,
            "the deadline of a write passed while what the peer has not acknowledged took all send memory of the connection; "
                + "write less at once, reset streams that the peer does not read, or raise streams.maxSendBufferOfConnection. "
                + "The stream is as it was"
        )
    }

    static var timedOutWait: QuicError {
        QuicError(.streamTimeout, "the deadline passed while waiting; the stream is as it was, try again or reset it")
    }
}

/// What stands against using a half that is over.
extension QuicError {
    /// A write after the sending half was closed.
    static var closedForWriting: QuicError {
        QuicError(.streamClosed, "the stream is closed for writing; open another one to send more")
    }

    /// A read after the receiving half was closed.
    static var closedForReading: QuicError {
        QuicError(.streamClosed, "the stream is closed for reading; nothing more can be read from it")
    }
}
