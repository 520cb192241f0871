//! The nearest known name for a mistyped one.

/// The candidate that `word` most probably meant, if any is close: the distance that counts
/// transposed letters as one, without regard to case, is at most a third of the word's length
/// and never more than six.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names than any database allows are noise, and the distance costs their product.
    const CHARS_MAX: usize = 128;
    if word.chars().count() > CHARS_MAX {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 6);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count() <= CHARS_MAX)
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (word.len() >= 4 && candidate.to_lowercase().starts_with(&word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_the_name_and_nonsense_finds_none() {
        let names = ["airports", "flights", "carriers"];
        assert_eq!(nearest("airprots", names), Some("airports"));
        assert_eq!(nearest("FLIGHT", names), Some("flights"));
        assert_eq!(nearest("carr", names), Some("carriers"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(nearest(&"a".repeat(10_000), names), None);
    }
}
