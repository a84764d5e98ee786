internal import CNgtcp2Shims

/// Where an endpoint's connections get their connection IDs and unpredictable bytes from.
final class EndpointEntropy: ConnectionEntropy {
    let identifiers: ServerConnectionIDs
    var random: any RandomNumberGenerator

    init(identifiers: ServerConnectionIDs, random: any RandomNumberGenerator) {
        self.identifiers = identifiers
        self.random = random
    }

    func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        var offset = 0
        while offset < bytes.count {
            let count = min(8, bytes.count - offset)
            withUnsafeBytes(of: random.next()) { word in
                UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: word[..<count]))
            }
            offset += count
        }
    }

    func makeConnectionID(length: Int) -> (id: ConnectionID, resetToken: [UInt8]) {
        let id = length == identifiers.length ? makeIdentifier() : randomIdentifier(length: length)
        return (id, resetToken(for: id))
    }

    func makeIdentifier() -> ConnectionID {
        var generator = AnyGenerator(base: random)
        defer { random = generator.base }
        return identifiers.make(using: &generator)
    }

    func randomIdentifier(length: Int) -> ConnectionID {
        withUnsafeTemporaryAllocation(byteCount: min(length, ConnectionID.maximumLength), alignment: 8) { bytes in
            fill(bytes)
            return ConnectionID(UnsafeRawBufferPointer(bytes)) ?? .empty
        }
    }

    /// The token of an ID, or an unusable random one should GnuTLS fail: then resets do not work, all else does.
    func resetToken(for id: ConnectionID) -> [UInt8] {
        if let token = try? identifiers.resetToken(for: id) { return token.bytes }
        return randomIdentifier(length: StatelessResetToken.length).bytes
    }

    func withGenerator<Result>(_ body: (inout AnyGenerator) -> Result) -> Result {
        var generator = AnyGenerator(base: random)
        defer { random = generator.base }
        return body(&generator)
    }

    /// A generator of any type as one of a known type.
    struct AnyGenerator: RandomNumberGenerator {
        var base: any RandomNumberGenerator

        mutating func next() -> UInt64 { base.next() }
    }
}
