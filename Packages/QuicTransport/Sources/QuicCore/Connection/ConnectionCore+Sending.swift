internal import CNgtcp2Shims
internal import DequeModule

/// Datagrams that were written back to back into one buffer, for one system call (UDP segmentation offload).
public struct SendBatch: Sendable {
    /// Bytes in the buffer.
    public var count: Int
    /// The size of each datagram but the last, which may be shorter.
    public var segmentSize: Int
    /// Where to send them.
    public var remote: NetworkAddress
    /// The address to send them from.
    public var local: NetworkAddress
    /// The ECN bits for the IP header.
    public var ecn: UInt8

    /// The number of datagrams.
    public var segments: Int { segmentSize == 0 ? 0 : (count + segmentSize - 1) / segmentSize }
}

extension ConnectionCore {
    /// Writes the next batch of datagrams.
    ///
    /// Call it until it returns `nil`; then nothing more can be sent before the next input or deadline. All datagrams of a
    /// batch have the same size, except that the last may be shorter, and go the same way.
    ///
    /// - Parameters:
    ///   - buffer: Where to put them; at least 1,500 bytes and
    ///     ``QuicConfiguration/UDP/maxPayloadSize``, best 64 KiB.
    ///   - maxSegments: The most datagrams in the batch, at least 1.
    ///   - now: The time in nanoseconds.
    public func writeBatch(
        into buffer: UnsafeMutableRawBufferPointer,
        maxSegments: Int,
        now: UInt64
    ) -> SendBatch? {
        switch phase {
        case .open: break
        case .closing: return writeClosePacket(into: buffer)
        case .draining, .finished: return nil
        }
        if let stash = takeStash(into: buffer) { return stash }
        guard let base = buffer.baseAddress else { return nil }

        idlePacing = nil
        queues.pings.retryAt = nil
        lp2p_conn_begin_batch(pointer)
        let pulse = takePulse(now: now)
        let full = min(pathSize.limit ?? pulse.full, buffer.count)
        payloadNow = full
        let probeSize = pathSize.probeSize(pulse, among: PathSizes.upwards, now: now)
        let offered = probeSize ?? pathSize.limit ?? (mayDiscoverPathSize ? maxPayload : full)
        if queues.pings.isDue(now: now) { lp2p_conn_want_ping(pointer, 1) }
        defer {
            // The validation of a path is given up where its packets would be written.
            reportPathOutcomes()
            if queues.pings.isDue(now: now) {
                lp2p_conn_want_ping(pointer, 0)
                queues.pings.postpone(until: now &+ 3 &* pulse.probeTimeout, now: now)
                // To the library a PING is not due at the very time of the last packet.
                if lastSent == now { queues.pings.retryAt = now + 1 }
            }
        }
        let numberBefore = lp2p_conn_last_packet_number(pointer)
        let quantum = max(lp2p_conn_send_quantum(pointer), full)
        var batch = SendBatch(count: 0, segmentSize: 0, remote: lastRemote, local: lastLocal, ecn: 0)
        var segments = 0
        while segments < maxSegments, batch.count < quantum {
            // The first packet may be a larger probe of the path MTU; the others must not exceed the first.
            let limit = segments == 0 ? offered : batch.segmentSize
            let room = min(limit, buffer.count - batch.count)
            guard segments == 0 || room == limit else { break }
            let written = writePacket(base + batch.count, capacity: room, isFirst: segments == 0, now: now)
            guard written.length > 0 else { break }
            if segments == 0 {
                batch.segmentSize = written.length
                batch.ecn = written.ecn
                (batch.remote, batch.local) = lastWrittenPath()
                if let limit = pathSize.limit, written.length > limit {
                    watchProbe(size: written.length, pulse, now: now)
                }
            } else if written.other_path != 0 || written.ecn != batch.ecn {
                putAside(base + batch.count, count: written.length, ecn: written.ecn)
                break
            }
            if queues.pings.isDue(now: now), lp2p_conn_last_packet_number(pointer) > numberBefore {
                lp2p_conn_want_ping(pointer, 0)
                if let slot = queues.pings.sent(giveUpAt: now &+ 3 &* pulse.probeTimeout, now: now) {
                    lp2p_conn_watch(pointer, Int32(LP2P_WATCH_PING) + Int32(slot))
                }
            }
            batch.count += written.length
            segments += 1
            // A short packet ends the batch; so does a probe, which is larger than what follows.
            if written.length < batch.segmentSize || (segments == 1 && !isBulk(written.length, full: full)) { break }
            let most = min(maxSegments - segments, (quantum - batch.count + batch.segmentSize - 1) / batch.segmentSize)
            let train = writeTrain(behind: batch, in: buffer, most: most, now: now)
            batch.count += train.length
            segments += train.packets
            if train.stray_length > 0 || train.length < train.packets * batch.segmentSize { break }
        }
        if let first = queues.sendQueue.popFirst() { queues.sendQueue.append(first) }
        guard batch.count > 0 else {
            paceLast(now: now)
            return nil
        }
        lastSent = now
        unpacedBytes += batch.count
        if unpacedBytes > Self.unpacedPackets * full { pace(now: now) }
        countSent(batch)
        return batch
    }

    /// Whether the library may look for a larger path MTU now; where it finds no room for its probe, it keeps it for later.
    ///
    /// Only those gain by it who have had more to send than one packet takes, or may send datagrams, whose size it limits. For
    /// all others it would be up to five packets behind each handshake, each sent by itself, the first of them before the
    /// packet that tells the client of the handshake's end.
    private var mayDiscoverPathSize: Bool {
        hasSentMuch || (handshakeDone && lp2p_conn_remote_max_datagram_frame_size(pointer) > 0)
    }

    /// How many full packets may leave before pacing sets in (RFC 9002 §7.7 would allow ten).
    private static let unpacedPackets = 4

    /// Tells the library that a burst is sent, which sets the time of the next one.
    private func pace(now: UInt64) {
        lp2p_conn_burst_sent(pointer, now)
        unpacedBytes = 0
    }

    /// The same when nothing is left that could be sent: that there could be more soon is then no reason for a turn.
    private func paceLast(now: UInt64) {
        guard unpacedBytes > 0 else { return }
        let otherwise = lp2p_conn_expiry(pointer)
        pace(now: now)
        let next = lp2p_conn_expiry(pointer)
        if next < otherwise { idlePacing = (next, otherwise) }
    }

    /// Keeps a packet that does not belong to the batch behind which it was written.
    private func putAside(_ start: UnsafeMutableRawPointer, count: Int, ecn: UInt8) {
        let (remote, local) = lastWrittenPath()
        let bytes = Array(UnsafeRawBufferPointer(start: start, count: count))
        stash = Stash(bytes: bytes, remote: remote, local: local, ecn: ecn)
    }

    /// Goes on with a batch for as long as one stream fills its packets: the whole train in one call.
    private func writeTrain(
        behind batch: SendBatch,
        in buffer: UnsafeMutableRawBufferPointer,
        most: Int,
        now: UInt64
    ) -> lp2p_train_written {
        let most = min(most, (buffer.count - batch.count) / batch.segmentSize)
        guard most > 0, queues.outgoingDatagrams.isEmpty, !queues.pings.isDue(now: now), let record = nextSender(),
            let start = buffer.baseAddress.map({ $0 + batch.count })
        else { return lp2p_train_written() }
        let count = gather(record, limit: most * batch.segmentSize)
        let train = lp2p_conn_write_train(
            pointer,
            start.octets,
            batch.segmentSize,
            most,
            record.id.rawValue,
            vectors,
            count,
            batch.ecn,
            now
        )
        record.advance(by: train.accepted)
        if train.stray_length > 0 { putAside(start + train.length, count: train.stray_length, ecn: train.stray_ecn) }
        switch train.status {
        // The next packet goes on with one that is open, and finds out again what flow control or the peer forbids.
        case LP2P_OK, LP2P_WRITE_MORE, LP2P_STREAM_DATA_BLOCKED, LP2P_STREAM_SHUT_WRITE, LP2P_STREAM_NOT_FOUND,
            LP2P_INVALID_STATE:
            break
        default: fail(train.status, now: now)
        }
        return train
    }

    /// Looks at the path, which may have shrunk.
    private func takePulse(now: UInt64) -> PathSizeGuard.Pulse {
        var raw = lp2p_pulse()
        lp2p_conn_get_pulse(pointer, &raw)
        let isAcknowledged = lp2p_conn_watch_acked(pointer, Int32(LP2P_WATCH_PATH_SIZE)) != 0
        let pulse = PathSizeGuard.Pulse(raw, isProbeAcknowledged: isAcknowledged)
        pathSize.look(pulse, now: now)
        return pulse
    }

    // Not inlined, or each batch would pay for the check of exclusive access to the property.
    @inline(never)
    private func watchProbe(size: Int, _ pulse: PathSizeGuard.Pulse, now: UInt64) {
        lp2p_conn_watch(pointer, Int32(LP2P_WATCH_PATH_SIZE))
        pathSize.probeSent(size: size, pulse, now: now)
    }

    /// A stream's packets may fall a few bytes short of the full size, where a length field grows.
    private func isBulk(_ length: Int, full: Int) -> Bool { length <= full && length + 16 > full }

    private func countSent(_ batch: SendBatch) {
        counted.bytesSent &+= UInt64(batch.count)
        counted.datagramsSent &+= UInt64(batch.segments)
    }

    private func takeStash(into buffer: UnsafeMutableRawBufferPointer) -> SendBatch? {
        guard let stash else { return nil }
        self.stash = nil
        guard stash.bytes.count <= buffer.count else { return nil }
        buffer.copyBytes(from: stash.bytes)
        let batch = SendBatch(
            count: stash.bytes.count,
            segmentSize: stash.bytes.count,
            remote: stash.remote,
            local: stash.local,
            ecn: stash.ecn
        )
        countSent(batch)
        return batch
    }

    private func writeClosePacket(into buffer: UnsafeMutableRawBufferPointer) -> SendBatch? {
        guard closePacketPending, closePacket.count <= buffer.count else { return nil }
        closePacketPending = false
        buffer.copyBytes(from: closePacket)
        let batch = SendBatch(
            count: closePacket.count,
            segmentSize: closePacket.count,
            remote: closePath?.remote ?? lastRemote,
            local: closePath?.local ?? lastLocal,
            ecn: 0
        )
        countSent(batch)
        return batch
    }

    // MARK: one packet

    /// Writes one packet: with the next unreliable datagram if one waits, else filled from the streams in turn.
    private func writePacket(
        _ destination: UnsafeMutableRawPointer,
        capacity: Int,
        isFirst: Bool,
        now: UInt64
    ) -> lp2p_written {
        let bytes = destination.octets
        guard let written = writeDatagramFrame(bytes, capacity: capacity, isFirst: isFirst, now: now) else {
            return writeStreamFrames(bytes, capacity: capacity, now: now)
        }
        guard isFirst, written.length == 0, written.accepted == 0 else { return written }
        // Congestion holds everything back; or else only the datagram has no room, and must not hold up the streams.
        let other = writeStreamFrames(bytes, capacity: capacity, now: now)
        if other.length > 0, !queues.outgoingDatagrams.isEmpty { dropFirstDatagram() }
        return other
    }

    private func writeStreamFrames(
        _ bytes: UnsafeMutablePointer<UInt8>,
        capacity: Int,
        now: UInt64
    ) -> lp2p_written {
        while let record = nextSender() {
            let count = gather(record, limit: capacity)
            let isEnd = record.endQueued && gatheredAll(record, vectors: count)
            let written = lp2p_conn_write(
                pointer,
                bytes,
                capacity,
                record.id.rawValue,
                vectors,
                count,
                isEnd ? 1 : 0,
                1,
                now
            )
            if written.accepted >= 0 { accepted(record, count: Int(written.accepted), mayEnd: isEnd) }
            switch written.status {
            case LP2P_OK:
                // The library says nothing about a stream that the connection's credit holds up: it writes nothing.
                let isHeldUp = written.length == 0 && written.accepted < 0 && record.hasUnsentBytes
                guard isHeldUp, lp2p_conn_max_data_left(pointer) == 0 else { return written }
                hold(record)
            case LP2P_WRITE_MORE: continue
            case LP2P_STREAM_DATA_BLOCKED: hold(record)
            case LP2P_STREAM_SHUT_WRITE, LP2P_STREAM_NOT_FOUND, LP2P_INVALID_STATE:
                record.stopSending()
            default:
                fail(written.status, now: now)
                return written
            }
        }
        guard isOpen else { return lp2p_written() }
        let written = lp2p_conn_write(pointer, bytes, capacity, -1, nil, 0, 0, 0, now)
        if written.status != LP2P_OK { fail(written.status, now: now) }
        return written
    }

    /// The first stream of the queue that has something to send.
    private func nextSender() -> StreamRecord? {
        while let record = queues.sendQueue.first {
            if record.wantsToSend { return record }
            record.isQueued = false
            queues.sendQueue.removeFirst()
        }
        return nil
    }

    /// Fills ``vectors`` with the unsent bytes of a stream, about one packet's worth.
    private func gather(_ record: StreamRecord, limit: Int) -> Int {
        var index = record.unsentIndex
        var offset = record.sentInUnsent
        var count = 0
        var total = 0
        while index < record.segments.count, count < Self.maxVectors, total < limit {
            let segment = record.segments[index]
            let length = segment.count - offset
            vectors[count] = lp2p_vec(
                // The library reads only; its vector type is shared with places that write.
                base: UnsafeMutableRawPointer(mutating: segment.base + offset).octets,
                length: length
            )
            count += 1
            total += length
            index += 1
            offset = 0
        }
        return count
    }

    private func gatheredAll(_ record: StreamRecord, vectors count: Int) -> Bool {
        record.unsentIndex + count >= record.segments.count
    }

    private func accepted(_ record: StreamRecord, count: Int, mayEnd: Bool) {
        record.advance(by: count)
        if mayEnd, !record.hasUnsentBytes { record.endSent = true }
    }

    /// Takes a stream out of the queue until flow control lets it go on.
    private func hold(_ record: StreamRecord) {
        if lp2p_conn_max_data_left(pointer) == 0, !record.isHeld {
            record.isHeld = true
            queues.heldByConnection.append(record)
        }
        record.isBlocked = true
    }

    /// The peer gave the connection more credit.
    func releaseHeldStreams() {
        for record in queues.heldByConnection {
            record.isHeld = false
            record.isBlocked = false
            queues.events.append(.streamWritable(record.id))
            enqueue(record)
        }
        queues.heldByConnection.removeAll(keepingCapacity: true)
    }

    func enqueue(_ record: StreamRecord) {
        guard !record.isQueued, record.wantsToSend else { return }
        record.isQueued = true
        queues.sendQueue.append(record)
    }
}
