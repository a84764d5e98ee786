import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// The books, against a model that adds everything up anew each time.
@Suite struct ResourceLedgerTests {
    /// Limits so small that random operations run into each of them.
    static var tight: ResourceLimits {
        var limits = ResourceLimits()
        limits.system.inboundConnections = 4
        limits.system.outboundConnections = 4
        limits.system.inboundStreams = 12
        limits.system.outboundStreams = 12
        limits.system.memory = 1200
        limits.transient.dials = 3
        limits.transient.inboundStreams = 5
        limits.transient.outboundStreams = 5
        limits.peer.inboundStreams = 6
        limits.peer.outboundStreams = 6
        limits.peer.memory = 500
        limits.protocolStreams = .init(inboundStreams: 5, outboundStreams: 4)
        limits.protocols["/b"] = .init(inboundStreams: 2, outboundStreams: 1)
        limits.connection.inboundStreams = 4
        limits.connection.outboundStreams = 4
        limits.connection.memory = 300
        limits.streamMemory = 150
        limits.reserve.connections = 1
        limits.reserve.streams = 2
        limits.reserve.memory = 100
        return limits
    }

    private struct ModelSpan {
        var amount: ResourceUsage
        var scopes: [ResourceScope]
        var isReserved: Bool
    }

    private static let resources: [(Resource, any KeyPath<ResourceUsage, Int> & Sendable)] = [
        (.connections, \.connections), (.inboundConnections, \.inboundConnections),
        (.outboundConnections, \.outboundConnections), (.inboundStreams, \.inboundStreams),
        (.outboundStreams, \.outboundStreams), (.memory, \.memory),
    ]

    private static func usage(of scope: ResourceScope, in spans: [UInt64: ModelSpan]) -> ResourceUsage {
        spans.values.filter { $0.scopes.contains(scope) }.reduce(ResourceUsage()) { $0 + $1.amount }
    }

    /// Whether a span would fit, by adding everything up.
    private static func fits(
        _ span: ModelSpan,
        in scopes: [ResourceScope],
        beside spans: [UInt64: ModelSpan],
        _ ledger: ResourceLedger
    ) -> Bool {
        for scope in scopes {
            let used = usage(of: scope, in: spans)
            for (resource, path) in resources where span.amount[keyPath: path] > 0 {
                guard let limit = ledger.limit(of: resource, in: scope, isReserved: span.isReserved) else { continue }
                if used[keyPath: path] + span.amount[keyPath: path] > limit { return false }
            }
        }
        return true
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64]) func theLedgerAgreesWithTheModel(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var ledger = ResourceLedger(limits: Self.tight, connections: 6, connectionsPerPeer: 3)
        var model: [UInt64: ModelSpan] = [:]
        let peers = (0..<3).map { _ in PrivateKey.ed25519().peerID }
        var refusals = 0
        var refused: Set<ResourceScope.Kind> = []
        for _ in 0..<4000 {
            let peer = peers[Int.random(in: 0..<3, using: &random)]
            let connection = UInt64.random(in: 0..<6, using: &random)
            let chosen = model.keys.sorted().randomElement(using: &random)
            var amount = ResourceUsage()
            amount.memory = Int.random(in: 0...60, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0, 1, 2:
                if Bool.random(using: &random) { amount.inboundStreams = 1 } else { amount.outboundStreams = 1 }
                let scopes: [ResourceScope] = [.system, .transient, .peer(peer), .connection(connection)]
                let span = ModelSpan(amount: amount, scopes: scopes, isReserved: peer == peers[0])
                let fits = Self.fits(span, in: scopes, beside: model, ledger)
                let id = try? ledger.open(amount, in: scopes, isReserved: span.isReserved)
                #expect((id != nil) == fits)
                if let id { model[id] = span } else { refusals += 1 }
            case 3, 4:
                amount.memory = 10
                if Bool.random(using: &random) { amount.inboundConnections = 1 } else { amount.outboundConnections = 1 }
                let scopes: [ResourceScope] = Bool.random(using: &random) ? [.transient] : [.system, .peer(peer)]
                let span = ModelSpan(amount: amount, scopes: scopes, isReserved: peer == peers[0])
                // Now and then one takes the place of another.
                let old = Bool.random(using: &random) ? chosen : nil
                var others = model
                if let old { others[old] = nil }
                let fits = Self.fits(span, in: scopes, beside: others, ledger)
                do throws(ResourceLimitExceeded) {
                    let id: UInt64
                    if let old {
                        id = try ledger.replace(old, with: amount, in: scopes, isReserved: span.isReserved)
                    } else {
                        id = try ledger.open(amount, in: scopes, isReserved: span.isReserved)
                    }
                    #expect(fits)
                    model = others
                    model[id] = span
                } catch {
                    #expect(!fits)
                    refusals += 1
                    refused.insert(error.scope.kind)
                }
            case 5, 6:
                guard let id = chosen, let span = model[id], span.scopes.contains(.transient) else { continue }
                let name = Bool.random(using: &random) ? "/a" : "/b"
                let scopes = span.scopes.filter { $0 != .transient } + [.protocolName(name)]
                let fits = Self.fits(span, in: [.protocolName(name)], beside: model, ledger)
                #expect((try? ledger.move(id, to: scopes)) == (fits ? true : nil))
                if fits { model[id]?.scopes = scopes } else { refusals += 1 }
            case 7:
                guard let id = chosen, var span = model[id] else { continue }
                let delta = Int.random(in: -80...80, using: &random)
                var change = span
                change.amount = ResourceUsage()
                change.amount.memory = delta
                let isSmall = delta <= 0 || span.amount.memory + delta <= 150
                let fits = isSmall && (delta <= 0 || Self.fits(change, in: span.scopes, beside: model, ledger))
                #expect((try? ledger.resize(id, memoryBy: delta)) == (fits ? true : nil))
                guard fits else { continue }
                span.amount.memory = max(0, span.amount.memory + delta)
                model[id] = span
            default:
                guard let id = chosen else { continue }
                ledger.close(id)
                // The second time does nothing.
                ledger.close(id)
                #expect(try ledger.move(id, to: [.system]) == false)
                #expect(try ledger.resize(id, memoryBy: 1) == false)
                model[id] = nil
            }
            let scopes = Set(model.values.flatMap(\.scopes))
            for scope in scopes { #expect(ledger.usage(of: scope) == Self.usage(of: scope, in: model)) }
            #expect(ledger.count == model.count)
            #expect(Set(ledger.usages.keys).isSubset(of: scopes))
        }
        #expect(refusals > 100)
        #expect(refused.count > 1)
        for id in model.keys { ledger.close(id) }
        #expect(ledger.usages.isEmpty && ledger.count == 0)
    }

    @Test func anErrorNamesScopeLimitAndSetting() throws {
        var ledger = ResourceLedger(limits: Self.tight, connections: 6, connectionsPerPeer: 1)
        let peer = PrivateKey.ed25519().peerID
        var connection = ResourceUsage()
        connection.inboundConnections = 1
        _ = try ledger.open(connection, in: [.system, .peer(peer)])
        let error = #expect(throws: ResourceLimitExceeded.self) {
            _ = try ledger.open(connection, in: [.system, .peer(peer)])
        }
        #expect(error?.scope == .peer(peer) && error?.resource == .connections && error?.limit == 1)
        #expect(error?.setting == "connections.limitPerPeer")
        var streams = ResourceUsage()
        streams.inboundStreams = 3
        let other = #expect(throws: ResourceLimitExceeded.self) {
            _ = try ledger.open(streams, in: [.system, .protocolName("/b")])
        }
        #expect(other?.setting == "limits.protocols[\"/b\"].inboundStreams")
        #expect(other?.description.contains("the protocol /b may use 2 of inboundStreams") == true)
        // Nothing of it was booked.
        #expect(ledger.usage(of: .system).streams == 0)
    }

    @Test func oneSpanOfManyBytesDoesNotOverflow() throws {
        var limits = ResourceLimits()
        limits.reserve.memory = .max
        var ledger = ResourceLedger(limits: limits, connections: 1, connectionsPerPeer: 1)
        let id = try ledger.open(ResourceUsage(), in: [.system], isReserved: true)
        #expect(throws: ResourceLimitExceeded.self) { try ledger.resize(id, memoryBy: .max) }
        var all = ResourceUsage()
        all.memory = .max
        #expect(throws: ResourceLimitExceeded.self) { _ = try ledger.open(all, in: [.system]) }
        #expect(ledger.usages.isEmpty)
    }
}
