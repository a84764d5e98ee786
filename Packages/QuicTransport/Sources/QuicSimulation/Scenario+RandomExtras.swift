internal import QuicCore

/// What a random scenario does on a connection beside its streams.
extension RandomScenario {
    /// Plans key updates, pings, unreliable datagrams and a move on request, or none of them.
    func planExtras(on connection: SimulatedConnection) {
        if generator.chance(0.3) {
            repeatedly(generator.pick(1...5), on: connection) { core, now in
                // Refused while the peer has not acknowledged the one before.
                try? core.updateKeys(now: now)
            }
        }
        if generator.chance(0.3) {
            repeatedly(generator.pick(1...10), on: connection) { core, _ in _ = try? core.ping() }
        }
        if generator.chance(0.3) { repeatedly(generator.pick(1...30), on: connection, do: sendDatagram) }
        if !connection.isServer, isAbleToMigrate, generator.chance(0.1) { planMigration(of: connection) }
    }

    /// Does something at so many moments at which the connection is up.
    private func repeatedly(
        _ count: Int,
        on connection: SimulatedConnection,
        do action: @escaping (ConnectionCore, UInt64) -> Void
    ) {
        for _ in 0..<count {
            simulation.after(.milliseconds(generator.pick(0...8000))) { [self, unowned connection] in
                guard connection.node.isPresent, connection.isUp, let core = connection.core, core.isOpen else {
                    return
                }
                action(core, simulation.network.now)
                simulation.service(connection)
            }
        }
    }

    private func sendDatagram(_ core: ConnectionCore, _: UInt64) {
        guard core.maxDatagramSize >= RandomDatagrams.least else { return }
        // Refused where as many as may wait do.
        try? core.sendDatagram(datagrams.next(ofAtMost: core.maxDatagramSize, &generator))
    }

    /// An unreliable datagram arrives whole and once, or not at all.
    func received(_ datagram: [UInt8], on connection: SimulatedConnection) {
        if let complaint = datagrams.arrived(datagram) { simulation.fail("\(connection.label): \(complaint)") }
    }

    private func planMigration(of connection: SimulatedConnection) {
        simulation.isImpaired = true
        simulation.after(.milliseconds(generator.pick(100...8000))) { [self, unowned connection] in
            guard connection.node.isPresent, connection.confirmedAt != nil, !connection.isOver else { return }
            // Refused where the peer gave no spare connection ID, or the last move is under way.
            do { try simulation.migrate(connection) } catch { simulation.network.tell("\(connection.label): \(error)") }
        }
    }
}

/// The unreliable datagrams that were sent and have not arrived.
struct RandomDatagrams {
    /// The number at the start of each.
    static let least = 8
    private var sent: [UInt64: [UInt8]] = [:]
    private var count: UInt64 = 0

    /// Makes one that differs from all others.
    mutating func next(ofAtMost size: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        let number = count
        count += 1
        let rest = (0..<generator.pick(0...size - Self.least)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let bytes = withUnsafeBytes(of: number.littleEndian, Array.init) + rest
        sent[number] = bytes
        return bytes
    }

    /// What is wrong with one that has arrived; `nil` if nothing is.
    mutating func arrived(_ bytes: [UInt8]) -> String? {
        guard bytes.count >= Self.least else { return "a datagram of \(bytes.count) bytes, which nobody sent" }
        let number = bytes.prefix(Self.least).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        guard let expected = sent.removeValue(forKey: number) else {
            return "datagram \(number) was not sent, or came twice"
        }
        return expected == bytes ? nil : "datagram \(number) has other bytes"
    }
}
