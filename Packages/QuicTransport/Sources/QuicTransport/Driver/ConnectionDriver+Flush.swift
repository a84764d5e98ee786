import QuicCore

extension ConnectionDriver {
    /// Calls back when nothing that was ended is on its way any more.
    func flush(id: UInt64, _ complete: @escaping @Sendable () -> Void) {
        flushes[id] = complete
        endFlushesThatAreDone()
    }

    /// Calls back at once.
    func endFlush(id: UInt64) {
        flushes.removeValue(forKey: id)?()
    }

    /// Asked at the end of each turn: acknowledgements and the ends of streams come in one.
    func endFlushesThatAreDone() {
        guard !flushes.isEmpty, !streams.values.contains(where: \.isArriving) else { return }
        let done = flushes.values
        flushes = [:]
        for complete in done { complete() }
    }
}
