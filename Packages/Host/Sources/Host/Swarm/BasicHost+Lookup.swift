import Logging
import Multiaddr
import NetStream
import PeerID
import Synchronization

extension BasicHost {
    /// Whether this host can do something with an address: dial it, or look its names up.
    func canDial(_ address: Multiaddr) -> Bool {
        // What a `dnsaddr` stands for may be of any kind.
        address.contains(.dnsaddr) || transports.contains { $0.canDial(address) }
    }

    /// Looks the names in an address up. What comes of it has passed every question that is asked of an address before it
    /// is dialled.
    ///
    /// - Returns: Addresses without names; at least one.
    func lookUp(_ address: Multiaddr, of targets: DialTargets) async throws(HostError) -> [Multiaddr] {
        let all: [Multiaddr]
        do {
            all = try await configuration.resolver.resolve(address)
        } catch {
            throw HostError.wrapping(error, as: .dialFailed, "the name in \(address) could not be resolved")
        }
        var problem = HostError(.noTransport, "\(address) stands for no address that a transport here dials")
        let settings = configuration.connections
        let own = ownAddresses
        // A name that only the peer told leads nowhere that the peer could not have told outright.
        let isVouchedFor = targets.named.contains(address) || targets.vouched.contains(address.withoutPeerID)
        let least = isVouchedFor ? nil : AddressScope(address)
        var found: [Multiaddr] = []
        for one in all where transports.contains(where: { $0.canDial(one) }) {
            if let least, AddressScope(one).map({ $0 < least }) ?? true {
                problem = HostError(
                    .dialFailed,
                    "\(address), which only the peer told, stands for \(one), which is nearer than it says; "
                        + "name it to dial it all the same"
                )
                continue
            }
            // A name may say who is there; whom the caller named counts for more.
            if let named = one.peerID, let peer = targets.peer, named != peer { continue }
            guard one.peerID != peerID, !own.contains(one.withoutPeerID) else {
                problem = HostError(.dialSelf, "\(address) stands for this host itself")
                continue
            }
            if let peer = one.peerID, targets.peer == nil, !configuration.gater.allowsDialingPeer(peer) {
                metrics.gated(.dialPeer)
                problem = HostError(.gated, "the connection gater refuses to dial \(peer)")
                continue
            }
            guard configuration.gater.allowsDialingAddress(one) else {
                metrics.gated(.dialAddress)
                problem = HostError(.gated, "the connection gater refuses \(one), for which \(address) stands")
                continue
            }
            found.append(targets.peer.map(one.withPeerID) ?? one)
        }
        guard !found.isEmpty, !targets.named.contains(address) else {
            guard found.isEmpty else { return found }
            throw problem
        }
        // As with other addresses that nobody named.
        let (reachable, ready) = state.withLock { state in
            let reachable = state.blackHoles.filter(found)
            let ready = reachable.filter {
                !state.backOff.isResting($0, base: settings.dialBackOff, longest: settings.longestDialBackOff)
            }
            return (reachable, ready)
        }
        guard !reachable.isEmpty else { throw Self.blackHoleError }
        guard !ready.isEmpty else {
            throw HostError(.dialBackOff, "what \(address) stands for failed not long ago; wait, or name an address")
        }
        return ready
    }

    static var blackHoleError: HostError {
        HostError(
            .blackHole,
            "dials over UDP or IPv6 have failed for long, so the known addresses are not dialled; check the network, or "
                + "name an address to dial at once"
        )
    }
}

extension Multiaddr {
    /// Whether there is a name in it that has to be looked up.
    var hasName: Bool { [.dns, .dns4, .dns6, .dnsaddr].contains { contains($0) } }
}
