import Multiaddr
import NetStreamTesting
import Testing

@testable import Host

/// The book of addresses that failed, on its own.
@Suite struct DialBackOffTests {
    private func address(_ number: Int) throws -> Multiaddr { try Multiaddr(parsing: "/memory/\(number)") }

    @Test func theAddressThatFailedLongestAgoGoesFirst() throws {
        let clock = ManualClock()
        var book = DialBackOff()
        for number in 0..<DialBackOff.limit { book.failed(try address(number), at: clock.now()) }
        // One fails again, and one succeeds: there is room for one more.
        book.failed(try address(0), at: clock.now())
        book.succeeded(try address(5))
        book.failed(try address(10_000), at: clock.now())
        #expect(book.count == DialBackOff.limit)
        func isResting(_ number: Int) throws -> Bool {
            book.isResting(try address(number), base: .seconds(5), longest: .seconds(300))
        }
        #expect(try isResting(0) && isResting(1) && !isResting(5) && isResting(10_000))
        for (number, oldest) in [(10_001, 1), (10_002, 2), (10_003, 3), (10_004, 4), (10_005, 6)] {
            #expect(try isResting(oldest))
            book.failed(try address(number), at: clock.now())
            #expect(book.count == DialBackOff.limit)
            #expect(try !isResting(oldest))
        }
        #expect(try isResting(0))
    }

    @Test func manyFailuresOfFewAddressesTakeNoRoom() throws {
        let clock = ManualClock()
        var book = DialBackOff()
        for number in 0..<50_000 { book.failed(try address(number % 3), at: clock.now()) }
        #expect(book.count == 3 && book.words <= 2 * DialBackOff.limit)
        let resting = book.resting(base: .zero, longest: .seconds(300))
        #expect(resting.map(\.address) == (try (0..<3).map(address)))
        #expect(resting.map(\.failures) == [16_667, 16_667, 16_666])
        // None of them is forgotten for another one.
        for number in 3..<DialBackOff.limit { book.failed(try address(number), at: clock.now()) }
        #expect(book.count == DialBackOff.limit)
    }
}
