/// What a soak prints, and what it judges by.
enum SoakReport {
    /// How much more may be allocated after the second half than after the first: as many hosts were made in it again, and
    /// all of them are gone. Room for tables that grow by doubling, and for tasks that are just ending.
    static let heapBoundKiB = 2 << 10
    /// The same for resident memory, which is mostly what the allocator keeps between the few pieces still in use.
    static let residentBoundKiB = 64 << 10

    /// Says what came of one half.
    static func tell(_ figures: SoakFigures, _ state: Process) {
        let kinds = figures.requests.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        print(
            "soak: requests \(figures.total) (\(kinds)), answered \(figures.answered), failed \(figures.failed), "
                + "hung \(figures.hung); the slowest took \(figures.slowest)"
        )
        for (failure, count) in figures.failures.sorted(by: { $0.key < $1.key }) {
            print("soak:   \(failure): \(count)")
        }
        print(
            "soak: restarts \(figures.kills), processes killed \(figures.silentKills), "
                + "disconnects \(figures.disconnects)"
        )
        print("soak: hosts made \(figures.hosts.made), left \(figures.hosts.alive)")
        print("soak: streams opened \(figures.streams.opened), left \(figures.streams.alive)")
        print(
            "soak: all hosts closed: descriptors \(state.descriptors), heap \(state.heapKiB) KiB, "
                + "resident \(state.residentKiB) KiB"
        )
        for surprise in figures.surprises.prefix(20) { print("soak: SURPRISE: \(surprise)") }
    }

    /// Whether it went as it has to. The first figures and state are those of the warm-up, the others those of the halves.
    static func judge(_ figures: [SoakFigures], _ states: [Process]) -> Bool {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        for each in figures.dropFirst() {
            require(each.surprises.isEmpty, "\(each.surprises.count) surprises")
            require(each.hung == 0, "\(each.hung) requests hung")
            require(each.answered + each.failed + each.hung == each.total, "requests without an outcome")
            require(each.answered * 2 >= each.total, "more than half of the requests failed")
            require(each.hosts.alive == 0, "hosts are left")
            require(each.streams.alive == 0, "streams are left")
        }
        let (start, half, end) = (states[0], states[1], states[2])
        require(half.descriptors <= start.descriptors && end.descriptors <= start.descriptors, "descriptors are left")
        let (heap, resident) = (end.heapKiB - half.heapKiB, end.residentKiB - half.residentKiB)
        print(
            "soak: the second half left \(heap) KiB more on the heap (bound \(heapBoundKiB)) and \(resident) KiB more "
                + "resident (bound \(residentBoundKiB)), after \(figures[2].hosts.made) hosts"
        )
        require(heap <= heapBoundKiB, "the heap grows")
        require(resident <= residentBoundKiB, "resident memory grows")
        if !problems.isEmpty { print("soak: FAIL: \(problems.joined(separator: ", "))") }
        return problems.isEmpty
    }
}
