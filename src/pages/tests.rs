//! What holds for every page, with every made-up content.

mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use scan::{Tag, tags};

use super::samples::{Rendered, all};

const CSS: &str = include_str!("assets/sequel.css");
const SCRIPT: &str = include_str!("assets/sequel.js");
const SPRITE: &str = include_str!("assets/sprite.svg");

/// Calls `look` with each page, its name and its tags.
fn each(mut look: impl FnMut(&Rendered, &str, &[Tag])) {
    for page in all() {
        let name = format!("{}/{}", page.page, page.sample);
        let tags = tags(&page.html);
        look(&page, &name, &tags);
    }
}

/// What stands in the stylesheet after a dot, or after two dashes, comments left out.
fn names_after(mark: &str, text: &str) -> BTreeSet<String> {
    let uncommented: String =
        text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, rest)| rest)).collect();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    uncommented
        .split(mark)
        .skip(1)
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
        .map(|rest| rest.chars().take_while(|c| is_name(*c)).collect())
        .collect()
}

#[test]
fn every_page_is_whole_and_carries_nothing_inline() {
    each(|page, name, tags| {
        assert!(page.html.starts_with("<!doctype html>"), "{name}");
        scan::assert_balanced(tags, name);
        for tag in tags {
            for (attribute, _) in &tag.attributes {
                assert!(!attribute.starts_with("on") && attribute != "style", "{name}: {tag:?}");
            }
            assert!(
                !matches!(tag.name.as_str(), "style" | "iframe" | "object" | "embed" | "base" | "img"),
                "{name}: {tag:?}"
            );
        }
        let scripts: Vec<_> = tags.iter().filter(|tag| tag.name == "script" && !tag.closes).collect();
        assert!(scripts.len() == 1 && scripts[0].get("src").is_some(), "{name}");
        let count = |wanted: &str| tags.iter().filter(|tag| tag.name == wanted && !tag.closes).count();
        assert_eq!((count("h1"), count("main"), count("title")), (1, 1, 1), "{name}");
    });
}

#[test]
fn hostile_names_stay_text() {
    each(|page, name, _| {
        for markup in ["<script>", "<img", "<i>\u{202e}", "<b>run_query", "\" onmouseover"] {
            assert!(!page.html.contains(markup), "{name}: {markup}");
        }
        // Outside of what was typed into a field nothing steers the text around it.
        let typed: String = page
            .html
            .split("value=\"")
            .map(|part| part.split_once('"').map_or(part, |(_, rest)| rest))
            .collect();
        let unmatched = name == "keys/unmatched";
        assert!(unmatched || !typed.contains(['\u{202e}', '\u{2066}', '\u{2069}']), "{name}");
    });
}

#[test]
fn what_refers_to_a_part_of_a_page_finds_it_once() {
    each(|_, name, tags| {
        let mut ids = BTreeMap::new();
        for id in tags.iter().filter_map(|tag| tag.get("id")) {
            *ids.entry(id).or_insert(0) += 1;
        }
        assert!(ids.values().all(|count| *count == 1), "{name}: {ids:?}");
        for tag in tags {
            let refers =
                ["for", "aria-describedby", "aria-labelledby", "data-copy", "data-filter", "popovertarget"];
            let mut targets: Vec<&str> = refers
                .iter()
                .filter_map(|attribute| tag.get(attribute))
                .flat_map(str::split_whitespace)
                .collect();
            targets
                .extend(tag.get("href").and_then(|href| href.strip_prefix('#')).filter(|id| !id.is_empty()));
            for target in targets {
                assert!(ids.contains_key(target), "{name}: nothing has the id {target}");
            }
        }
    });
}

#[test]
fn every_form_that_changes_something_is_a_post_with_its_mark_against_forgery() {
    each(|_, name, tags| {
        let mut open: Option<(bool, bool)> = None;
        for tag in tags {
            match (tag.name.as_str(), tag.closes) {
                ("form", false) => open = Some((tag.get("method") == Some("post"), false)),
                ("form", true) => {
                    let (post, marked) = open.take().unwrap();
                    assert_eq!(post, marked, "{name}: a POST carries the mark, a search does not");
                }
                ("input", _) if tag.get("name") == Some("csrf") => {
                    assert_eq!(tag.get("type"), Some("hidden"), "{name}");
                    assert!(tag.get("value").is_some_and(|value| value.len() >= 32), "{name}");
                    open = open.map(|(post, _)| (post, true));
                }
                ("input", _) if tag.get("type") == Some("password") => {
                    assert!(tag.get("value").is_none() && tag.get("autocomplete").is_some(), "{name}");
                    assert_eq!(open.map(|(post, _)| post), Some(true), "{name}: a secret in an address");
                }
                _ => {}
            }
        }
    });
}

#[test]
fn the_stylesheet_has_what_pages_use_and_nothing_else() {
    let mut used = BTreeSet::new();
    each(|_, _, tags| {
        for class in tags.iter().filter_map(|tag| tag.get("class")) {
            used.extend(class.split_whitespace().map(str::to_owned));
        }
    });
    let styled = names_after(".", CSS);
    assert_eq!(used.difference(&styled).collect::<Vec<_>>(), Vec::<&String>::new(), "used, not styled");
    assert_eq!(styled.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "styled, not used");
    let tokens: BTreeSet<_> = names_after("--", CSS);
    let taken: BTreeSet<_> =
        names_after("var(--", CSS).into_iter().chain(names_after("var(--", SPRITE)).collect();
    let set: BTreeSet<_> =
        tokens.iter().filter(|name| CSS.contains(&format!("--{name}:"))).cloned().collect();
    assert_eq!(taken, set, "a token is set exactly if it is taken");
}

#[test]
fn the_sprite_has_the_icons_that_pages_use_and_nothing_else() {
    let mut used = BTreeSet::new();
    each(|_, _, tags| {
        let icons = tags.iter().filter(|tag| tag.name == "use").filter_map(|tag| tag.get("href"));
        used.extend(icons.filter_map(|href| href.split_once('#')).map(|(_, icon)| icon.to_owned()));
    });
    let drawn: BTreeSet<_> =
        SPRITE.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect();
    assert_eq!(used, drawn);
}

#[test]
fn colours_are_tokens() {
    let (_, rules) = CSS.split_once("\n\n/* base */").unwrap();
    for literal in ["#", "rgb(", "rgba(", "hsl(", "oklch(", "light-dark("] {
        let found = rules.find(literal).map(|at| &rules[at..(at + 40).min(rules.len())]);
        assert_eq!(found, None);
    }
}

#[test]
fn the_script_makes_no_markup() {
    for word in [
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        "setAttribute('on",
    ] {
        assert!(!SCRIPT.contains(word), "{word}");
    }
}

#[test]
fn budgets() {
    assert!(CSS.len() < 20_000, "{} bytes of CSS", CSS.len());
    assert!(SCRIPT.len() < 5_000, "{} bytes of script", SCRIPT.len());
    each(|page, name, _| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(page.html.as_bytes()).unwrap();
        let bytes = gzip.finish().unwrap().len();
        assert!(bytes < 50 * 1024, "{name}: {bytes} bytes compressed");
    });
}

/// For whoever wires them: each address that a page links to or sends a form to, ids and values left out.
#[test]
fn every_address_that_the_pages_name() {
    let mut addresses = BTreeSet::new();
    each(|_, _, tags| {
        for tag in tags {
            let method = if tag.get("method") == Some("post") { "POST" } else { "GET" };
            let named =
                ["href", "action", "data-live", "src"].iter().filter_map(|attribute| tag.get(attribute));
            for address in named.filter(|address| address.starts_with('/')) {
                addresses.insert(format!("{} {method}", shape(address)));
            }
        }
    });
    insta::assert_snapshot!(addresses.into_iter().collect::<Vec<_>>().join("\n"));
}

/// `/orgs/4nQx0cRrT1aZ/keys?q=x` is `/orgs/{}/keys?q`; what pages hold together with `&#38;` is taken apart.
fn shape(address: &str) -> String {
    let address = address.split('#').next().unwrap_or_default();
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let is_id = |segment: &str| segment.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase());
    let path: Vec<_> = path
        .split('/')
        .enumerate()
        .map(|(at, segment)| match segment {
            _ if path.starts_with("/assets/") => {
                if at == 2 {
                    "{file}"
                } else {
                    segment
                }
            }
            _ if path.starts_with("/docs/") => {
                if at == 2 {
                    "{document}"
                } else {
                    segment
                }
            }
            _ if path.contains("/install/") && at == 4 => "{tool}",
            segment if is_id(segment) => "{id}",
            segment => segment,
        })
        .collect();
    let names: Vec<_> =
        query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty()).collect();
    let mark = if names.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", path.join("/"), names.join("&"))
}

#[test]
fn a_fresh_key_is_in_no_debug_output() {
    let shown = super::Shown {
        name: "n".into(),
        prefix: "sql_b3TzR9uW2e".to_owned(),
        rest: "SECRET".to_owned(),
        former_until: None,
    };
    let snippets = crate::install::snippets("https://sequel.example.com/mcp", "SECRET");
    let fresh = super::InstallState::Fresh {
        id: "i".into(),
        name: "sequel_mcp".into(),
        prefix: "p".into(),
        snippets,
        link: None,
    };
    let shown = format!("{:?} {fresh:?}", super::KeyDialog::Shown(shown));
    assert!(!shown.contains("SECRET") && shown.contains("sql_b3TzR9uW2e"), "{shown}");
}

#[test]
fn the_page_of_keys_as_it_is_sent() {
    let page = all().into_iter().find(|page| (page.page, page.sample) == ("keys", "delete")).unwrap();
    insta::assert_snapshot!(page.html);
}
