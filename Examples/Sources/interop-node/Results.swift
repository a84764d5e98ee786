import ExampleSupport
import Host
import NetStream

/// What `scripts/interop` asks of every implementation.
enum Feature: String, CaseIterable, Sendable {
    case handshake, identify, ping, echo
    case bigEcho = "echo-1MiB"
    case halfClose = "half-close"
    case streams = "100-streams"
    case reset
    case resetBack = "reset-back"
    case large, perf, agent
    case wrongID = "wrong-id"

    /// How long it may take.
    var limit: Duration {
        switch self {
        case .large, .perf: .seconds(90)
        default: .seconds(20)
        }
    }
}

/// What `scripts/interop` asks of this implementation about QUIC versions it does not speak.
enum VersionCheck: String, CaseIterable, Sendable {
    /// A configuration that wants draft 29.
    case configuration = "draft29-configured"
    /// An address that means draft 29.
    case address = "draft29-address"
    /// A listener that speaks nothing else.
    case dial = "draft29-listener"
}

/// How it went, in the form that all nodes print.
struct Results: Encodable, Sendable {
    enum Status: String, Encodable {
        case pass, fail
        /// The peer has no such thing.
        case absent
    }

    struct Cell: Encodable {
        var status: Status
        var detail: String
    }

    private(set) var results: [String: Cell] = [:]

    /// Whether nothing failed.
    var passed: Bool { results.values.allSatisfy { $0.status != .fail } }

    /// Tries a feature, no longer than it may take; `body` says in a few words what it saw.
    mutating func attempt(_ feature: Feature, _ body: @escaping @Sendable () async throws -> String) async -> Bool {
        await attempt(feature.rawValue, limit: feature.limit, body)
    }

    /// Tries something that has a name.
    mutating func attempt(
        _ name: String,
        limit: Duration = .seconds(20),
        _ body: @escaping @Sendable () async throws -> String
    ) async -> Bool {
        do {
            results[name] = Cell(status: .pass, detail: try await withDeadline(limit, operation: body))
        } catch let error as HostError where error.code == .protocolsNotSupported {
            results[name] = Cell(status: .absent, detail: "the listener refuses the protocol: \(error.message)")
        } catch {
            results[name] = Cell(status: .fail, detail: "\(error)")
        }
        return results[name]?.status == .pass
    }
}

/// Throws what is wrong unless `condition` holds.
func expect(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    guard condition else { throw ExampleError(problem()) }
}
