import NetStream

/// What a stream must do, told in other words than the implementation's: three flags, how it ended, and the bytes that are
/// on their way. Knows neither states nor events nor buffers.
struct StreamModel {
    /// How a stream broke.
    enum Break: Equatable {
        case reset(code: UInt64, byPeer: Bool)
        case failed
        case connectionClosed
    }

    /// What an operation must come to.
    enum Outcome: Equatable {
        case done
        /// Some of the next bytes, at least one and at most so many.
        case some(atMost: Int)
        /// Exactly these bytes.
        case exactly([UInt8])
        case end
        case error(NetStreamError.Code)
    }

    /// What a stream was told to do next, and what comes of it at the transport.
    enum Interruption { case timeout, cancelled }

    var isEstablished = false
    var reads = true
    var writes = true
    var broken: Break?
    var arriving: [UInt8] = []
    var isFinished = false
    var peerReset: UInt64?
    var peerStop: UInt64?
    var isConnectionClosed = false
    var isBroken = false
    var interruption: Interruption?

    var state: StreamState {
        switch broken {
        case .reset: return .reset
        case .failed, .connectionClosed: return .failed
        case nil: break
        }
        if !isEstablished { return .initial }
        if reads { return writes ? .open : .closedWrite }
        return writes ? .closedRead : .closedBoth
    }

    var isOver: Bool { broken != nil || (isEstablished && !reads && !writes) }

    // MARK: The user's side

    mutating func establish() -> Outcome {
        guard !isEstablished, broken == nil else { return .error(.alreadyEstablished) }
        isEstablished = true
        return .done
    }

    mutating func read(upTo count: Int) -> Outcome {
        if let refused = refusal ?? (reads ? nil : .endOfStream) { return .error(refused) }
        // Bytes that the stream holds already come whatever happens at the transport.
        if !arriving.isEmpty { return .some(atMost: min(count, arriving.count)) }
        return endOfReading { model in
            model.reads = false
            return .end
        }
    }

    mutating func readExactly(_ count: Int) -> Outcome {
        if let refused = refusal ?? (reads ? nil : .endOfStream) { return .error(refused) }
        if arriving.count >= count {
            defer { arriving.removeFirst(count) }
            return .exactly(Array(arriving.prefix(count)))
        }
        return endOfReading { _ in .error(.unexpectedEnd) }
    }

    mutating func readToEnd(limit: Int) -> Outcome {
        if let refused = refusal ?? (reads ? nil : .endOfStream) { return .error(refused) }
        if arriving.count > limit { return .error(.limitExceeded) }
        return endOfReading { model in
            model.reads = false
            defer { model.arriving = [] }
            return .exactly(model.arriving)
        }
    }

    mutating func readLine(limit: Int) -> Outcome {
        if let refused = refusal ?? (reads ? nil : .endOfStream) { return .error(refused) }
        if let feed = arriving.firstIndex(of: 10) {
            guard feed <= limit else { return .error(.limitExceeded) }
            defer { arriving.removeFirst(feed + 1) }
            return .exactly(Array(arriving.prefix(feed)))
        }
        return arriving.count > limit ? .error(.limitExceeded) : endInFront(of: arriving.isEmpty)
    }

    mutating func readMessage(limit: Int) -> Outcome {
        if let refused = refusal ?? (reads ? nil : .endOfStream) { return .error(refused) }
        var length = 0
        for (index, byte) in arriving.enumerated() {
            // Nine bytes at most, and none of them for nothing.
            if index == 9 || (index == 8 && byte > 127) || (index > 0 && byte == 0) { return .error(.malformedLength) }
            length += Int(byte % 128) << (7 * index)
            guard byte < 128 else { continue }
            if length > limit { return .error(.limitExceeded) }
            guard arriving.count - index - 1 >= length else { return endInFront(of: false) }
            defer { arriving.removeFirst(index + 1 + length) }
            return .exactly(Array(arriving[(index + 1)..<(index + 1 + length)]))
        }
        return endInFront(of: arriving.isEmpty)
    }

    /// The next of the stream's chunks. That somebody else has read the end is none of its errors.
    mutating func chunk(upTo count: Int) -> Outcome {
        let outcome = read(upTo: count)
        return outcome == .error(.endOfStream) ? .end : outcome
    }

    mutating func write(_ count: Int) -> Outcome {
        if let refused = refusal ?? (writes ? nil : .writeClosed) { return .error(refused) }
        if count == 0 { return .done }
        if let failed = interrupted() ?? failed() { return failed }
        guard peerStop == nil else {
            writes = false
            return .error(.reset)
        }
        return .done
    }

    mutating func closeWrite() -> Outcome {
        if let refusal { return .error(refusal) }
        guard writes else { return .done }
        if let failed = interrupted() ?? failed() { return failed }
        writes = false
        return .done
    }

    mutating func closeRead() -> Outcome {
        if let refusal { return .error(refusal) }
        guard reads else { return .done }
        if let failed = interrupted() ?? failed() { return failed }
        reads = false
        return .done
    }

    mutating func close() -> Outcome {
        if let refusal { return .error(refusal) }
        guard reads || writes else { return .done }
        if let failed = interrupted() ?? failed() { return failed }
        (reads, writes) = (false, false)
        return .done
    }

    mutating func reset(code: UInt64) {
        if broken == nil { broken = .reset(code: code, byPeer: false) }
    }

    // MARK: Inside

    /// Why nothing at all may be done, if so.
    private var refusal: NetStreamError.Code? {
        switch broken {
        case .reset: return .reset
        case .failed: return .failed
        case .connectionClosed: return .connectionClosed
        case nil: return isEstablished ? nil : .notEstablished
        }
    }

    /// What a reader meets behind the last byte.
    private mutating func endOfReading(_ end: (inout StreamModel) -> Outcome) -> Outcome {
        if let code = peerReset {
            broken = .reset(code: code, byPeer: true)
            return .error(.reset)
        }
        if isFinished { return end(&self) }
        if let failed = failed() { return failed }
        return .error(.timeout)
    }

    /// The end of the stream, in front of something that is read whole or in the middle of it.
    private mutating func endInFront(of isOrderly: Bool) -> Outcome {
        endOfReading { model in
            guard isOrderly else { return .error(.unexpectedEnd) }
            model.reads = false
            return .end
        }
    }

    /// What an operation comes to whose wait at the transport was interrupted. Nothing that arrived is lost.
    mutating func interrupted() -> Outcome? {
        defer { interruption = nil }
        switch interruption {
        case .cancelled: return .error(.cancelled)
        case .timeout where isConnectionClosed:
            // There is nothing to try again.
            broken = .connectionClosed
            return .error(.connectionClosed)
        case .timeout: return .error(.timeout)
        case nil: return nil
        }
    }

    private mutating func failed() -> Outcome? {
        if isBroken {
            broken = .failed
            return .error(.failed)
        }
        if isConnectionClosed {
            broken = .connectionClosed
            return .error(.connectionClosed)
        }
        return nil
    }
}
