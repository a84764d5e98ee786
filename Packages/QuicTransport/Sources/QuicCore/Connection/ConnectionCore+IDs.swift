extension ConnectionCore {
    /// The library has taken one more connection ID of this side; it numbers them as they come (RFC 9000 §5.1.1).
    func issued(_ id: ConnectionID) {
        let sequence = identifierCounts.issued
        identifierCounts.issued += 1
        ownIDs.append((id, sequence))
        queues.routingChanges.append(.issued(id, sequence: sequence))
        queues.events.append(.connectionIDIssued(id, sequence: sequence))
    }

    /// The peer has retired a connection ID of this side, and nothing that bears it is expected any more.
    func retired(_ id: ConnectionID) {
        queues.routingChanges.append(.retired(id))
        identifierCounts.retired += 1
        guard let index = ownIDs.firstIndex(where: { $0.id == id }) else { return }
        queues.events.append(.connectionIDRetired(id, sequence: ownIDs.remove(at: index).sequence))
    }
}
