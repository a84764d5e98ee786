import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

/// Who is attacked: the side that accepted a connection or the one that dialed it.
enum Victim: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case server, client

    var testDescription: String { rawValue }
}

/// A connection in memory whose one end seals frames that no honest library would send.
final class FrameAttack {
    /// How far the handshake gets before the attack.
    enum Stage {
        /// Both have keys for Handshake packets, and the handshake is not confirmed.
        case handshake
        /// It is confirmed, and nothing is on its way.
        case oneRTT
    }

    let kind: Victim
    let victim: CoreNode
    let attacker: CoreNode
    let network: CoreNetwork
    /// The victim's end of the connection; released in ``expectHealth(_:)``.
    private(set) var core: ConnectionCore?
    private(set) var attackerCore: ConnectionCore?
    private let stage: Stage
    private let forge: PacketForge
    /// The IDs in the packets that the attacker sends.
    private let destination: [UInt8]
    private let source: [UInt8]
    private var number: UInt32 = 1000

    init(on kind: Victim, at stage: Stage, configuration: QuicConfiguration = .defaults) throws {
        self.kind = kind
        self.stage = stage
        var tls = TLSConfiguration.defaults
        tls.cipherSuites = [.aes128]
        let client = try CoreNode(
            port: 1001,
            seed: 71,
            configuration: kind == .client ? configuration : .defaults,
            accepts: false,
            tls: tls
        )
        let server = try CoreNode(
            port: 1002,
            seed: 72,
            configuration: kind == .server ? configuration : .defaults,
            tls: tls
        )
        (victim, attacker) = kind == .server ? (server, client) : (client, server)
        let network = CoreNetwork(client, server)
        self.network = network
        // The IDs of the attacker's packets, once it knows the victim's own: those of the last one.
        var ids: (destination: [UInt8], source: [UInt8])?
        let (from, idLength) = (attacker.address, victim.endpoint.entropy.identifiers.length)
        network.filter = { packet in
            if packet.from == from, let header = try? parse(packet.bytes, idLength: idLength) {
                let own = header.sourceID?.bytes ?? ids?.source ?? []
                ids = (header.destinationID?.bytes ?? [], own)
            }
            // Of the client only its first packets arrive, and so the handshake is never confirmed.
            if stage == .handshake, packet.from == client.address, !server.opened.isEmpty { return nil }
            return packet
        }
        let dialed = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: server.identity.peerID,
            now: network.now
        )
        // Held, so that no other session comes to stand at its address: the connection lets go of it.
        let session = try #require(dialed.session)
        ToldSecrets.listen(to: session.handle)
        network.service(dialed, of: client)
        switch stage {
        case .handshake: network.run(seconds: 0.01)
        case .oneRTT:
            // Long enough for every budget of the frame guard to be full again.
            network.run(seconds: 5)
            #expect(client.events(of: dialed).isConfirmed)
        }
        let accepted = try #require(server.opened.first)
        server.opened = []
        (core, attackerCore) = kind == .server ? (accepted, dialed) : (dialed, accepted)
        let label = (kind == .server ? "CLIENT_" : "SERVER_") + (stage == .handshake ? "HANDSHAKE_" : "")
        let secrets = ToldSecrets.take(of: session.handle)
        let secret = secrets[label + (stage == .handshake ? "TRAFFIC_SECRET" : "TRAFFIC_SECRET_0")]
        forge = PacketForge(secret: try #require(secret))
        (destination, source) = try #require(ids)
        #expect(core?.isOpen == true)
        // What the attacker's library sends does not arrive from now on, nor does it see acknowledgements of packets that it
        // did not send.
        let victimCore = core
        network.filter = { packet in
            guard packet.to == from, victimCore?.isOpen == false else { return nil }
            return packet
        }
    }

    /// Sends the victim one packet.
    func inject(_ frames: [UInt8]) {
        number += 1
        let packet =
            switch stage {
            case .handshake: forge.handshake(frames, to: destination, from: source, number: number)
            case .oneRTT: forge.oneRTT(frames, to: destination, number: number)
            }
        network.deliver(packet, to: victim, from: attacker.address)
    }

    /// Sends a frame so many times, in as few packets as it takes.
    func inject(_ frame: [UInt8], times: Int) {
        let perPacket = max(1, 1100 / frame.count)
        var left = times
        while left > 0 {
            let count = min(left, perPacket)
            inject([UInt8]([[UInt8]](repeating: frame, count: count).joined()))
            left -= count
        }
    }

    /// Why the victim closed; `nil` if it did not.
    var end: ConnectionTermination? { core.flatMap { victim.events(of: $0).termination } }

    /// Expects that the victim has closed for this reason and told the attacker so, and is none the worse for it.
    func expectClosed(
        _ code: QuicErrorCode,
        frame: UInt8? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let end = try #require(end, "still open", sourceLocation: sourceLocation)
        #expect(!end.byPeer, sourceLocation: sourceLocation)
        #expect(end.cause == .transport, sourceLocation: sourceLocation)
        #expect(end.code == code.rawValue, sourceLocation: sourceLocation)
        #expect(end.error.code == .protocolViolation, sourceLocation: sourceLocation)
        if let frame {
            // The frame guard says what it has found.
            #expect(end.frameType == UInt64(frame), sourceLocation: sourceLocation)
            #expect(!end.reason.isEmpty, sourceLocation: sourceLocation)
            #expect(end.error.message.contains(end.reason), sourceLocation: sourceLocation)
        }
        network.run(seconds: 0.01)
        let told = attackerCore.flatMap { attacker.events(of: $0).termination }
        #expect(told?.byPeer == true, sourceLocation: sourceLocation)
        #expect(told?.code == code.rawValue, sourceLocation: sourceLocation)
        #expect(told?.reason == end.reason, sourceLocation: sourceLocation)
        try expectHealth(sourceLocation)
    }

    /// Expects that nothing is left of the connection, and that others connect.
    func expectHealth(_ sourceLocation: SourceLocation = #_sourceLocation) throws {
        weak let gone = core
        core = nil
        attackerCore = nil
        network.filter = { $0 }
        network.run(seconds: 40)
        #expect(gone == nil, "its memory is not given back", sourceLocation: sourceLocation)
        for node in [victim, attacker] {
            #expect(node.endpoint.connectionCount == 0, sourceLocation: sourceLocation)
            #expect(node.endpoint.registry.isEmpty, sourceLocation: sourceLocation)
            #expect(node.endpoint.halfOpenCount == 0, sourceLocation: sourceLocation)
        }
        let fresh = try CoreNode(port: 1009, seed: 79, accepts: kind == .client)
        network.nodes[fresh.address] = fresh
        let (from, to) = kind == .server ? (fresh, victim) : (victim, fresh)
        let dialed = try network.dial(from: from, to: to, expecting: to.identity.peerID)
        #expect(network.run(seconds: 5) { from.events(of: dialed).isConfirmed }, sourceLocation: sourceLocation)
    }
}
