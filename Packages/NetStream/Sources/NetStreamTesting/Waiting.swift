import NetStream

/// A task that waits for something.
struct Waiter<Value: Sendable>: Sendable {
    var id: UInt64
    var continuation: CheckedContinuation<Value, any Error>
}

/// Tasks that wait, in the order of arrival. A part of some locked state.
struct WaiterQueue<Value: Sendable>: Sendable {
    private var nextID: UInt64 = 0
    private var waiters: [Waiter<Value>] = []

    var isEmpty: Bool { waiters.isEmpty }

    mutating func makeID() -> UInt64 {
        nextID += 1
        return nextID
    }

    mutating func append(_ waiter: Waiter<Value>) {
        waiters.append(waiter)
    }

    mutating func removeFirst() -> Waiter<Value>? {
        waiters.isEmpty ? nil : waiters.removeFirst()
    }

    mutating func remove(id: UInt64) -> Waiter<Value>? {
        waiters.firstIndex { $0.id == id }.map { waiters.remove(at: $0) }
    }

    mutating func removeAll() -> [Waiter<Value>] {
        defer { waiters = [] }
        return waiters
    }
}

/// Things to do once a lock is given back, so that nobody is resumed while it is held.
struct Effects {
    private var actions: [() -> Void] = []

    mutating func add(_ action: @escaping () -> Void) {
        actions.append(action)
    }

    mutating func resume<Value: Sendable>(_ waiter: Waiter<Value>, with result: Result<Value, any Error>) {
        actions.append { waiter.continuation.resume(with: result) }
    }

    consuming func run() {
        for action in actions { action() }
    }
}
