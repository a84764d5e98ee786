internal import Libp2pTLS

extension EndpointCore {
    /// Brings the routing up to date with what a connection did. Call it after each round of input and writing, and best
    /// also between the two: then a new client gets its token for the next connection at once.
    public func synchronize(_ core: ConnectionCore) {
        // Nearly always: it is called after each turn of each connection.
        if core.isSettled, core.queues.routingChanges.isEmpty { return }
        let handle = core.handle
        guard connections[handle] != nil else { return }
        for change in core.takeRoutingChanges() {
            switch change {
            case .issued(let id, let sequence): registry.add(id, to: handle, sequence: sequence)
            case .retired(let id):
                registry.remove(id)
                if last?.id == id { last = nil }
            case .resetTokenInUse(let token):
                // A token that another connection has stays with that one: it was there first.
                guard resetTokens[token] == nil else { continue }
                resetTokens[token] = handle
                resetTokensOf[handle, default: []].insert(token)
                group.claim(token, for: owner)
            case .resetTokenRetired(let token):
                guard resetTokensOf[handle]?.remove(token) != nil else { continue }
                resetTokens[token] = nil
                group.release(token, of: owner)
            case .moved(let remote): registry.move(handle, to: remote)
            case .addressToken(let token):
                guard let peer = core.verifiedPeer?.peerID else { continue }
                addressTokens.store(token, of: peer, at: core.remoteAddress)
            }
        }
        if core.isEstablished { settle(core) }
    }

    /// The handshake is over, one way or the other: the connection does not count as half-open any more.
    private func settle(_ core: ConnectionCore) {
        core.isSettled = registry.isEstablished(core.handle) || registry.promote(core.handle)
        guard let source = halfOpen.removeValue(forKey: core.handle) else { return }
        group.giveBackHalfOpen(source)
        counted.accepted += 1
        if core.tookEarlyData { counted.earlyDataAccepted += 1 }
        core.sendSessionTicket()
        if let token = tokens.addressToken(for: core.remoteAddress, now: lastReceived) {
            core.submit(addressToken: token)
        }
    }
}
