/// A date and time of the Gregorian calendar in UTC, convertible to and from seconds since 1970 without Foundation.
struct CalendarTime: Hashable {
    var year: Int
    /// 1 to 12.
    var month: Int
    /// 1 to 31.
    var day: Int
    var hours: Int
    var minutes: Int
    var seconds: Int

    /// Seconds since 1970-01-01T00:00:00Z.
    var unixSeconds: Int64 {
        // Years are counted from March, so that the leap day is the last of its year.
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return Int64(days) * 86_400 + Int64(hours * 3600 + minutes * 60 + seconds)
    }

    init(year: Int, month: Int, day: Int, hours: Int, minutes: Int, seconds: Int) {
        self.year = year
        self.month = month
        self.day = day
        self.hours = hours
        self.minutes = minutes
        self.seconds = seconds
    }

    /// The calendar's view of a time; `nil` outside the years 0 to 9999, which certificates cannot express.
    init?(unixSeconds: Int64) {
        guard (-62_167_219_200...253_402_300_799).contains(unixSeconds) else { return nil }
        let secondsOfDay = Int(((unixSeconds % 86_400) + 86_400) % 86_400)
        let days = Int((unixSeconds - Int64(secondsOfDay)) / 86_400) + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hours = secondsOfDay / 3600
        minutes = secondsOfDay / 60 % 60
        seconds = secondsOfDay % 60
    }

    /// ISO 8601, for people.
    var text: String {
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let digits = String(year)
        let padded = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return "\(padded)-\(two(month))-\(two(day))T\(two(hours)):\(two(minutes)):\(two(seconds))Z"
    }

    /// The form that certificates carry: UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5280 §4.1.2.5).
    var certificateText: (isUTCTime: Bool, text: String) {
        let digits = text.utf8.filter { (0x30...0x39).contains($0) }
        let full = String(decoding: digits, as: UTF8.self) + "Z"
        let isUTCTime = (1950...2049).contains(year)
        return (isUTCTime, isUTCTime ? String(full.dropFirst(2)) : full)
    }
}
