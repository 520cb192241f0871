//! Every part in every state, on one page; for tests and for the eyes of who changes the stylesheet.

use askama::Template;

use super::form::{Control, Field, Input, Pick, Problems};
use super::{Room, Shell, filters};

/// The page of parts.
#[derive(Debug, Clone, Template)]
#[template(path = "parts.html")]
pub(super) struct Parts {
    pub(super) shell: Shell,
}

impl Parts {
    const ICONS: &[&str] = &[
        "key", "db", "chart", "people", "log", "sliders", "book", "copy", "check", "warn", "info", "stop",
        "x", "plus", "more", "down", "search", "next", "get", "clock", "menu", "turn", "out", "term", "plug",
    ];

    fn fields() -> Vec<Field> {
        vec![
            Field::text("name", "Name", &Input::of("cursor-laptop")).help("1 to 100 characters."),
            Field::new(
                "port",
                "Port",
                Control::Number,
                &Input::wrong("54a2", "A port is a number from 1 to 65535."),
            )
            .mono(),
            Field::secret("password", "Password", "off", None)
                .help("Sealed on save. It can be replaced, never shown."),
            Field::choice(
                "tls",
                "TLS",
                vec![Pick::new("on", "Required"), Pick::new("off", "Off")],
                &Input::of("off"),
            ),
            Field::new("samples", "Show samples of values", Control::Tick, &Input::of("true")),
            Field::text("note", "Note", &Input::default()).optional(),
        ]
    }
}
