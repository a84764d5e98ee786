public import Multiaddr
import NetStream
public import PeerID
import Synchronization

/// What a host is doing, at one moment. For debugging: print it, or encode it and look at it elsewhere.
///
/// Durations are in seconds. Everything is sorted, so that two snapshots can be compared line by line.
public struct HostSnapshot: Sendable, Codable, Hashable {
    /// A peer that is connected.
    public struct Peer: Sendable, Codable, Hashable {
        /// Who it is.
        public var id: PeerID
        /// The software it says it is.
        public var agent: String?
        /// Whether it is protected; see ``BasicHost/protect(_:tag:)``.
        public var isProtected: Bool
        /// What it is worth; see ``BasicHost/setValue(_:of:tag:)``.
        public var value: Int
        /// Its connections, the oldest first.
        public var connections: [Connection]
    }

    /// An open connection.
    public struct Connection: Sendable, Codable, Hashable {
        /// Its number; see ``ConnectionInfo/id``.
        public var id: UInt64
        /// `inbound` or `outbound`.
        public var direction: String
        /// This side's address, as it is now.
        public var localAddress: Multiaddr
        /// The peer's address, as it is now.
        public var remoteAddress: Multiaddr
        /// How long it has been open.
        public var age: Double
        /// The smoothed round-trip time, if it is measured.
        public var roundTripTime: Double?
        /// Bytes that streams read and wrote, protocol negotiation included.
        public var bytesRead: UInt64
        /// Bytes that streams wrote.
        public var bytesWritten: UInt64
        /// Streams in use, by protocol.
        public var streams: [Streams]
    }

    /// The streams of one protocol on one connection.
    public struct Streams: Sendable, Codable, Hashable {
        /// The protocol; `nil` while it is negotiated.
        public var protocolID: String?
        /// How many the peer opened.
        public var inbound: Int
        /// How many this host opened.
        public var outbound: Int
    }

    /// What is in use in a scope.
    public struct Usage: Sendable, Codable, Hashable {
        /// The scope, as ``ResourceScope/description`` names it.
        public var scope: String
        /// What is in use.
        public var usage: ResourceUsage
    }

    /// An address that is left alone for now.
    public struct BackOff: Sendable, Codable, Hashable {
        /// The address.
        public var address: Multiaddr
        /// How often it failed in a row.
        public var failures: Int
        /// How long it is still left alone.
        public var rest: Double
    }

    /// Who the host is.
    public var peerID: PeerID
    /// `idle`, `running`, `draining`, `closing` or `closed`.
    public var phase: String
    /// The addresses listened on.
    public var listenAddresses: [Multiaddr]
    /// Where it is reached, as far as it knows; see ``BasicHost/addresses``.
    public var addresses: [Multiaddr]
    /// The protocols spoken.
    public var protocols: [String]
    /// The peers that are connected.
    public var peers: [Peer]
    /// Peers that are remembered.
    public var knownPeers: Int
    /// Dials under way.
    public var dials: Int
    /// What is in use, the whole system first. Single connections are left out.
    public var usage: [Usage]
    /// Addresses that failed not long ago.
    public var backOffs: [BackOff]
    /// What is thought of the network, by the kind of dial.
    public var blackHoles: [String: BlackHoleState]
}

extension BasicHost {
    /// What the host is doing now.
    public func snapshot() -> HostSnapshot {
        let settings = configuration.connections
        let (phase, connections, dials, backOff, blackHoles, values, protections) = state.withLock { state in
            (
                "\(state.phase)", state.connections, state.dials.count, state.backOff,
                state.blackHoles.states, state.connections.mapValues { state.value(of: $0.first?.peer ?? peerID) },
                Set(state.protections.keys)
            )
        }
        let peers = connections.compactMap { peer, connections -> HostSnapshot.Peer? in
            let open = connections.filter { !$0.muxed.isClosed }
            guard !open.isEmpty else { return nil }
            return HostSnapshot.Peer(
                id: peer,
                agent: peerStore.info(for: peer)?.identify?.agentVersion,
                isProtected: protections.contains(peer),
                value: values[peer] ?? 0,
                connections: open.map(\.snapshot).sorted { $0.id < $1.id }
            )
        }
        let usage = resources.usages.filter { !$0.key.isConnection }.map { scope, usage in
            (scope.order, HostSnapshot.Usage(scope: scope.description, usage: usage))
        }
        return HostSnapshot(
            peerID: peerID,
            phase: phase,
            listenAddresses: listenAddresses,
            addresses: addresses,
            protocols: protocols,
            peers: peers.sorted { $0.id.description < $1.id.description },
            knownPeers: peerStore.count,
            dials: dials,
            usage: usage.sorted { ($0.0, $0.1.scope) < ($1.0, $1.1.scope) }.map(\.1),
            backOffs: backOff.resting(base: settings.dialBackOff, longest: settings.longestDialBackOff),
            blackHoles: Dictionary(uniqueKeysWithValues: blackHoles.map { ($0.key.description, $0.value) })
        )
    }
}

extension HostConnection {
    fileprivate var snapshot: HostSnapshot.Connection {
        var streams: [String?: HostSnapshot.Streams] = [:]
        for use in uses {
            let name = use.protocolID
            var entry = streams[name] ?? HostSnapshot.Streams(protocolID: name, inbound: 0, outbound: 0)
            if use.direction == .inbound { entry.inbound += 1 } else { entry.outbound += 1 }
            streams[name] = entry
        }
        return HostSnapshot.Connection(
            id: info.id,
            direction: "\(info.direction)",
            localAddress: muxed.localAddress,
            remoteAddress: muxed.remoteAddress,
            age: opened.elapsed() / .seconds(1),
            roundTripTime: muxed.roundTripTime.map { $0 / .seconds(1) },
            bytesRead: traffic.read,
            bytesWritten: traffic.written,
            streams: streams.values.sorted { ($0.protocolID ?? "") < ($1.protocolID ?? "") }
        )
    }
}

extension ResourceScope {
    fileprivate var isConnection: Bool {
        if case .connection = kind { return true }
        return false
    }

    fileprivate var order: Int {
        switch kind {
        case .system: 0
        case .transient: 1
        case .protocolName: 2
        default: 3
        }
    }
}

extension HostSnapshot: CustomStringConvertible {
    /// A few lines for people.
    public var description: String {
        var lines = ["host \(peerID), \(phase)"]
        lines += listenAddresses.map { "  listens on \($0)" }
        lines += Set(addresses).subtracting(listenAddresses).map { "  reached at \($0)" }.sorted()
        lines.append("  \(peers.count) peers connected, \(knownPeers) known, \(dials) dials under way")
        for peer in peers {
            let marks = (peer.isProtected ? ", protected" : "") + (peer.value == 0 ? "" : ", value \(peer.value)")
            lines.append("  peer \(peer.id)" + (peer.agent.map { " (\($0))" } ?? "") + marks)
            for connection in peer.connections {
                let time = connection.roundTripTime.map { ", rtt \(Self.milliseconds($0)) ms" } ?? ""
                lines.append(
                    "    connection \(connection.id) \(connection.direction) \(connection.remoteAddress), "
                        + "age \(Int(connection.age)) s\(time), \(connection.bytesRead) bytes in, "
                        + "\(connection.bytesWritten) bytes out"
                )
                for streams in connection.streams {
                    let name = streams.protocolID ?? "(negotiating)"
                    lines.append("      \(name): \(streams.inbound) inbound, \(streams.outbound) outbound")
                }
            }
        }
        for entry in usage {
            let usage = entry.usage
            lines.append(
                "  \(entry.scope) uses connections \(usage.inboundConnections) in, \(usage.outboundConnections) out; "
                    + "streams \(usage.inboundStreams) in, \(usage.outboundStreams) out; memory \(usage.memory)"
            )
        }
        for entry in backOffs {
            lines.append(
                "  \(entry.address) failed \(entry.failures) times, rests for \(Int(entry.rest.rounded(.up))) s"
            )
        }
        for (kind, state) in blackHoles.sorted(by: { $0.key < $1.key }) {
            lines.append("  dials over \(kind): \(state)")
        }
        return lines.joined(separator: "\n")
    }

    private static func milliseconds(_ seconds: Double) -> Double { (seconds * 10_000).rounded() / 10 }
}
