import Foundation
import Testing

@testable import Libp2pTLS

@Suite struct CalendarTimeTests {
    @Test func agreesWithFoundationOverTenThousandYears() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix(state: seed)
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = TimeZone(secondsFromGMT: 0) ?? calendar.timeZone
        for _ in 0..<10_000 {
            // From the first year in which the two calendars agree.
            let seconds = Int64.random(in: -12_219_292_800...253_402_300_799, using: &generator)
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second],
                from: Date(timeIntervalSince1970: TimeInterval(seconds))
            )
            let time = CalendarTime(unixSeconds: seconds)
            #expect(time?.year == parts.year && time?.month == parts.month && time?.day == parts.day, "seed \(seed)")
            #expect(
                time?.hours == parts.hour && time?.minutes == parts.minute && time?.seconds == parts.second,
                "seed \(seed)"
            )
            #expect(time?.unixSeconds == seconds, "seed \(seed)")
        }
    }

    @Test func limitsAreTheYearsThatCertificatesCanExpress() {
        #expect(CalendarTime(unixSeconds: -62_167_219_200)?.text == "0000-01-01T00:00:00Z")
        #expect(CalendarTime(unixSeconds: 253_402_300_799)?.text == "9999-12-31T23:59:59Z")
        #expect(CalendarTime(unixSeconds: -62_167_219_201) == nil && CalendarTime(unixSeconds: 253_402_300_800) == nil)
        #expect(CalendarTime(unixSeconds: .min) == nil && CalendarTime(unixSeconds: .max) == nil)
    }

    @Test func certificatesWriteUTCTimeUntil2049() {
        #expect(CalendarTime(unixSeconds: 0)?.certificateText == (true, "700101000000Z"))
        #expect(CalendarTime(unixSeconds: 2_524_607_999)?.certificateText == (true, "491231235959Z"))
        #expect(CalendarTime(unixSeconds: 2_524_608_000)?.certificateText == (false, "20500101000000Z"))
    }
}

private func == (left: (isUTCTime: Bool, text: String)?, right: (Bool, String)) -> Bool {
    left.map { $0.isUTCTime == right.0 && $0.text == right.1 } ?? false
}
