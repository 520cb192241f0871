//! Which passwords are taken. PURE; how they are kept lies with `hashing`.
//!
//! The rules are about what makes a password hard to guess, its length above all, and not about classes of characters
//! (NIST SP 800-63B, 3.1.1.2): those make people write `Password1!`. Refused is what is guessed first: the commonest
//! of those that are long enough, what repeats itself, and what says the person's own name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Fewest characters.
pub const CHARS_MIN: usize = 12;
/// Most characters: a sentence fits in, a flood does not.
pub const CHARS_MAX: usize = 128;
/// Fewest characters that differ from each other.
const DISTINCT_MIN: usize = 5;

/// The commonest passwords that are long enough, without what the rules about repetition refuse already. Compared
/// without case, blanks and marks. A dozen guesses a minute are all that a throttle lets pass, so what matters is the
/// head of such lists and not their tail.
const COMMONEST: &[&str] = &[
    "0123456789ab",
    "0123456789abc",
    "0123456789abcdef",
    "0987654321ab",
    "1029384756qp",
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789abc",
    "12345678910",
    "1234567891011",
    "123456789101112",
    "1234567890qwerty",
    "123456789qwerty",
    "1234567890abc",
    "12345qwertasdf",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u",
    "1q2w3e4r5t6y7u8i",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "abc123456789",
    "abcd12345678",
    "abcdefgh1234",
    "abcdefghijkl",
    "abcdefghijklm",
    "abcdefghijklmnop",
    "abcdefghijklmnopqrstuvwxyz",
    "access123456",
    "admin1234567",
    "admin12345678",
    "admin123456789",
    "administrator",
    "administrator1",
    "administrator123",
    "asdfghjklqwe",
    "asdfghjklqwertyuiop",
    "asdfghjklzxc",
    "asdfghjklzxcvbnm",
    "baseball1234",
    "changeme1234",
    "changemenow1",
    "changemeplease",
    "computer1234",
    "correcthorsebatterystaple",
    "default12345",
    "donttellanyone",
    "dragon123456",
    "football1234",
    "football12345",
    "helloworld12",
    "helloworld123",
    "iloveyou1234",
    "iloveyou12345",
    "iloveyouforever",
    "iloveyousomuch",
    "ilovesequel1",
    "jesuschrist1",
    "letmein12345",
    "letmein123456",
    "letmeinplease",
    "liverpool123",
    "manchester123",
    "manchesterunited",
    "michael12345",
    "mypassword12",
    "mypassword123",
    "mypassword1234",
    "passw0rd1234",
    "passw0rd12345",
    "password1234",
    "password12345",
    "password123456",
    "password1234567",
    "password12345678",
    "password123456789",
    "password2024",
    "password2025",
    "password2026",
    "passwordabcd",
    "passwordpass",
    "pokemon12345",
    "princess1234",
    "q1w2e3r4t5y6",
    "q1w2e3r4t5y6u7",
    "qazwsxedcrfv",
    "qazwsxedcrfvtgb",
    "qwerty123456",
    "qwerty1234567",
    "qwerty12345678",
    "qwerty123456789",
    "qwertyasdfgh",
    "qwertyasdfzxcv",
    "qwertyqwerty1",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiop1234",
    "qwertyuiop12345",
    "qwertyuiopas",
    "qwertyuiopasdf",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm",
    "secret123456",
    "secretpassword",
    "sequel123456",
    "sequelsequel1",
    "starwars1234",
    "sunshine1234",
    "superman1234",
    "test12345678",
    "test123456789",
    "testpassword",
    "testtest1234",
    "thisisapassword",
    "thisismypassword",
    "trustno1trustno1",
    "unbelievable",
    "welcome12345",
    "welcome123456",
    "welcome2024",
    "welcome2025",
    "welcome2026",
    "whatever1234",
    "zaq12wsxcde3",
    "zxcvbnm12345",
    "zxcvbnm123456",
    "zxcvbnmasdfghjkl",
];

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weak {
    /// It has fewer than [`CHARS_MIN`] characters.
    Short,
    /// It has more than [`CHARS_MAX`].
    Long,
    /// It is among those that are guessed first, or repeats a few characters.
    Common,
    /// It is the person's own name or address.
    OwnName,
}

impl fmt::Display for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "a password has at least {CHARS_MIN} characters; a few words do well"),
            Self::Long => write!(f, "a password has at most {CHARS_MAX} characters"),
            Self::Common => {
                f.write_str("this password is among the first that are guessed; choose another one")
            }
            Self::OwnName => f.write_str("a password is not one's own name or address; choose another one"),
        }
    }
}

/// Holds a password against the rules. `email` and `name` are its owner's.
pub fn check(password: &str, email: &str, name: &str) -> Result<(), Weak> {
    // Bytes first: nobody counts the characters of a megabyte.
    if password.len() > CHARS_MAX * 4 || password.chars().count() > CHARS_MAX {
        return Err(Weak::Long);
    }
    if password.chars().count() < CHARS_MIN {
        return Err(Weak::Short);
    }
    let bare = bare(password);
    let local = email.rsplit_once('@').map_or(email, |(local, _)| local);
    if [email, local, name].iter().any(|own| says_only(&bare, &self::bare(own))) {
        return Err(Weak::OwnName);
    }
    let lower: Vec<char> = password.to_lowercase().chars().collect();
    match distinct(&lower) < DISTINCT_MIN || repeats(&lower) || COMMONEST.contains(&bare.as_str()) {
        true => Err(Weak::Common),
        false => Ok(()),
    }
}

/// Letters and digits in lower case.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a text says a name, perhaps several times, with nothing but some digits around.
fn says_only(text: &str, name: &str) -> bool {
    // Less than three letters are in everything.
    let rest = text.replace(name, "");
    name.chars().count() >= 3 && rest.len() < text.len() && rest.chars().all(|c| c.is_ascii_digit())
}

fn distinct(chars: &[char]) -> usize {
    chars.iter().collect::<std::collections::HashSet<_>>().len()
}

/// Whether it is a piece several times over that would be too short by itself.
fn repeats(chars: &[char]) -> bool {
    (1..CHARS_MIN.min(chars.len() / 2 + 1))
        .any(|period| chars.iter().zip(&chars[period..]).all(|(one, other)| one == other))
}

/// A password's hash as it is stored: a PHC string with its own parameters and salt. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub(super) String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ada(password: &str) -> Result<(), Weak> {
        check(password, "ada.lovelace@example.com", "Ada Lovelace")
    }

    #[test]
    fn length_counts_in_characters_and_both_ends_are_taken() {
        let taken =
            |chars: usize| of_ada(&"käse und brot 7".repeat(10).chars().take(chars).collect::<String>());
        assert_eq!(taken(11), Err(Weak::Short));
        assert_eq!(taken(12), Ok(()));
        assert_eq!(taken(128), Ok(()));
        assert_eq!(taken(129), Err(Weak::Long));
        assert_eq!(of_ada(&"x".repeat(1 << 20)), Err(Weak::Long));
    }

    #[test]
    fn no_class_of_characters_is_asked_for() {
        for good in ["staring at the sea", "quietly humming tin", "пароль из слов", "4815162342 lost"]
        {
            assert_eq!(of_ada(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_guessed_first_is_refused_however_it_is_dressed() {
        for bad in [
            "password1234",
            "Password-1234",
            "PASS WORD 12345",
            "qwertyuiop123",
            "Correct-Horse-Battery-Staple",
            "aaaaaaaaaaaa",
            "abababababab",
            "abcabcabcabcab",
            "121212121212",
            "correct!correct!",
        ] {
            assert_eq!(of_ada(bad), Err(Weak::Common), "{bad}");
        }
    }

    #[test]
    fn ones_own_name_is_refused_also_with_digits_or_twice() {
        for bad in [
            "ada.lovelace@example.com",
            "Ada Lovelace",
            "adalovelace1815",
            "AdaLovelace AdaLovelace",
            "99ada.lovelace99",
        ] {
            assert_eq!(of_ada(bad), Err(Weak::OwnName), "{bad}");
        }
        assert_eq!(of_ada("ada wrote notes on an engine"), Ok(()));
    }

    #[test]
    fn the_list_holds_nothing_that_could_never_be_met() {
        for entry in COMMONEST {
            assert_eq!(bare(entry), *entry);
        }
        let sorted = COMMONEST.iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted.len(), COMMONEST.len());
    }
}
