import Testing

@testable import QuicTransport

@Suite struct InboundStreamCreditTests {
    @Test func oneMoreForEachThatIsAcceptedUpToTheLimit() {
        var credit = InboundStreamCredit(initial: 2, limit: 4)
        #expect(credit.streamAccepted() == 1)
        #expect(credit.streamAccepted() == 1)
        // Four may be open now.
        #expect(credit.streamAccepted() == 0)
        #expect(credit.streamFinished() == 1)
        #expect(credit.streamFinished() == 0)
        #expect(credit.streamAccepted() == 1)
    }

    @Test func aPeerWhoseStreamsNobodyAcceptsStaysAtTheInitialCredit() {
        var credit = InboundStreamCredit(initial: 2, limit: 4)
        for _ in 0..<2 { #expect(credit.streamFinished() == 0) }
    }

    @Test func aPeerThatStartsWithoutCreditGetsNone() {
        var credit = InboundStreamCredit(initial: 0, limit: 4)
        #expect(credit.streamFinished() == 0)
    }

    @Test func neverMoreOpenThanTheLimitAndNeverStuck() {
        for (initial, limit) in [(1, 1), (1, 10), (10, 10), (100, 1000)] {
            var credit = InboundStreamCredit(initial: initial, limit: limit)
            var granted = initial
            var (opened, accepted, finished) = (0, 0, 0)
            for _ in 0..<5000 {
                // The peer opens what it may, everything is accepted, and the oldest ends.
                opened = granted
                granted += credit.streamsOpened(upTo: opened)
                while accepted < opened {
                    accepted += 1
                    granted += credit.streamAccepted()
                }
                #expect(granted - finished <= limit)
                finished += 1
                granted += credit.streamFinished()
                #expect(granted > opened)
            }
        }
    }

    @Test func aPeerThatHasCreditGetsMoreInSteps() {
        var credit = InboundStreamCredit(initial: 100, limit: 1000)
        var grants: [Int] = []
        for number in 1...60 {
            grants.append(credit.streamsOpened(upTo: number))
            grants.append(credit.streamAccepted())
        }
        #expect(grants.filter { $0 > 0 } == [25, 25])
    }

    @Test func aPeerThatIsShortOfCreditGetsItAtOnce() {
        var credit = InboundStreamCredit(initial: 100, limit: 1000)
        #expect(credit.streamsOpened(upTo: 51) == 0)
        #expect(credit.streamAccepted() == 1)
        // Fifty left is not short.
        #expect(credit.streamAccepted() == 0)
        #expect(credit.streamsOpened(upTo: 52) == 1)
        // A number that was counted before changes nothing.
        #expect(credit.streamsOpened(upTo: 1) == 0)
    }
}
