//! The lines that connect an MCP client to this server, ready to be pasted. Each follows the
//! client's own documentation for a remote server with a bearer header; nothing here runs anything.

use serde::Serialize;
use serde_json::Value;

/// The name that the server gets in every client.
const NAME: &str = "sequel";
/// The variable that Codex reads the key from: it refuses a key in its file.
const CODEX_VARIABLE: &str = "SEQUEL_API_KEY";

/// What to paste, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// The client, as it calls itself.
    pub client: &'static str,
    /// `terminal`, or the file that the text goes into.
    pub place: &'static str,
    /// Exactly what to paste.
    pub text: String,
}

/// The snippets for every client. `mcp_url` and `key` are put in as they are, quoted where a shell or
/// a file needs it.
pub fn snippets(mcp_url: &str, key: &str) -> Vec<Snippet> {
    let header = format!("Authorization: Bearer {key}");
    let (header, url) = (shell_quote(&header), shell_quote(mcp_url));
    let terminal = |client, text| Snippet { client, place: "terminal", text };
    let file = |client, place, root, url_name, extra| {
        let text = json_file(root, extra, url_name, mcp_url, key);
        Snippet { client, place, text }
    };
    let toml_url = toml::Value::String(mcp_url.to_owned());
    vec![
        // The header stands last: it takes any number of values, also a name and URL that follow. Without the
        // scope the server would be there only in the folder in which the line was pasted.
        terminal(
            "Claude Code",
            format!("claude mcp add --scope user --transport http {NAME} {url} --header {header}"),
        ),
        file("Cursor", "~/.cursor/mcp.json", "mcpServers", "url", ""),
        file("VS Code", ".vscode/mcp.json", "servers", "url", "\n      \"type\": \"http\","),
        file("Windsurf", "~/.codeium/windsurf/mcp_config.json", "mcpServers", "serverUrl", ""),
        file("Zed", "~/.config/zed/settings.json", "context_servers", "url", ""),
        terminal("Codex", format!("export {CODEX_VARIABLE}={}", shell_quote(key))),
        Snippet {
            client: "Codex",
            place: "~/.codex/config.toml",
            text: format!(
                "[mcp_servers.{NAME}]\nurl = {toml_url}\nbearer_token_env_var = \"{CODEX_VARIABLE}\""
            ),
        },
        terminal(
            "Gemini CLI",
            format!("gemini mcp add --scope user --transport http --header {header} {NAME} {url}"),
        ),
    ]
}

/// A JSON file with this server alone, its members in the order that people write them.
fn json_file(root: &str, extra: &str, url_name: &str, mcp_url: &str, key: &str) -> String {
    let (url, bearer) = (Value::from(mcp_url), Value::from(format!("Bearer {key}")));
    format!(
        r#"{{
  "{root}": {{
    "{NAME}": {{{extra}
      "{url_name}": {url},
      "headers": {{
        "Authorization": {bearer}
      }}
    }}
  }}
}}"#
    )
}

/// The snippets as text: each under a line that says client and place, never indented, so that a
/// selection of whole lines can be pasted as it is.
pub fn render(snippets: &[Snippet]) -> String {
    let blocks = snippets.iter().map(|snippet| match snippet.place {
        "terminal" => format!("{}, in a terminal:\n{}", snippet.client, snippet.text),
        file => format!("{}, in {file}:\n{}", snippet.client, snippet.text),
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

/// Text as one word of a POSIX shell: bare where nothing in it is special, in double quotes where that
/// is enough (as the clients' own documentation writes headers), else in single ones.
pub(crate) fn shell_quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=[]".contains(c);
    if !text.is_empty() && text.chars().all(|c| plain(c) && !"[]".contains(c)) {
        text.to_owned()
    } else if text.chars().all(|c| plain(c) || c == ' ') {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:7700/mcp";
    const KEY: &str = "sql_EXAMPLE0000000000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn the_snippets_for_every_client() {
        insta::assert_snapshot!(render(&snippets(URL, KEY)));
    }

    #[test]
    fn every_file_parses_in_its_own_format() {
        for snippet in snippets(URL, KEY) {
            if snippet.place.ends_with(".json") {
                let file: Value = serde_json::from_str(&snippet.text).unwrap();
                let server = &file.as_object().unwrap().values().next().unwrap()[NAME];
                assert_eq!(server["headers"]["Authorization"], format!("Bearer {KEY}"));
            } else if snippet.place.ends_with(".toml") {
                let table: toml::Table = toml::from_str(&snippet.text).unwrap();
                assert_eq!(table["mcp_servers"][NAME]["url"].as_str(), Some(URL));
            }
        }
    }

    #[test]
    fn every_client_gets_url_and_key_without_anything_of_ours_around_them() {
        for client in ["Claude Code", "Cursor", "VS Code", "Windsurf", "Zed", "Codex", "Gemini CLI"] {
            let texts: Vec<_> =
                snippets(URL, KEY).into_iter().filter(|s| s.client == client).map(|s| s.text).collect();
            let text = texts.join("\n");
            assert!(text.contains(URL) && text.contains(KEY), "{client}");
            assert!(text.lines().all(|line| line == line.trim_end()), "{client}");
        }
    }

    #[test]
    fn a_shell_takes_each_word_as_it_was_meant() {
        for text in ["plain", "two words", "it's", "$HOME `id` \"x\" \\", "a*b", "[::1]", "", "a&b;c"] {
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", &format!("printf %s {}", shell_quote(text))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
