internal import QuicCore

/// Nodes that move, vanish and come back.
extension Simulation {
    /// A translator in front of the node gives it another port, as it does when its binding runs out. What is still sent to
    /// the old one is lost.
    public func rebindPort(of node: SimulatedNode) {
        let old = node.translations[node.address] ?? node.address
        translate(node, from: old, to: old.withPort(old.port == 65_535 ? 1024 : old.port + 1))
    }

    /// The same with another IP address, as when a mobile phone changes its network.
    public func rebindAddress(of node: SimulatedNode) {
        let old = node.translations[node.address] ?? node.address
        rebindings += 1
        translate(node, from: old, to: address(subnet: 9, rebindings))
    }

    private func translate(_ node: SimulatedNode, from old: NetworkAddress, to new: NetworkAddress) {
        network.removeRoute(old)
        node.translations[node.address] = new
        network.route(new, to: node, local: node.address)
    }

    /// The node gets one more address and moves a connection to it on request (RFC 9000 §9.2).
    ///
    /// - Throws: ``QuicError`` where the installed library cannot migrate, or the peer gave no spare connection ID.
    public func migrate(_ connection: SimulatedConnection) throws {
        guard let core = connection.core else { return }
        rebindings += 1
        let local = address(subnet: 8, rebindings)
        network.route(local, to: connection.node, local: local)
        try core.migrate(to: local, now: network.now)
        service(connection)
    }

    /// The node's process ends without a word. Nobody answers at its address any more.
    public func vanish(_ node: SimulatedNode) throws {
        try restart(node)
        node.isPresent = false
    }

    /// The node's process ends without a word and starts again with the same keys.
    public func restart(_ node: SimulatedNode) throws {
        for connection in node.connections { connection.forget() }
        try node.restart(generator: generator.fork())
    }
}
