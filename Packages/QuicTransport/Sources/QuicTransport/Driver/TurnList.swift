/// Which connections of an endpoint have a turn to come, in order.
struct TurnList {
    private var touched: [ConnectionDriver] = []
    /// How many of them have had theirs.
    private var served = 0
    /// Those whose turn comes when those that are touched now have had theirs, and ``next()`` has said so.
    private var postponed: [ConnectionDriver] = []

    var isEmpty: Bool { touched.isEmpty }

    /// Notes a connection; once, however often it is called before its turn.
    mutating func add(_ driver: ConnectionDriver) {
        guard !driver.isTouched else { return }
        driver.isTouched = true
        touched.append(driver)
    }

    /// Notes a connection for the time after these turns.
    mutating func postpone(_ driver: ConnectionDriver) { postponed.append(driver) }

    /// The next one, or `nil` at the end of these turns: then those that were postponed are the next ones.
    mutating func next() -> ConnectionDriver? {
        if served < touched.count {
            let driver = touched[served]
            served += 1
            driver.isTouched = false
            return driver
        }
        touched.removeAll(keepingCapacity: true)
        served = 0
        guard !postponed.isEmpty else { return nil }
        for driver in postponed { add(driver) }
        postponed.removeAll(keepingCapacity: true)
        return nil
    }
}
