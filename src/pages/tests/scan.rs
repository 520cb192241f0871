//! Reads the tags of a page, as strictly as our own pages have to be written.

/// Elements that have no end.
const VOID: &[&str] = &["meta", "link", "input", "hr", "br"];

/// A tag.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) name: String,
    /// With their references resolved.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) closes: bool,
    closes_itself: bool,
}

impl Tag {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value.as_str())
    }
}

/// All tags of a page in their order. Panics where one is not written as ours are: values in double quotes.
pub(super) fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with('!') {
            continue;
        }
        let (tag, after) = tag(rest);
        found.push(tag);
        rest = after;
    }
    found
}

fn tag(text: &str) -> (Tag, &str) {
    let closes = text.starts_with('/');
    let text = text.strip_prefix('/').unwrap_or(text);
    let end = text.find([' ', '>', '/', '\n']).expect("a tag has an end");
    let mut tag = Tag { name: text[..end].to_owned(), attributes: Vec::new(), closes, closes_itself: false };
    assert!(!tag.name.is_empty() && tag.name.chars().all(|c| c.is_ascii_alphanumeric()), "<{}", &text[..end]);
    let mut rest = &text[end..];
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            tag.closes_itself = true;
            return (tag, after);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        let end = rest.find([' ', '=', '>', '/', '\n']).expect("an attribute has an end");
        assert!(end > 0, "{}: {}", tag.name, &rest[..rest.len().min(40)]);
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix("=\"") {
            let (inside, after) = quoted.split_once('"').expect("a value is closed");
            value = resolved(inside);
            rest = after;
        }
        tag.attributes.push((name, value));
    }
}

fn resolved(text: &str) -> String {
    text.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

/// Every element that is opened is closed, in its order.
pub(super) fn assert_balanced(tags: &[Tag], name: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in tags {
        if tag.closes {
            assert_eq!(open.pop(), Some(tag.name.as_str()), "{name}: closed in another order");
        } else if !tag.closes_itself && !VOID.contains(&tag.name.as_str()) {
            open.push(&tag.name);
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} stay open");
}

#[test]
fn the_scanner_sees_what_is_wrong() {
    let found = tags("<p class=\"a b\" hidden>x &lt; <br>y</p><use href=\"a&#38;b\"/>");
    assert_eq!(found.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["p", "br", "p", "use"]);
    assert_eq!(
        (found[0].get("class"), found[0].get("hidden"), found[3].get("href")),
        (Some("a b"), Some(""), Some("a&b"))
    );
    assert_balanced(&found, "well");
    assert!(std::panic::catch_unwind(|| assert_balanced(&tags("<p><b></p></b>"), "crossed")).is_err());
    assert!(std::panic::catch_unwind(|| tags("<p a=b'>")).is_err());
}
