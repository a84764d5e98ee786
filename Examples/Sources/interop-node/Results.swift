import ExampleSupport
import Host
import NetStream

/// What `scripts/interop` asks of every implementation.
enum Feature: String, CaseIterable, CodingKeyRepresentable, Codable, Sendable {
    case handshake, identify, ping, echo
    case bigEcho = "echo-1MiB"
    case halfClose = "half-close"
    case wrongID = "wrong-id"
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

    private(set) var results: [Feature: Cell] = [:]

    /// Whether nothing failed.
    var passed: Bool { results.values.allSatisfy { $0.status != .fail } }

    /// Tries a feature, no longer than 20 seconds; `body` says in a few words what it saw.
    mutating func attempt(_ feature: Feature, _ body: @escaping @Sendable () async throws -> String) async -> Bool {
        do {
            results[feature] = Cell(status: .pass, detail: try await withDeadline(.seconds(20), operation: body))
        } catch let error as HostError where error.code == .protocolsNotSupported {
            results[feature] = Cell(status: .absent, detail: "the listener refuses the protocol: \(error.message)")
        } catch {
            results[feature] = Cell(status: .fail, detail: "\(error)")
        }
        return results[feature]?.status == .pass
    }
}

/// Throws what is wrong unless `condition` holds.
func expect(_ condition: Bool, _ problem: @autoclosure () -> String) throws {
    guard condition else { throw ExampleError(problem()) }
}
