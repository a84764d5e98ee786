/// What a soak prints, and what it judges by.
enum SoakReport {
    /// How much more may be allocated after the second network than after the first: as many hosts were made in it again,
    /// and all of them are gone. Room for tables that grow by doubling, and for tasks that are just ending.
    static let heapBoundKiB = 2 << 10
    /// The same for resident memory, which is mostly what the allocator keeps between the few pieces still in use.
    static let residentBoundKiB = 64 << 10

    /// Of each kind of request as many have to be answered, at least; 97 % is the least that was seen, on a machine with
    /// seven times as much to do as it has cores. The others failed because a host was killed or hung
    /// up meanwhile.
    static let answeredPart = 0.9

    /// Says what came of one network.
    static func tell(_ figures: SoakFigures, _ state: Process) {
        let kinds = figures.answeredParts.sorted { $0.key < $1.key }.map { kind, part in
            "\(kind) \(figures.requests[kind] ?? 0), \(percent(part)) answered"
        }
        print(
            "soak: requests \(figures.total) (\(kinds.joined(separator: "; "))), answered \(figures.answered), "
                + "failed \(figures.failed), hung \(figures.hung); the slowest took \(figures.slowest)"
        )
        for (failure, count) in figures.failures.sorted(by: { $0.key < $1.key }) {
            print("soak:   \(failure): \(count)")
        }
        print(
            "soak: restarts \(figures.kills), processes killed \(figures.silentKills), "
                + "disconnects \(figures.disconnects)"
        )
        if let rest = figures.rest {
            print(
                "soak: at rest after \(rest.after): \(rest.connections) ends of connections, \(rest.streams) streams, "
                    + "\(rest.knownPeers) peers known at most, \(rest.pings) pings answered"
            )
        }
        print("soak: hosts made \(figures.hosts.made), ended \(figures.hosts.ended), left \(figures.hosts.alive)")
        print("soak: tasks of handlers begun \(figures.handlers.begun), left \(figures.handlers.underWay)")
        print(
            "soak: streams opened \(figures.streams.opened), left \(figures.streams.alive); "
                + "handled \(figures.inboundStreams.opened), left \(figures.inboundStreams.alive)"
        )
        print(
            "soak: all hosts closed: descriptors \(state.descriptors), heap \(state.heapKiB) KiB, "
                + "resident \(state.residentKiB) KiB"
        )
        for surprise in figures.surprises.prefix(20) { print("soak: SURPRISE: \(surprise)") }
    }

    /// Whether it went as it has to. The first figures and state are those of the warm-up, the others those of the two networks.
    static func judge(_ figures: [SoakFigures], _ states: [Process]) -> Bool {
        var problems: [String] = []
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        for each in figures.dropFirst() {
            require(each.surprises.isEmpty, "\(each.surprises.count) surprises")
            require(each.hung == 0, "\(each.hung) requests hung")
            require(each.answered + each.failed + each.hung == each.total, "requests without an outcome")
            for (kind, part) in each.answeredParts where part < answeredPart {
                require(false, "of the requests '\(kind)' only \(percent(part)) were answered")
            }
            require(each.answeredParts.count == Soak.kinds.count, "not all kinds of requests were made")
            require(each.rest?.pings ?? 0 > 0, "nobody was connected at the end")
            require(each.rest?.streams == 0, "streams are left in hosts at rest")
            require(each.hosts.ended == each.hosts.made, "hosts do not end")
            require(each.hosts.alive == 0, "hosts are left")
            require(each.handlers.underWay == 0, "tasks of handlers are left")
            require(each.streams.alive + each.inboundStreams.alive == 0, "streams are left")
        }
        let (start, first, second) = (states[0], states[1], states[2])
        require(
            first.descriptors <= start.descriptors && second.descriptors <= start.descriptors,
            "descriptors are left"
        )
        let (heap, resident) = (second.heapKiB - first.heapKiB, second.residentKiB - first.residentKiB)
        print(
            "soak: the second network left \(heap) KiB more on the heap (bound \(heapBoundKiB)) and \(resident) KiB more "
                + "resident (bound \(residentBoundKiB)), after \(figures[2].hosts.made) hosts"
        )
        require(heap <= heapBoundKiB, "the heap grows")
        require(resident <= residentBoundKiB, "resident memory grows")
        if !problems.isEmpty { print("soak: FAIL: \(problems.joined(separator: ", "))") }
        return problems.isEmpty
    }

    private static func percent(_ part: Double) -> String { "\((part * 1000).rounded(.down) / 10) %" }
}
