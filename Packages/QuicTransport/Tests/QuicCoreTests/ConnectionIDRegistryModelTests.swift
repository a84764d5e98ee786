import Testing

@testable import QuicCore

/// A registry as one would write it without a thought for speed: one flat list that is searched for everything.
private struct Model {
    struct Entry {
        var id: ConnectionID
        var connection: Int
        var sequence: UInt64?
        var isInitial: Bool
    }

    var entries: [Entry] = []
    /// Who is where and whether the handshake is done.
    var connections: [Int: (address: NetworkAddress, isEstablished: Bool)] = [:]
    var latest: [NetworkAddress: ConnectionID] = [:]
    var primary: [Int: ConnectionID] = [:]
    var limit: Int

    func issued(_ connection: Int) -> [Entry] {
        entries.filter { $0.connection == connection && !$0.isInitial }
            .enumerated().sorted {
                ($0.element.sequence ?? .max, $0.offset) < ($1.element.sequence ?? .max, $1.offset)
            }.map(\.element)
    }

    func owner(_ id: ConnectionID) -> Int? { entries.first { $0.id == id }?.connection }

    func canIssue(_ id: ConnectionID, _ connection: Int, _ sequence: UInt64?) -> Bool {
        if let owner = owner(id), owner != connection { return false }
        let own = issued(connection)
        let existing = own.first { $0.id == id }
        if let known = existing?.sequence, let sequence, known != sequence { return false }
        if let sequence, own.contains(where: { $0.sequence == sequence && $0.id != id }) { return false }
        return existing != nil || entries.filter { $0.connection == connection }.count < limit
    }

    mutating func issue(_ id: ConnectionID, _ connection: Int, _ sequence: UInt64?) {
        if let index = entries.firstIndex(where: { $0.id == id && !$0.isInitial }) {
            guard entries[index].sequence == nil, sequence != nil else { return }
            entries.remove(at: index)
        }
        entries.append(Entry(id: id, connection: connection, sequence: sequence, isInitial: false))
        if primary[connection] == nil { primary[connection] = id }
    }

    mutating func place(_ connection: Int, _ address: NetworkAddress) {
        if let old = connections[connection]?.address, old != address, let id = latest[old], owner(id) == connection {
            latest[old] = nil
        }
        connections[connection] = (address, connections[connection]?.isEstablished ?? false)
    }

    mutating func establish(_ connection: Int) {
        connections[connection]?.isEstablished = true
        entries.removeAll { $0.connection == connection && $0.isInitial }
    }

    mutating func remove(_ id: ConnectionID, initial: Bool) {
        guard let index = entries.firstIndex(where: { $0.id == id && $0.isInitial == initial }) else { return }
        let connection = entries.remove(at: index).connection
        guard let address = connections[connection]?.address else { return }
        if !initial {
            let next = issued(connection).first?.id
            if primary[connection] == id { primary[connection] = next }
            if latest[address] == id { latest[address] = next }
        }
        if !entries.contains(where: { $0.connection == connection }) { drop(connection) }
    }

    mutating func drop(_ connection: Int) {
        guard let address = connections[connection]?.address else { return }
        if let id = latest[address], owner(id) ?? connection == connection { latest[address] = nil }
        entries.removeAll { $0.connection == connection }
        connections[connection] = nil
        primary[connection] = nil
    }
}

@Suite struct ConnectionIDRegistryModelTests {
    private let addresses = (0..<4).map { NetworkAddress.ip4(10, 0, 0, UInt8($0), port: 1) }
    private let ids = (0..<24).compactMap { ConnectionID([UInt8($0), 7]) }

    @Test func agreesWithAModelAfterEveryOperation() throws {
        for seed in propertySeeds(6) {
            var generator = SeededGenerator(seed: seed)
            var registry = ConnectionIDRegistry<Int>(maximumPerConnection: 5)
            var model = Model(limit: 5)
            for step in 0..<600 {
                let place: Comment = "seed \(seed), step \(step)"
                try perform(&registry, &model, &generator, place)
                try #require(differences(&registry, model) == [], place)
            }
            for connection in Array(model.connections.keys) { registry.remove(connection: connection) }
            #expect(registry.isEmpty)
            let rest = registry.statistics
            #expect(rest.totalIDs == 0 && rest.addressMappings == 0 && rest.trackedSequences == 0, "seed \(seed)")
        }
    }

    private func perform(
        _ registry: inout ConnectionIDRegistry<Int>,
        _ model: inout Model,
        _ generator: inout SeededGenerator,
        _ comment: Comment
    ) throws {
        let id = try #require(ids.randomElement(using: &generator))
        let address = try #require(addresses.randomElement(using: &generator))
        let connection = Int.random(in: 0..<5, using: &generator)
        let sequence = UInt64.random(in: 0..<7, using: &generator)
        let isKnown = model.connections[connection] != nil
        switch Int.random(in: 0..<12, using: &generator) {
        case 0:
            let allowed = model.canIssue(id, connection, sequence)
            #expect(registry.register(id, for: connection, at: address, sequence: sequence) == allowed, comment)
            guard allowed else { return }
            model.place(connection, address)
            model.establish(connection)
            model.issue(id, connection, sequence)
            model.latest[address] = id
        case 1, 2:
            let allowed = model.canIssue(id, connection, sequence)
            #expect(registry.registerPending(id, for: connection, at: address, sequence: sequence) == allowed, comment)
            guard allowed else { return }
            model.place(connection, address)
            model.issue(id, connection, sequence)
            model.latest[address] = id
        case 3:
            performInitial(&registry, &model, id, connection, address, comment)
        case 4, 5:
            let allowed = isKnown && model.canIssue(id, connection, sequence)
            #expect(registry.add(id, to: connection, sequence: sequence) == allowed, comment)
            if allowed { model.issue(id, connection, sequence) }
        case 6:
            let number = Bool.random(using: &generator) ? sequence : nil
            let allowed = isKnown && model.canIssue(id, connection, number)
            #expect(registry.addByFallback(id, to: connection, at: address, sequence: number) == allowed, comment)
            guard allowed else { return }
            model.place(connection, address)
            model.issue(id, connection, number)
            model.latest[address] = id
        case 7:
            let allowed = isKnown && !model.issued(connection).isEmpty
            #expect(registry.promote(connection) == allowed, comment)
            if allowed { model.establish(connection) }
        case 8:
            #expect(registry.move(connection, to: address) == isKnown, comment)
            guard isKnown else { return }
            model.place(connection, address)
            if let primary = model.primary[connection] { model.latest[address] = primary }
        default:
            performRemoval(&registry, &model, &generator, id, connection, address, comment)
        }
    }

    private func performInitial(
        _ registry: inout ConnectionIDRegistry<Int>,
        _ model: inout Model,
        _ id: ConnectionID,
        _ connection: Int,
        _ address: NetworkAddress,
        _ comment: Comment
    ) {
        let isOwn = model.entries.contains { $0.id == id && $0.isInitial && $0.connection == connection }
        let count = model.entries.filter { $0.connection == connection }.count
        let allowed =
            (model.owner(id) ?? connection) == connection && model.connections[connection]?.isEstablished != true
            && (isOwn || count < model.limit)
        #expect(registry.registerInitial(id, for: connection, at: address) == allowed, comment)
        guard allowed else { return }
        model.place(connection, address)
        if !isOwn { model.entries.append(.init(id: id, connection: connection, sequence: nil, isInitial: true)) }
    }

    private func performRemoval(
        _ registry: inout ConnectionIDRegistry<Int>,
        _ model: inout Model,
        _ generator: inout SeededGenerator,
        _ id: ConnectionID,
        _ connection: Int,
        _ address: NetworkAddress,
        _ comment: Comment
    ) {
        let issued = model.entries.first { $0.id == id && !$0.isInitial }
        switch Int.random(in: 0..<12, using: &generator) {
        case 0...4:
            #expect(registry.remove(id)?.connection == issued?.connection, comment)
            model.remove(id, initial: false)
        case 5:
            let isPending = issued.map { model.connections[$0.connection]?.isEstablished == false } ?? false
            #expect((registry.removePending(id) != nil) == isPending, comment)
            if isPending { model.remove(id, initial: false) }
        case 6, 7:
            let initial = model.entries.first { $0.id == id && $0.isInitial }
            #expect(registry.removeInitial(id)?.connection == initial?.connection, comment)
            model.remove(id, initial: true)
        case 8, 9:
            let range = UInt64.random(in: 0..<4, using: &generator)..<UInt64.random(in: 4..<8, using: &generator)
            let retired = model.issued(connection).filter { $0.sequence.map { range.contains($0) } ?? false }.map(\.id)
            #expect(registry.retire(sequences: range, of: connection) == retired, comment)
            for id in retired { model.remove(id, initial: false) }
        case 10:
            let there = model.connections.filter { $0.value.address == address }.keys
            #expect(Set(registry.remove(at: address)) == Set(there), comment)
            for connection in Array(there) { model.drop(connection) }
        default:
            let own = model.entries.filter { $0.connection == connection }.map(\.id)
            #expect(Set(registry.remove(connection: connection)) == Set(own), comment)
            model.drop(connection)
        }
    }

    /// The lines of this file in which the registry and the model differ.
    private func differences(_ registry: inout ConnectionIDRegistry<Int>, _ model: Model) -> [Int] {
        var lines: [Int] = []
        func check(_ isEqual: Bool, line: Int = #line) {
            if !isEqual { lines.append(line) }
        }
        for id in ids {
            let issued = model.entries.first { $0.id == id && !$0.isInitial }
            let initial = model.entries.first { $0.id == id && $0.isInitial }
            let found = issued.map { entry in
                let isEstablished = model.connections[entry.connection]?.isEstablished == true
                return ConnectionIDRegistry<Int>.Match(
                    connection: entry.connection,
                    phase: isEstablished ? .established : .pending
                )
            }
            check(registry.find(id) == found)
            let first = initial.map { ConnectionIDRegistry<Int>.Match(connection: $0.connection, phase: .initial) }
            check(registry.find(id, isInitial: true) == first ?? found)
            check(registry.sequence(of: id) == issued?.sequence)
        }
        for connection in 0..<5 {
            check(registry.connectionIDs(of: connection) == model.issued(connection).map(\.id))
            check(registry.primaryConnectionID(of: connection) == model.primary[connection])
            check(registry.address(of: connection) == model.connections[connection]?.address)
            check(
                registry.isEstablished(connection) == (model.connections[connection]?.isEstablished == true)
            )
        }
        for address in addresses {
            let there = Set(model.connections.filter { $0.value.address == address }.keys)
            check(Set(registry.connections(at: address)) == there)
            let before = registry.statistics.fallbackRoutings
            let match = registry.find(at: address)
            check((match != nil) == !there.isEmpty)
            if let latest = model.latest[address] {
                check(match?.connectionID == latest)
                check(match?.connection == model.owner(latest))
            } else if let match {
                check(there.contains(match.connection))
                check(match.connectionID == model.primary[match.connection])
            }
            check(registry.statistics.fallbackRoutings == before + (match == nil ? 0 : 1))
        }
        let statistics = registry.statistics
        let issued = model.entries.filter { !$0.isInitial }
        let established = issued.filter { model.connections[$0.connection]?.isEstablished == true }
        check(statistics.initialIDs == model.entries.count - issued.count)
        check(statistics.establishedIDs == established.count)
        check(statistics.pendingIDs == issued.count - established.count)
        check(statistics.totalIDs == model.entries.count)
        check(statistics.connections == model.connections.count)
        check(statistics.addressMappings == Set(model.connections.values.map(\.address)).count)
        check(statistics.trackedSequences == issued.filter { $0.sequence != nil }.count)
        check(statistics.sequenceDistribution.reduce(0, +) == statistics.trackedSequences)
        return lines
    }
}
