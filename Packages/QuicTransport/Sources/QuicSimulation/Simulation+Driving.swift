internal import QuicCore

/// Driving the cores as ``ConnectionCore`` says: feed, take events, write, arm the timer.
extension Simulation {
    func deliver(_ datagram: SimulatedDatagram, to node: SimulatedNode, local: NetworkAddress) {
        network.statistics.delivered += 1
        guard node.isPresent else { return }
        noteArrival(of: datagram, at: node)
        let outcome = datagram.bytes.withUnsafeBytes {
            node.endpoint.receive($0, from: datagram.from, to: local, ecn: datagram.ecn, now: network.now)
        }
        switch outcome {
        case .connection(let core):
            guard let connection = node.byHandle[core.handle] else { return fail("\(node.name) knows a stranger") }
            (connection.lastReceived, connection.askedAt) = (network.now, nil)
            service(connection)
        case .opened(let core):
            let connection = adopt(core, of: node)
            node.onAccept?(connection)
            service(connection)
        case .reply(let bytes): bytes.withUnsafeBytes { send($0, from: node, local: local, to: datagram.from, ecn: 0) }
        // Every endpoint here has its addresses alone.
        case .elsewhere(let owner): fail("\(node.name) has no endpoint \(owner)")
        case .dropped(let reason): network.tell("\(node.name) drops it: \(reason)")
        }
    }

    func service(_ connection: SimulatedConnection) {
        guard let core = connection.core else { return }
        takeEvents(of: connection, core)
        let inFlight = connection.askedAt == nil && !connection.isOver ? core.pathStatistics.bytesInFlight : .max
        while let batch = core.writeBatch(
            into: buffer,
            maxSegments: connection.node.settings.maxSegments,
            now: network.now
        ) {
            var offset = 0
            while offset < batch.count {
                let end = min(offset + batch.segmentSize, batch.count)
                let datagram = UnsafeRawBufferPointer(rebasing: buffer[offset..<end])
                send(datagram, from: connection.node, local: batch.local, to: batch.remote, ecn: batch.ecn)
                offset = end
            }
        }
        connection.node.endpoint.synchronize(core)
        // What wants no answer is not in flight.
        if inFlight < .max, core.pathStatistics.bytesInFlight > inFlight { connection.askedAt = network.now }
        // Writing can end the connection.
        takeEvents(of: connection, core)
        if core.isFinished { return letGo(connection, core) }
        arm(connection, core)
    }

    private func arm(_ connection: SimulatedConnection, _ core: ConnectionCore) {
        let deadline = core.nextDeadline
        guard deadline != connection.armed || deadline == nil else { return }
        connection.timerGeneration += 1
        connection.armed = deadline
        guard let deadline else { return }
        // A deadline that stays in the past would make time stand still.
        connection.idleTurns = deadline <= network.now ? connection.idleTurns + 1 : 0
        if connection.idleTurns > 10_000 {
            fail("\(connection.label): the deadline stays in the past")
            return core.abandon()
        }
        network.schedule(.timer(connection, generation: connection.timerGeneration), at: deadline)
    }

    private func letGo(_ connection: SimulatedConnection, _ core: ConnectionCore) {
        connection.node.endpoint.remove(core)
        connection.node.byHandle[core.handle] = nil
        connection.core = nil
        connection.timerGeneration += 1
        if connection.termination == nil { fail("\(connection.label) was finished without saying why") }
    }

    private func send(
        _ bytes: UnsafeRawBufferPointer,
        from node: SimulatedNode,
        local: NetworkAddress,
        to: NetworkAddress,
        ecn: UInt8
    ) {
        guard node.isPresent else { return }
        noteDeparture(of: bytes.count, to: to, from: node)
        network.send(bytes, from: node, local: local, to: to, ecn: ecn)
    }

    // MARK: never more than three times what came (RFC 9000 §8.1)

    private func noteArrival(of datagram: SimulatedDatagram, at node: SimulatedNode) {
        guard node.settings.accepts else { return }
        var entry = node.amplification[datagram.from, default: .init()]
        entry.received += datagram.bytes.count
        if !entry.isValidated { entry.isValidated = Self.mayProveAddress(datagram.bytes) }
        node.amplification[datagram.from] = entry
    }

    private func noteDeparture(of count: Int, to: NetworkAddress, from node: SimulatedNode) {
        guard node.settings.accepts, var entry = node.amplification[to], !entry.isValidated else { return }
        entry.sent += count
        node.amplification[to] = entry
        if entry.sent > 3 * entry.received {
            fail(
                "\(node.name) has sent \(entry.sent) bytes to \(to), which sent \(entry.received) and is not validated"
            )
        }
    }

    /// Whether a datagram may show that its sender receives what is sent to its address: a packet in it has a short header,
    /// is a Handshake packet, or bears a token.
    static func mayProveAddress(_ bytes: [UInt8]) -> Bool {
        var place = 0
        func number(at place: Int) -> (value: Int, length: Int)? {
            guard place < bytes.count else { return nil }
            let length = 1 << Int(bytes[place] >> 6)
            guard place + length <= bytes.count else { return nil }
            return (bytes[place + 1..<place + length].reduce(Int(bytes[place] & 0x3f)) { $0 << 8 | Int($1) }, length)
        }
        while place < bytes.count {
            let first = bytes[place]
            if first & 0x80 == 0 { return place == 0 || first & 0x40 != 0 }
            // Not version 1 (version 2 numbers the types differently, and is given the benefit of the doubt).
            guard place + 6 < bytes.count, bytes[place + 4] == 1 else { return true }
            let type = first >> 4 & 3
            if type == 2 { return true }
            var cursor = place + 5
            for _ in 0..<2 {
                guard cursor < bytes.count else { return false }
                cursor += 1 + Int(bytes[cursor])
            }
            if type == 0 {
                guard let token = number(at: cursor) else { return false }
                // A token shows that the client has been at that address before.
                if token.value > 0 { return true }
                cursor += token.length + token.value
            }
            guard let length = number(at: cursor) else { return false }
            place = cursor + length.length + length.value
        }
        return false
    }
}
