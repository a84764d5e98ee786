import Foundation
import Testing

@testable import Multiaddr

/// A JSON value of the vector files.
enum JSON: Decodable {
    case text(String), number(Double), flag(Bool), list([JSON]), map([String: JSON]), none

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .none
        } else if let value = try? container.decode(Bool.self) {
            self = .flag(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .text(String(value))
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .list(value)
        } else {
            self = .map(try container.decode([String: JSON].self))
        }
    }

    /// Text, or an integer in decimal.
    var string: String? { if case .text(let value) = self { value } else { nil } }
    var bool: Bool? { if case .flag(let value) = self { value } else { nil } }
    var list: [JSON] { if case .list(let value) = self { value } else { [] } }
    var map: [String: JSON] { if case .map(let value) = self { value } else { [:] } }
    var strings: [String] { list.compactMap(\.string) }

    subscript(key: String) -> JSON { map[key] ?? .none }

    static func vectors(_ name: String) throws -> JSON {
        let url = try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
        return try JSONDecoder().decode(JSON.self, from: Data(contentsOf: url))
    }
}

func unhex(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// SplitMix64: the same numbers for the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    /// A generator of a fresh seed, or of `PROPERTY_SEED`; the seed is printed so that a failure can be repeated.
    static func announced(_ name: String) -> SeededGenerator {
        let given = ProcessInfo.processInfo.environment["PROPERTY_SEED"].flatMap(UInt64.init)
        let seed = given ?? UInt64.random(in: 0 ... .max)
        print("\(name): PROPERTY_SEED=\(seed)")
        return SeededGenerator(state: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
}

/// The code of the error that an operation ends in.
func failure<T>(_ body: () throws -> T) -> MultiaddrError? {
    do {
        let value = try body()
        Issue.record("expected an error, got \(value)")
        return nil
    } catch {
        return error as? MultiaddrError
    }
}
