//! The product's own documentation: Markdown beside this file, rendered once, shown within the shell.
//!
//! A fenced block is `LANGUAGE` and, after it, what tests do with it: `run` runs it, everything else is shown only
//! (`tests/it/documentation.rs`). Links between documents are written as files, so that they work in the repository
//! too.

use std::sync::LazyLock;

use askama::Template;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::{Room, Shell, filters};

/// One document.
#[derive(Debug)]
pub struct Doc {
    /// Its word in addresses: `/docs/api-keys`.
    pub slug: &'static str,
    /// Its title, from the first heading.
    pub title: String,
    /// Its sections: id and heading.
    pub sections: Vec<(String, String)>,
    /// Its text, without the title.
    html: String,
}

static DOCS: LazyLock<[Doc; 10]> = LazyLock::new(|| {
    [
        doc("getting-started", include_str!("docs/getting-started.md")),
        doc("install", include_str!("docs/install.md")),
        doc("api-keys", include_str!("docs/api-keys.md")),
        doc("postgresql", include_str!("docs/postgresql.md")),
        doc("roles", include_str!("docs/roles.md")),
        doc("authorized-apps", include_str!("docs/authorized-apps.md")),
        doc("audit-log", include_str!("docs/audit-log.md")),
        doc("security", include_str!("docs/security.md")),
        doc("self-hosting", include_str!("docs/self-hosting.md")),
        doc("which-backend", include_str!("docs/which-backend.md")),
    ]
});

/// All documents, in the order in which they are read.
pub fn all() -> &'static [Doc] {
    DOCS.as_slice()
}

/// The one with this word.
pub fn find(slug: &str) -> Option<&'static Doc> {
    DOCS.iter().find(|doc| doc.slug == slug)
}

/// The page of a document.
#[derive(Debug, Clone, Template)]
#[template(path = "doc.html")]
pub struct DocPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The document.
    pub doc: &'static Doc,
}

/// What is gathered while a document is gone through.
#[derive(Default)]
struct Rendering {
    title: String,
    sections: Vec<(String, String)>,
    blocks: usize,
}

fn doc(slug: &'static str, markdown: &'static str) -> Doc {
    let mut rendering = Rendering::default();
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut out = Vec::with_capacity(events.len());
    let mut rest = events.into_iter();
    while let Some(event) = rest.next() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let inner: Vec<_> = rest
                    .by_ref()
                    .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))))
                    .collect();
                out.extend(rendering.heading(level, inner));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let inner = rest.by_ref().take_while(|event| !matches!(event, Event::End(TagEnd::CodeBlock)));
                let text: String = inner.filter_map(text_of).collect();
                out.push(rendering.block(&kind, text.trim_end()));
            }
            Event::Start(Tag::Table(alignments)) => {
                out.push(Event::Html(
                    "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">".into(),
                ));
                out.push(Event::Start(Tag::Table(alignments)));
            }
            Event::End(TagEnd::Table) => {
                out.push(event);
                out.push(Event::Html("</div>".into()));
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                out.push(Event::Start(Tag::Link { link_type, dest_url: address(dest_url), title, id }));
            }
            // Nothing of a document is markup of its own.
            Event::Html(text) | Event::InlineHtml(text) => out.push(Event::Text(text)),
            event => out.push(event),
        }
    }
    let mut text = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut text, out.into_iter());
    Doc { slug, title: rendering.title, sections: rendering.sections, html: text }
}

fn text_of(event: Event<'_>) -> Option<String> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text.into_string()),
        _ => None,
    }
}

/// `api-keys.md#create` is `/docs/api-keys#create`.
fn address(link: CowStr<'_>) -> CowStr<'_> {
    match link.split_once(".md") {
        Some((slug, rest)) if !slug.contains('/') => format!("/docs/{slug}{rest}").into(),
        _ => link,
    }
}

impl Rendering {
    /// The first of the first level is the title; one of the second gets an id and is a section.
    fn heading<'a>(&mut self, level: HeadingLevel, inner: Vec<Event<'a>>) -> Vec<Event<'a>> {
        let text: String = inner.iter().cloned().filter_map(text_of).collect();
        if level == HeadingLevel::H1 {
            self.title = text;
            return Vec::new();
        }
        let id = (level == HeadingLevel::H2).then(|| anchor(&text));
        if let Some(id) = &id {
            self.sections.push((id.clone(), text));
        }
        let mut out = vec![Event::Start(Tag::Heading {
            level,
            id: id.map(Into::into),
            classes: Vec::new(),
            attrs: Vec::new(),
        })];
        out.extend(inner);
        out.push(Event::End(TagEnd::Heading(level)));
        out
    }

    fn block(&mut self, kind: &CodeBlockKind<'_>, text: &str) -> Event<'static> {
        self.blocks += 1;
        let info = match kind {
            CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or_default(),
            CodeBlockKind::Indented => "",
        };
        let caption = match info {
            "sh" => "Terminal",
            "toml" => "sequel.toml",
            "json" => "JSON",
            "http" => "HTTP",
            _ => "Text",
        };
        let block = Block { id: self.blocks, caption, text, terminal: info == "sh" };
        Event::Html(block.render().expect("a block of text renders").into())
    }
}

/// A block to be copied.
#[derive(Template)]
#[template(path = "block.html")]
struct Block<'a> {
    id: usize,
    caption: &'static str,
    text: &'a str,
    terminal: bool,
}

/// `Keep keys private` is `keep-keys-private`, as forges that render Markdown have it.
fn anchor(heading: &str) -> String {
    let letters = heading.to_lowercase();
    let letters = letters.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    letters.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All `href`s of a document.
    fn links(doc: &Doc) -> impl Iterator<Item = &str> {
        doc.html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[test]
    fn every_link_of_the_documentation_leads_somewhere() {
        for doc in all() {
            for link in links(doc).filter(|link| !link.starts_with("https://") && !link.contains("sprite")) {
                let (path, section) = link.split_once('#').unwrap_or((link, ""));
                let target =
                    if path.is_empty() { doc } else { find(path.trim_start_matches("/docs/")).expect(link) };
                let there = section.is_empty() || target.sections.iter().any(|(id, _)| id == section);
                assert!(there, "{}: {link}", doc.slug);
            }
        }
    }

    #[test]
    fn every_document_has_a_title_and_sections_with_ids_of_their_own() {
        for doc in all() {
            assert!(!doc.title.is_empty() && !doc.sections.is_empty(), "{}", doc.slug);
            let mut ids: Vec<_> = doc.sections.iter().map(|(id, _)| id).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), doc.sections.len(), "{}", doc.slug);
        }
    }

    #[test]
    fn markup_in_a_document_stays_text() {
        let doc = super::doc(
            "x",
            "# T\n\n## A `b`!\n\n<script>x</script>\n\n```sh run\na <b>\n```\n\n[l](api-keys.md#x)",
        );
        assert!(!doc.html.contains("<script>") && doc.html.contains("a &#60;b&#62;"), "{}", doc.html);
        assert!(doc.html.contains("href=\"/docs/api-keys#x\""), "{}", doc.html);
        assert_eq!(
            (doc.title.as_str(), doc.sections.as_slice()),
            ("T", &[("a-b".into(), "A b!".into())][..])
        );
    }
}
