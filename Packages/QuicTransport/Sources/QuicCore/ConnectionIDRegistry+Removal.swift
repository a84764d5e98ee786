// MARK: - Removing

extension ConnectionIDRegistry {
    /// Removes an issued ID, of a pending or an established connection. The connection's primary ID, and the address's
    /// latest if it was this one, become the connection's ID of the lowest sequence number. With its last ID, initial
    /// ones included, the connection is gone.
    ///
    /// - Returns: Whose it was and where, or `nil` if the ID is not known.
    @discardableResult
    public mutating func remove(_ id: ConnectionID) -> Removal? {
        timed(.remove) { $0.removeIssued(id) }
    }

    /// Removes an issued ID if its connection is pending; one of an established connection stays.
    ///
    /// - Returns: Whose it was and where, or `nil` if there is no such ID.
    @discardableResult
    public mutating func removePending(_ id: ConnectionID) -> Removal? {
        timed(.remove) { registry in
            guard let owner = registry.issued[id]?.connection, registry.records[owner]?.isEstablished == false else {
                return nil
            }
            return registry.removeIssued(id)
        }
    }

    /// Removes an initial ID.
    ///
    /// - Returns: Whose it was and where, or `nil` if the ID is not known.
    @discardableResult
    public mutating func removeInitial(_ id: ConnectionID) -> Removal? {
        timed(.remove) { registry in
            guard let connection = registry.initial.removeValue(forKey: id),
                let address = registry.records[connection]?.address
            else { return nil }
            registry.records[connection]?.initial.removeAll { $0 == id }
            let wasLast = registry.dropIfEmpty(connection)
            return Removal(connection: connection, address: address, wasLast: wasLast)
        }
    }

    /// Removes every connection that is at an address, with all their IDs.
    ///
    /// - Returns: The connections, in the order in which they came to the address.
    @discardableResult
    public mutating func remove(at address: NetworkAddress) -> [Connection] {
        timed(.remove) { registry in
            let connections = registry.addresses[address]?.connections ?? []
            for connection in connections { registry.removeAll(of: connection) }
            return connections
        }
    }

    /// Removes a connection with all its IDs.
    ///
    /// - Returns: Its issued IDs in ascending order of sequence number, then its initial ones.
    @discardableResult
    public mutating func remove(connection: Connection) -> [ConnectionID] {
        timed(.remove) { $0.removeAll(of: connection) }
    }

    /// Retires the issued IDs of a connection whose sequence numbers lie in a range.
    ///
    /// - Returns: The IDs retired, in ascending order of sequence number.
    @discardableResult
    public mutating func retire(sequences: Range<UInt64>, of connection: Connection) -> [ConnectionID] {
        timed(.retire) { registry in
            let retired = (registry.records[connection]?.issued ?? []).filter { entry in
                entry.sequence.map { sequences.contains($0) } ?? false
            }
            for entry in retired { registry.removeIssued(entry.id) }
            return retired.map(\.id)
        }
    }
}

// MARK: - The parts that operations are made of

extension ConnectionIDRegistry {
    /// Whether ``issue(_:to:sequence:)`` would keep every ID with one connection and every sequence number with one ID.
    func canIssue(_ id: ConnectionID, to connection: Connection, sequence: UInt64?) -> Bool {
        if let owner = initial[id], owner != connection { return false }
        if let existing = issued[id] {
            guard existing.connection == connection else { return false }
            // A number once known stays.
            if let known = existing.sequence, let sequence, known != sequence { return false }
        }
        guard let record = records[connection] else { return true }
        if let sequence, record.issued.contains(where: { $0.sequence == sequence && $0.id != id }) { return false }
        return issued[id] != nil || record.issued.count + record.initial.count < maximumPerConnection
    }

    /// Adds an issued ID, or gives a sequence number to one that had none.
    mutating func issue(_ id: ConnectionID, to connection: Connection, sequence: UInt64?) {
        let known = issued[id]
        if known != nil, known?.sequence != nil || sequence == nil { return }
        issued[id] = Issued(connection: connection, sequence: sequence)
        counters.count(sequence: sequence)
        guard var record = records.removeValue(forKey: connection) else { return }
        if known != nil { record.issued.removeAll { $0.id == id } }
        let key = sequence ?? .max
        let place = record.issued.lastIndex { ($0.sequence ?? .max) <= key }.map { $0 + 1 } ?? 0
        record.issued.insert((sequence, id), at: place)
        if record.primary == nil { record.primary = id }
        if record.isEstablished, known == nil { counters.established += 1 }
        records[connection] = record
    }

    /// Makes a connection known, or moves it. A new one is pending.
    mutating func place(_ connection: Connection, at address: NetworkAddress) {
        if let known = records[connection] {
            guard known.address != address else { return }
            leave(connection, known)
        }
        let index = addresses[address, default: AddressEntry()].connections.count
        addresses[address, default: AddressEntry()].connections.append(connection)
        if records[connection] == nil {
            records[connection] = Record(isEstablished: false, address: address, indexAtAddress: index)
        } else {
            records[connection]?.address = address
            records[connection]?.indexAtAddress = index
        }
    }

    /// Takes a connection out of its address's list, in constant time: the last one takes its place.
    private mutating func leave(_ connection: Connection, _ record: Record) {
        guard var entry = addresses.removeValue(forKey: record.address) else { return }
        let last = entry.connections.removeLast()
        if last != connection {
            entry.connections[record.indexAtAddress] = last
            records[last]?.indexAtAddress = record.indexAtAddress
        }
        guard !entry.connections.isEmpty else { return }
        if let latest = entry.latest, issued[latest]?.connection == connection || issued[latest] == nil {
            entry.latest = nil
        }
        addresses[record.address] = entry
    }

    mutating func makeLatest(_ id: ConnectionID, of connection: Connection) {
        guard let address = records[connection]?.address else { return }
        addresses[address]?.latest = id
    }

    mutating func establish(_ connection: Connection) {
        guard let record = records[connection], !record.isEstablished else { return }
        for id in record.initial { initial.removeValue(forKey: id) }
        records[connection]?.initial = []
        records[connection]?.isEstablished = true
        counters.established += record.issued.count
    }

    @discardableResult
    mutating func removeIssued(_ id: ConnectionID) -> Removal? {
        guard let entry = issued.removeValue(forKey: id), var record = records.removeValue(forKey: entry.connection)
        else { return nil }
        counters.uncount(sequence: entry.sequence)
        record.issued.removeAll { $0.id == id }
        if record.isEstablished { counters.established -= 1 }
        if record.primary == id { record.primary = record.issued.first?.id }
        if addresses[record.address]?.latest == id { addresses[record.address]?.latest = record.issued.first?.id }
        let address = record.address
        records[entry.connection] = record
        let wasLast = dropIfEmpty(entry.connection)
        return Removal(connection: entry.connection, address: address, wasLast: wasLast)
    }

    @discardableResult
    mutating func removeAll(of connection: Connection) -> [ConnectionID] {
        guard let record = records[connection] else { return [] }
        for entry in record.issued {
            issued.removeValue(forKey: entry.id)
            counters.uncount(sequence: entry.sequence)
        }
        if record.isEstablished { counters.established -= record.issued.count }
        for id in record.initial { initial.removeValue(forKey: id) }
        leave(connection, record)
        records.removeValue(forKey: connection)
        return record.issued.map(\.id) + record.initial
    }

    mutating func dropIfEmpty(_ connection: Connection) -> Bool {
        guard let record = records[connection], record.issued.isEmpty, record.initial.isEmpty else { return false }
        leave(connection, record)
        records.removeValue(forKey: connection)
        return true
    }
}
