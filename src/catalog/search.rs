//! Ranking tables for words.
//!
//! All names and comments stand in one long text in lower case, so that a word is looked for in one sweep of
//! memory, some gigabytes a second, however many tables there are. What a hit is worth depends on where it is: in a
//! table's name more than in a column's, in a name more than in a comment, a whole name more than a part of it. A
//! table that has more of the words always comes before one that has fewer.
//!
//! Whoever makes tables may make them so that a word stands in them a million times. What that costs is bounded by
//! [`ENTRY_CHARS_MAX`], [`LOOKS_MAX`] and one walk along the entries for each word.

use memchr::memmem;
use sequel_connector::Table;

/// Most words that are looked for; the rest is passed over.
const WORDS_MAX: usize = 8;
/// Most characters of the words together.
const WORDS_CHARS_MAX: usize = 400;
/// Most characters of a name or comment that are looked through: as many as are told of a comment, and more than
/// anybody writes into a name.
const ENTRY_CHARS_MAX: usize = 300;
/// Most hits of a word that are looked at in one name or comment.
const LOOKS_MAX: u32 = 32;
/// What having one more of the words is worth: more than all hits of one table together.
const WORD_WORTH: u32 = 100_000;

/// Tables for words, best first.
#[derive(Debug)]
pub struct Matches<'a> {
    /// As many as were asked for.
    pub tables: Vec<Found<'a>>,
    /// How many there are in all.
    pub total: usize,
}

/// One of them.
#[derive(Debug)]
pub struct Found<'a> {
    /// The table.
    pub table: &'a Table,
    /// Positions of the columns that have one of the words in their name or comment.
    pub columns: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Table,
    TableComment,
    Column,
    ColumnComment,
}

#[derive(Debug)]
struct Entry {
    start: u32,
    table: u32,
    place: Place,
}

/// All names and comments of a schema.
#[derive(Debug)]
pub(super) struct Index {
    // Entries in lower case, each ended by a line feed, which stands in none of them.
    text: String,
    entries: Vec<Entry>,
}

impl Index {
    pub(super) fn new(tables: &[Table]) -> Self {
        let mut index = Self { text: String::new(), entries: Vec::new() };
        for (at, table) in (0u32..).zip(tables) {
            index.push(at, Place::Table, Some(&table.name));
            index.push(at, Place::TableComment, table.comment.as_deref());
            for column in &table.columns {
                index.push(at, Place::Column, Some(&column.name));
                index.push(at, Place::ColumnComment, column.comment.as_deref());
            }
        }
        index.text.shrink_to_fit();
        index.entries.shrink_to_fit();
        index
    }

    fn push(&mut self, table: u32, place: Place, text: Option<&str>) {
        let Some(text) = text else { return };
        // A schema is read up to some megabytes, far below what fits.
        let Ok(start) = u32::try_from(self.text.len()) else { return };
        self.entries.push(Entry { start, table, place });
        folded_into(&mut self.text, text, ENTRY_CHARS_MAX);
        self.text.push('\n');
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    pub(super) fn search<'a>(&self, tables: &'a [Table], query: &str, limit: usize) -> Matches<'a> {
        let words = words(query);
        if words.is_empty() {
            let found = tables.iter().take(limit).map(|table| Found { table, columns: Vec::new() });
            return Matches { tables: found.collect(), total: tables.len() };
        }
        let mut worth = vec![0u32; tables.len()];
        let mut best = vec![0u32; tables.len()];
        for word in &words {
            best.fill(0);
            self.weigh(word, &mut best);
            for (worth, best) in worth.iter_mut().zip(&best).filter(|(_, best)| **best > 0) {
                *worth += best + WORD_WORTH;
            }
        }
        let name = bare(query);
        let mut ranked: Vec<(u32, u32)> =
            (0u32..).zip(worth).filter(|(_, worth)| *worth > 0).map(|(at, worth)| (worth, at)).collect();
        let total = ranked.len();
        for (worth, at) in ranked.iter_mut().filter(|(worth, _)| words.len() > 1 && *worth > 2 * WORD_WORTH) {
            // The words in a row are the whole name: `order items` for order_items.
            if bare(&tables[*at as usize].name) == name {
                *worth += 200;
            }
        }
        // Equal ones by name, which is their order.
        let better = |a: &(u32, u32), b: &(u32, u32)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
        if limit < ranked.len() {
            ranked.select_nth_unstable_by(limit, better);
            ranked.truncate(limit);
        }
        ranked.sort_unstable_by(better);
        let found = ranked.into_iter().map(|(_, at)| found(&tables[at as usize], &words)).collect();
        Matches { tables: found, total }
    }

    /// Raises each table to the worth of its best hit of a word.
    fn weigh(&self, word: &Word, best: &mut [u32]) {
        let text = self.text.as_bytes();
        let finder = memmem::Finder::new(&word.stem);
        let (mut number, mut from) = (0, 0);
        while let Some(hit) = text.get(from..).and_then(|rest| finder.find(rest)) {
            let at = from + hit;
            // Hits are in order, as entries are: the walk is one over all of them, however many hits there are.
            while self.start(number + 1) <= at {
                number += 1;
            }
            let (start, next) = (self.start(number), self.start(number + 1));
            let Entry { table, place, .. } = self.entries[number];
            if let Some(fit) = word.best_fit(&finder, &self.text[start..next - 1], at - start) {
                let best = &mut best[table as usize];
                *best = (*best).max(fit.worth(place));
            }
            from = next;
        }
    }

    /// Where an entry begins, or the text ends.
    fn start(&self, number: usize) -> usize {
        self.entries.get(number).map_or(self.text.len(), |entry| entry.start as usize)
    }
}

fn found<'a>(table: &'a Table, words: &[Word]) -> Found<'a> {
    let finders: Vec<_> = words.iter().map(|word| (word, memmem::Finder::new(&word.stem))).collect();
    let mut folded = String::new();
    let mut has = |text: &str| {
        folded.clear();
        folded_into(&mut folded, text, ENTRY_CHARS_MAX);
        finders.iter().any(|(word, finder)| {
            let hit = finder.find(folded.as_bytes());
            hit.is_some_and(|at| word.best_fit(finder, &folded, at).is_some())
        })
    };
    let columns = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| has(&column.name) || column.comment.as_deref().is_some_and(&mut has));
    Found { table, columns: columns.map(|(at, _)| at).collect() }
}

/// How well a hit fits.
#[derive(Debug, Clone, Copy)]
enum Fit {
    /// It is the whole entry, but for a plural.
    Whole,
    /// The entry begins with it.
    Start,
    /// A word of the entry begins with it.
    Word,
    /// It stands somewhere.
    Part,
}

impl Fit {
    fn worth(self, place: Place) -> u32 {
        match (place, self) {
            (Place::Table, Fit::Whole) => 100,
            (Place::Table, Fit::Start) => 60,
            (Place::Table, Fit::Word) => 50,
            (Place::Table, Fit::Part) => 30,
            (Place::Column, Fit::Whole) => 40,
            (Place::Column, Fit::Start) => 25,
            (Place::Column, Fit::Word) => 22,
            (Place::Column, Fit::Part) => 10,
            (Place::TableComment, Fit::Part) => 8,
            (Place::TableComment, _) => 20,
            (Place::ColumnComment, Fit::Part) => 4,
            (Place::ColumnComment, _) => 12,
        }
    }
}

/// A word to look for.
#[derive(Debug)]
struct Word {
    whole: String,
    // Without the ending of a plural: `orders` also finds order_date.
    stem: String,
    // The stem lost a `y` or `ies`, one of which must follow: `country` finds countries, and `city` not citation.
    of_y: bool,
}

impl Word {
    fn new(whole: &str) -> Self {
        let cut = |bytes: usize| &whole[..whole.len() - bytes];
        let (stem, of_y) = match whole {
            short if short.chars().count() < 4 => (short, false),
            word if word.ends_with("ies") => (cut(3), true),
            word if word.ends_with('y') => (cut(1), true),
            word if ["sses", "xes", "ches", "shes"].iter().any(|end| word.ends_with(end)) => (cut(2), false),
            word if word.ends_with('s') && !word.ends_with("ss") => (cut(1), false),
            word => (word, false),
        };
        Self { stem: stem.to_owned(), whole: whole.to_owned(), of_y }
    }

    /// The best fit of the stem in an entry that has its first hit at this place.
    fn best_fit(&self, finder: &memmem::Finder<'_>, entry: &str, first: usize) -> Option<Fit> {
        let mut best = None;
        let mut at = first;
        for _ in 0..LOOKS_MAX {
            #[cfg(test)]
            LOOKS.set(LOOKS.get() + 1);
            match self.fit(entry, at) {
                // Nothing that follows fits better.
                Some(fit @ (Fit::Whole | Fit::Start | Fit::Word)) => return Some(fit),
                fit => best = best.or(fit),
            }
            let from = at + self.stem.len().max(1);
            match entry.as_bytes().get(from..).and_then(|rest| finder.find(rest)) {
                Some(hit) => at = from + hit,
                None => break,
            }
        }
        best
    }

    /// How the stem fits that stands at this place of an entry; `None` where it only looks so.
    fn fit(&self, entry: &str, at: usize) -> Option<Fit> {
        let (before, rest) = entry.split_at(at);
        let after = &rest[self.stem.len()..];
        if self.of_y && !after.starts_with('y') && !after.starts_with("ie") {
            return None;
        }
        let is_boundary = |char: Option<char>| char.is_none_or(|char| !char.is_alphanumeric());
        let begins = is_boundary(before.chars().next_back());
        // `id` is no part of holiday, nor `to` of total.
        if self.whole.len() < 3 && !(begins && is_boundary(after.chars().next())) {
            return None;
        }
        let is_ending = entry == self.whole || matches!(after, "" | "s" | "es" | "y" | "ies");
        Some(match before {
            "" if is_ending => Fit::Whole,
            "" => Fit::Start,
            _ if begins => Fit::Word,
            _ => Fit::Part,
        })
    }
}

/// What people write around the words that matter.
const FILLERS: &[&str] = &[
    "a", "all", "an", "and", "are", "by", "each", "for", "from", "how", "in", "is", "many", "of", "on", "or",
    "per", "please", "table", "tables", "that", "the", "to", "what", "where", "which", "who", "with",
];

/// The different words of a query, in lower case, without those that are in every text.
fn words(query: &str) -> Vec<Word> {
    let query: String = query.chars().take(WORDS_CHARS_MAX).collect();
    let mut apart = String::new();
    let mut before = ' ';
    for char in query.chars() {
        // OrderItems are two words, too.
        if before.is_lowercase() && char.is_uppercase() {
            apart.push(' ');
        }
        apart.push(char);
        before = char;
    }
    let folded = [apart, query].map(|text| {
        let mut folded = String::new();
        folded_into(&mut folded, &text, usize::MAX);
        folded
    });
    fn parts(text: &str) -> impl Iterator<Item = &str> {
        text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty())
    }
    let [_, as_written] = &folded;
    let all = || folded.iter().flat_map(|text| parts(text));
    // Who asks for nothing else means just these, whatever they fall apart into.
    let only_fillers = parts(as_written).all(|word| FILLERS.contains(&word));
    let mut words: Vec<Word> = Vec::new();
    for word in all().filter(|word| only_fillers || !FILLERS.contains(word)) {
        if words.len() < WORDS_MAX && words.iter().all(|known| known.whole != word) {
            words.push(Word::new(word));
        }
    }
    words
}

/// The first characters in lower case, on one line.
fn folded_into(out: &mut String, text: &str, chars_max: usize) {
    for char in text.chars().take(chars_max) {
        match char {
            '\n' | '\r' => out.push(' '),
            char if char.is_ascii() => out.push(char.to_ascii_lowercase()),
            char => out.extend(char.to_lowercase()),
        }
    }
}

/// Letters and digits alone, in lower case.
fn bare(name: &str) -> String {
    name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
thread_local! {
    static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How often a word is held against a name meanwhile.
#[cfg(test)]
pub(super) fn looks_of(work: impl FnOnce()) -> usize {
    LOOKS.set(0);
    work();
    LOOKS.get()
}
