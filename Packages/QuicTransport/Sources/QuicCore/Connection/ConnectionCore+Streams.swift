internal import CNgtcp2Shims
internal import DequeModule

extension ConnectionCore {
    /// Opens a bidirectional stream: ``nextStreamID``. There is no call for those of one direction: libp2p has none, and peers
    /// are given no credit for them.
    ///
    /// - Returns: `nil` if the peer gives no credit for another stream now; ``ConnectionEvent/streamsAvailable`` says when
    ///   it does.
    /// - Throws: ``QuicError`` if the connection is not open.
    public func openStream() throws(QuicError) -> StreamID? {
        guard isOpen else { throw termination?.error ?? .closedLocally(code: 0, reason: "") }
        var id: Int64 = -1
        let status = lp2p_conn_open_stream(pointer, 1, nil, &id)
        switch status {
        case LP2P_OK: break
        case LP2P_STREAM_ID_BLOCKED: return nil
        default: throw QuicError(status: status, while: "opening a stream")
        }
        let record = StreamRecord(id: StreamID(rawValue: id), tuner: streamTuner)
        adopt(record)
        streamCounts.opened += 1
        nextStreamID = StreamID(rawValue: id + 4)
        return record.id
    }

    /// Queues bytes of a stream, and with `isEnd` its end (FIN). Nothing is sent after the end.
    ///
    /// The segments are kept until the peer has acknowledged them. Does nothing on a stream that is gone.
    public func send(_ segments: [SendSegment], isEnd: Bool, on stream: StreamID) {
        guard isOpen, let record = streams[stream], !record.endQueued, !record.sendingOver else { return }
        for segment in segments where segment.count > 0 { record.segments.append(segment) }
        if isEnd { record.endQueued = true }
        if !hasSentMuch { hasSentMuch = record.hasUnsentBytes(beyond: payloadNow) }
        enqueue(record)
    }

    /// Resets the sending half of a stream (RESET_STREAM).
    public func reset(_ stream: StreamID, code: UInt64) {
        guard isOpen, let record = streams[stream] else { return }
        if !record.sendingOver { streamCounts.reset += 1 }
        record.stopSending()
        _ = lp2p_conn_reset_stream(pointer, stream.rawValue, code)
    }

    /// Asks the peer to stop sending (STOP_SENDING). What still arrives is thrown away.
    public func stopReceiving(_ stream: StreamID, code: UInt64) {
        guard isOpen, let record = streams[stream] else { return }
        _ = lp2p_conn_stop_sending(pointer, stream.rawValue, code)
        let undelivered = record.arrivals.pointee.count
        _ = record.arrivals.pointee.drain()
        if undelivered > 0 { lp2p_conn_extend_window(pointer, UInt64(undelivered)) }
    }

    /// Says that `count` bytes of a stream were read, so that the peer may send as many more.
    public func consumed(_ count: Int, on stream: StreamID) {
        guard isOpen, count > 0 else { return }
        var credit = (stream: UInt64(count), connection: UInt64(count))
        let record = streams[stream]
        if connectionTuner != nil {
            let now = lp2p_conn_now(pointer)
            let roundTrip = lp2p_conn_smoothed_rtt(pointer)
            credit.connection += connectionTuner?.consumed(UInt64(count), now: now, roundTrip: roundTrip) ?? 0
            credit.stream += record?.tuner?.consumed(UInt64(count), now: now, roundTrip: roundTrip) ?? 0
        }
        if record != nil { _ = lp2p_conn_extend_stream_window(pointer, stream.rawValue, credit.stream) }
        lp2p_conn_extend_window(pointer, credit.connection)
    }

    /// Allows the peer to open `count` more streams, because as many of its streams are over and done with.
    public func allowStreams(_ count: Int) {
        guard isOpen, count > 0 else { return }
        lp2p_conn_extend_streams(pointer, 1, count)
    }

    // MARK: records

    /// A stream is over: its bytes are of no use any more, wherever the record still stands.
    func letGo(_ record: StreamRecord) {
        record.sendingOver = true
        let given = record.segments
        record.segments = []
        withExtendedLifetime(given) {}
        if record.isHeld { queues.heldByConnection.removeAll { $0 === record } }
    }

    func adopt(_ record: StreamRecord) {
        streams[record.id] = record
        lp2p_conn_set_stream_user_data(pointer, record.id.rawValue, Unmanaged.passUnretained(record).toOpaque())
    }

    func markDirty(_ record: StreamRecord) {
        guard !record.arrivals.pointee.isDirty else { return }
        record.arrivals.pointee.isDirty = true
        queues.dirtyStreams.append(record)
    }

    /// Turns what a stream has gathered into events.
    func flush(_ record: StreamRecord) {
        guard record.arrivals.pointee.isDirty else { return }
        record.arrivals.pointee.isDirty = false
        let isEnd = record.arrivals.pointee.hasUnreportedEnd
        record.arrivals.pointee.hasUnreportedEnd = false
        let (full, last) = record.arrivals.pointee.drain()
        for piece in full { queues.events.append(.streamData(record.id, bytes: piece, isEnd: false)) }
        // A full piece is never the last one: it was put aside because of what came behind it.
        if !last.isEmpty || isEnd { queues.events.append(.streamData(record.id, bytes: last, isEnd: isEnd)) }
    }

    func flushAcknowledged(_ record: StreamRecord) {
        guard record.unreportedAcknowledged > 0 else { return }
        queues.events.append(.streamAcknowledged(record.id, count: record.unreportedAcknowledged))
        record.unreportedAcknowledged = 0
    }
}
