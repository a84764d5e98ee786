/// A generator whose whole sequence follows from its seed (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts a sequence.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }

    /// Whether something of this probability (0 to 1) happens. Draws nothing for 0, so that a condition that is switched
    /// off does not change what the others draw.
    public mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double(next() >> 11) * 0x1p-53 < probability
    }

    /// A number of a range.
    public mutating func pick(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    /// A number of a range.
    public mutating func pick(_ range: ClosedRange<Double>) -> Double {
        range.lowerBound + (range.upperBound - range.lowerBound) * Double(next() >> 11) * 0x1p-53
    }

    /// One of some values; the list must not be empty.
    public mutating func pick<Value>(from values: [Value]) -> Value { values[pick(0...values.count - 1)] }

    /// A generator of its own, whose draws do not disturb this one.
    public mutating func fork() -> SeededGenerator { SeededGenerator(seed: next()) }
}
