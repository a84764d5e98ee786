import Foundation
import PeerID
import Testing

/// The bytes of a hexadecimal string.
func hex(_ text: some StringProtocol) -> [UInt8] {
    var bytes: [UInt8] = []
    var digits = text.makeIterator()
    while let high = digits.next(), let low = digits.next() {
        bytes.append(UInt8((high.hexDigitValue ?? 0) << 4 | (low.hexDigitValue ?? 0)))
    }
    return bytes
}

/// Reads a copied vector file.
func vectors<T: Decodable>(_ name: String, as type: T.Type) throws -> T {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
    return try JSONDecoder().decode(type, from: Data(contentsOf: url))
}

/// Pseudo-random numbers that a printed seed repeats (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}

/// Runs a property on many cases; `PEERID_SEED` repeats a run whose seed was printed.
func forAll(
    _ name: String,
    cases: Int = 10_000,
    _ property: (inout SeededGenerator) throws -> Void
) rethrows {
    let given = ProcessInfo.processInfo.environment["PEERID_SEED"].flatMap { UInt64($0) }
    let seed = given ?? UInt64.random(in: .min ... .max)
    print("property \(name): seed \(seed), \(cases) cases")
    var generator = SeededGenerator(state: seed)
    for _ in 0..<cases { try property(&generator) }
}

/// The code of the error that `body` throws.
func code(_ body: () throws -> some Any) -> PeerIDError.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? PeerIDError)?.code
    }
}

/// One key of every type and curve. RSA and P-521 take their time, so they are made once.
let sampleKeys: [PrivateKey] = {
    do {
        return [
            .ed25519(), try .secp256k1(), try .ecdsa(.p256), try .ecdsa(.p384), try .ecdsa(.p521), try .rsa(),
        ]
    } catch {
        Issue.record("cannot make keys: \(error)")
        return []
    }
}()
