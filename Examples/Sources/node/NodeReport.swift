import ExampleSupport

/// What the node prints on standard output: one line for each thing that happens, as text or as a JSON object.
struct NodeReport: Sendable {
    let json: Bool

    func tell(_ type: String, peer: String) throws { try tell(type, "peer", peer) }
    func tell(_ type: String, url: String) throws { try tell(type, "url", url) }
    func tell(_ type: String, address: String) throws { try tell(type, "address", address) }

    private func tell(_ type: String, _ key: String, _ value: String) throws {
        if json {
            try Output.json(["type": type, key: value])
        } else {
            Output.line("\(type) \(value)")
        }
    }
}
