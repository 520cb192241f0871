//! Times and durations as people write them on a command line.

use std::time::Duration;

use crate::context::Timestamp;

/// A point in time, named itself or by its distance from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    In(Duration),
    At(Timestamp),
}

impl When {
    pub(super) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            When::In(duration) => now.plus(duration),
            When::At(time) => time,
        }
    }
}

/// A point in time that has been: named itself or by how long it was ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past(When);

impl Past {
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self.0 {
            When::In(ago) => now.minus(ago),
            When::At(time) => time,
        }
    }
}

/// Reads `7d`, `12h` (so long ago), a date or an RFC 3339 time.
pub(super) fn parse_past(text: &str) -> Result<Past, String> {
    parse_when(text).map(Past)
}

/// Reads `90d`, `12h`, `2027-01-31` (the first moment of that day in UTC) or an RFC 3339 time.
pub(super) fn parse_when(text: &str) -> Result<When, String> {
    if let Ok(duration) = parse_duration(text) {
        return Ok(When::In(duration));
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        // The date's own parser would quietly drop a time of day that has no zone.
        if text.len() == "2027-01-31".len() {
            let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
            return Ok(When::At(Timestamp(zoned.timestamp().as_millisecond())));
        }
    }
    Timestamp::parse(text).map(When::At).map_err(|_| {
        "write a duration (90d, 12h), a date (2027-01-31) or a time (2027-01-31T12:00:00Z)".to_owned()
    })
}

/// Reads a whole number and a unit: `45s`, `30m`, `24h`, `90d`, `2w`; `0` needs none.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = || "write a number and a unit: 45s, 30m, 24h, 90d or 2w".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refused())?;
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        "" if number == 0 => 1,
        _ => return Err(refused()),
    };
    let seconds = number.checked_mul(unit_seconds).filter(|seconds| *seconds <= SECONDS_MAX);
    seconds.map(Duration::from_secs).ok_or_else(|| "choose at most 100 years (36500d)".to_owned())
}

/// A hundred years: beyond that a number is a slip of the hand.
const SECONDS_MAX: u64 = 36_500 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("45s", 45),
            ("30m", 1_800),
            ("24h", 86_400),
            ("90d", 7_776_000),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "d", "90", "-1d", "+1d", "1.5h", "1 d", "1y", "1D", "36501d", "99999999999999999999d", "1dd"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_a_duration_a_date_or_rfc_3339() {
        let now = Timestamp(1_000);
        assert_eq!(parse_when("1h").unwrap().after(now), Timestamp(3_601_000));
        let day = Timestamp::parse("2027-01-31T00:00:00Z").unwrap();
        assert_eq!(parse_when("2027-01-31"), Ok(When::At(day)));
        assert_eq!(parse_when("2027-01-31T01:00:00+01:00"), Ok(When::At(day)));
        assert_eq!(parse_past("1s").unwrap().before(now), Timestamp(0));
        assert_eq!(parse_past("2027-01-31").unwrap().before(now), day);
        for bad in ["", "tomorrow", "2027-13-01", "2027-01-31T00:00:00", "2027-1-31", "31.1.2027"] {
            assert!(parse_when(bad).is_err(), "{bad}");
        }
    }
}
