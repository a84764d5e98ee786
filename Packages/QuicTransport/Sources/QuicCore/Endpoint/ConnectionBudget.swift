internal import Synchronization

/// How many connections there may be, over all endpoints that share it and whatever threads they run on.
public final class ConnectionBudget: Sendable {
    /// The most connections at once.
    public let limit: Int
    private let used = Atomic(0)

    /// Makes a budget of which nothing is taken.
    public init(limit: Int) {
        self.limit = limit
    }

    /// The connections there are.
    public var count: Int { used.load(ordering: .relaxed) }

    /// Takes a place if there is one. The count orders nothing else, so relaxed ordering will do.
    func take() -> Bool {
        if used.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
        used.wrappingSubtract(1, ordering: .relaxed)
        return false
    }

    /// Gives places back.
    func giveBack(_ places: Int = 1) {
        used.wrappingSubtract(places, ordering: .relaxed)
    }
}
