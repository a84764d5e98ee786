import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(1))) struct LateStreamTests {
    private func elements(of stream: AsyncStream<Int>) async -> [Int] {
        await stream.reduce(into: []) { $0.append($1) }
    }

    @Test func oneThatIsFirstAskedForAfterTheEndEnds() async {
        let late = LateStream<Int>(newest: 4)
        late.finish()
        #expect(await elements(of: late.stream) == [])
        guard case .terminated = late.yield(1) else {
            Issue.record("it took an element after its end")
            return
        }
    }

    @Test func elementsWaitForWhoeverAsksLater() async {
        let late = LateStream<Int>(newest: 4)
        for element in 1...3 { late.yield(element) }
        late.finish()
        #expect(await elements(of: late.stream) == [1, 2, 3])
    }

    @Test func theOldestGiveWayToTheNewest() async {
        let late = LateStream<Int>(newest: 2)
        for element in 1...2 { late.yield(element) }
        guard case .dropped(1) = late.yield(3) else {
            Issue.record("the oldest was not dropped")
            return
        }
        late.finish()
        #expect(await elements(of: late.stream) == [2, 3])
    }

    @Test func itIsTheSameStreamEachTime() async {
        let late = LateStream<Int>(newest: 4)
        let (first, second) = (late.stream, late.stream)
        late.yield(1)
        var iterator = first.makeAsyncIterator()
        #expect(await iterator.next() == 1)
        late.yield(2)
        late.finish()
        #expect(await elements(of: second) == [2])
    }
}
