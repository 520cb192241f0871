//! Moments as people read them: how long ago or ahead, with the exact one in UTC on hover.

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// A month and a year as people round them.
const MONTH: i64 = 30 * DAY;
const YEAR: i64 = 365 * DAY;

/// A moment, seen from another one. In a template it is a `<time>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    /// `at`, seen from `now`; both in milliseconds since 1970. What is beyond the calendar becomes its end.
    pub fn from_millis(at: i64, now: i64) -> Self {
        let moment = |millis: i64| {
            let end = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
            Timestamp::from_millisecond(millis).unwrap_or(end)
        };
        Self { at: moment(at), now: moment(now) }
    }

    /// `2026-11-18 14:30:11 UTC`.
    pub fn exact(&self) -> String {
        format!("{} UTC", self.clock())
    }

    /// `2026-11-18 14:30:11`, for a column that says UTC at its head.
    pub fn clock(&self) -> String {
        self.at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `18 November 2026`, for a sentence.
    pub fn date(&self) -> String {
        self.at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y").to_string()
    }

    /// A day, seen from `now` in milliseconds since 1970: its beginning in UTC.
    pub fn of_day(day: Date, now: i64) -> Self {
        let begins = day.to_zoned(TimeZone::UTC).map_or(0, |day| day.timestamp().as_millisecond());
        Self::from_millis(begins, now)
    }

    /// `today`, `yesterday`, `18 November 2026`: for what is known to the day.
    pub fn day(&self) -> String {
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
        match (day(self.now) - day(self.at)).get_days() {
            0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            _ => self.date(),
        }
    }

    /// `2 minutes ago`, `in 41 days`.
    pub fn relative(&self) -> String {
        let seconds = self.at.as_second() - self.now.as_second();
        // What ends in 90 days less a moment ends in 90 days: a page takes that moment to be read.
        let seconds = if seconds > HOUR { seconds + MINUTE } else { seconds };
        let (amount, unit) = match seconds.abs() {
            0..MINUTE => return if seconds > 0 { "in a moment".into() } else { "just now".into() },
            s @ MINUTE..HOUR => (s / MINUTE, "minute"),
            s @ HOUR..DAY => (s / HOUR, "hour"),
            s @ DAY..WEEK => (s / DAY, "day"),
            // What is ahead is planned with: days stay days for longer.
            s @ WEEK..YEAR if seconds > 0 && s < 100 * DAY => (s / DAY, "day"),
            s @ WEEK..MONTH => (s / WEEK, "week"),
            s @ MONTH..YEAR => (s / MONTH, "month"),
            s => (s / YEAR, "year"),
        };
        let plural = if amount == 1 { "" } else { "s" };
        if seconds > 0 {
            format!("in {amount} {unit}{plural}")
        } else {
            format!("{amount} {unit}{plural} ago")
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (machine, exact) = (self.at.strftime("%Y-%m-%dT%H:%M:%SZ"), self.exact());
        write!(f, "<time datetime=\"{machine}\" title=\"{exact}\">{}</time>", self.relative())
    }
}

/// Made of digits and fixed words.
impl HtmlSafe for When {}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000_000;

    fn seen(seconds: i64) -> String {
        When::from_millis(NOW + seconds * 1000, NOW).relative()
    }

    #[test]
    fn distances_are_what_people_say() {
        let past = [-3, -61, -7199, -90_000, -8 * DAY, -45 * DAY, -800 * DAY].map(seen);
        let expected = [
            "just now",
            "1 minute ago",
            "1 hour ago",
            "1 day ago",
            "1 week ago",
            "1 month ago",
            "2 years ago",
        ];
        assert_eq!(past, expected);
        let ahead = [20, 5 * HOUR, 41 * DAY, 90 * DAY, 200 * DAY].map(seen);
        assert_eq!(ahead, ["in a moment", "in 5 hours", "in 41 days", "in 90 days", "in 6 months"]);
    }

    #[test]
    fn the_exact_moment_is_there_too() {
        let when = When::from_millis(NOW - 120_000, NOW);
        assert_eq!(
            when.to_string(),
            "<time datetime=\"2026-11-18T11:04:40Z\" title=\"2026-11-18 11:04:40 UTC\">2 minutes ago</time>"
        );
        assert_eq!(
            (when.clock().as_str(), when.date().as_str()),
            ("2026-11-18 11:04:40", "18 November 2026")
        );
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_its_end() {
        assert!(When::from_millis(i64::MAX, NOW).exact().starts_with("9999-12-3"));
        assert!(When::from_millis(i64::MIN, NOW).relative().ends_with("years ago"));
    }
}
