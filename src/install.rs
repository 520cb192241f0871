//! The tools that Sequel can be installed in, and the lines that connect each to this server, ready to be pasted.
//! Each follows the tool's own documentation for a remote server with a bearer header; nothing here runs anything.
//!
//! The command line (`sequel demo`) and the dashboard show the same definitions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

/// The name that the server gets in every client.
const NAME: &str = "sequel";
/// The variable that Codex reads the key from: it refuses a key in its file.
const CODEX_VARIABLE: &str = "SEQUEL_API_KEY";

/// How a tool proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With an API key that its configuration holds.
    Key,
    /// Its user signs in, in a browser; it takes no key.
    SigningIn,
}

/// A tool that Sequel can be installed in.
#[derive(Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its word in addresses.
    pub id: &'static str,
    /// As it calls itself; [`Snippet::client`] is the same.
    pub name: &'static str,
    /// How it proves who it is.
    pub way: Way,
    /// What to do with the snippet or the URL.
    pub before: &'static str,
    /// How it is known that this works.
    pub seen: Seen,
}

/// How it is known that what is shown for a tool works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The snippet is pasted into the tool itself by our tests.
    Run,
    /// Nobody ran the tool. The shape of a snippet is held against this page of its documentation, a way to sign in is
    /// replayed from what is publicly known (`tests/clients`).
    Documented(&'static str),
}

const fn run(id: &'static str, name: &'static str, before: &'static str) -> Tool {
    Tool { id, name, way: Way::Key, before, seen: Seen::Run }
}

const fn documented(id: &'static str, name: &'static str, before: &'static str, page: &'static str) -> Tool {
    Tool { id, name, way: Way::Key, before, seen: Seen::Documented(page) }
}

const fn signing_in(id: &'static str, name: &'static str, before: &'static str, page: &'static str) -> Tool {
    Tool { id, name, way: Way::SigningIn, before, seen: Seen::Documented(page) }
}

/// All tools, in the order in which they are offered.
pub const TOOLS: &[Tool] = &[
    run("claude-code", "Claude Code", "Run this once in a terminal. It is then there in every folder."),
    documented(
        "cursor",
        "Cursor",
        "Cursor reads its servers from a file in your home folder, and installs from a link.",
        "https://cursor.com/docs/mcp",
    ),
    documented(
        "vscode",
        "VS Code",
        "VS Code reads its servers from a file in the workspace, and installs from a link for you alone. Keep a file \
         with a key out of the repository.",
        "https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
    ),
    documented(
        "windsurf",
        "Windsurf",
        "Put this into the file, then press Refresh in Windsurf’s list of MCP servers.",
        "https://docs.windsurf.com/windsurf/cascade/mcp",
    ),
    documented(
        "zed",
        "Zed",
        "Add this to your settings. Where context_servers is there already, add the inner part.",
        "https://zed.dev/docs/ai/mcp",
    ),
    run(
        "codex",
        "Codex",
        "Codex reads the key from your environment. Put the first line into your shell’s profile too.",
    ),
    run("gemini-cli", "Gemini CLI", "Run this once in a terminal. It is then there in every folder."),
    signing_in(
        "chatgpt",
        "ChatGPT",
        "In ChatGPT switch developer mode on (Settings, Connectors, Advanced), then Settings, Connectors, Create, \
         and paste the URL. The server must be reachable from the internet over https.",
        "https://developers.openai.com/apps-sdk/deploy/connect-chatgpt",
    ),
    signing_in(
        "claude-ai",
        "Claude.ai",
        "In Claude.ai open Customize, Connectors, add a custom connector, and paste the URL. The server must be \
         reachable from the internet over https.",
        "https://support.claude.com/en/articles/11503834-building-custom-integrations-via-remote-mcp-servers",
    ),
];

/// The tool with this word.
pub fn tool(id: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.id == id)
}

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

/// The snippets for one tool; none for one that signs in.
pub fn snippets_for(tool: &Tool, mcp_url: &str, key: &str) -> Vec<Snippet> {
    snippets(mcp_url, key).into_iter().filter(|snippet| snippet.client == tool.name).collect()
}

/// The link that opens the tool and installs there, for the tools that have one: Cursor
/// (cursor.com/docs/mcp/install-links) and VS Code (code.visualstudio.com/api/extension-guides/ai/mcp). It holds the
/// key, and goes from the browser to the tool on the same machine.
pub fn link(tool: &Tool, mcp_url: &str, key: &str) -> Option<String> {
    let headers = serde_json::json!({ "Authorization": format!("Bearer {key}") });
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    match tool.id {
        "cursor" => {
            let config = serde_json::json!({ "url": mcp_url, "headers": headers }).to_string();
            let config = encoded(&STANDARD.encode(config));
            Some(format!("cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={config}"))
        }
        "vscode" => {
            let config =
                serde_json::json!({ "name": NAME, "type": "http", "url": mcp_url, "headers": headers });
            // A plus is a plus for its reader: spaces are written as %20.
            Some(format!("vscode:mcp/install?{}", encoded(&config.to_string()).replace('+', "%20")))
        }
        _ => None,
    }
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
        for tool in TOOLS.iter().filter(|tool| tool.way == Way::Key) {
            let texts: Vec<_> = snippets_for(tool, URL, KEY).into_iter().map(|s| s.text).collect();
            let text = texts.join("\n");
            assert!(text.contains(URL) && text.contains(KEY), "{}", tool.name);
            assert!(text.lines().all(|line| line == line.trim_end()), "{}", tool.name);
        }
    }

    #[test]
    fn every_snippet_is_for_a_tool_that_is_offered_and_none_for_one_that_signs_in() {
        for snippet in snippets(URL, KEY) {
            let tool = TOOLS.iter().find(|tool| tool.name == snippet.client).expect(snippet.client);
            assert_eq!(tool.way, Way::Key);
        }
    }

    /// The shapes that the tools' documentation shows for a remote server with a header, as it was read in November 2026;
    /// [`Tool::seen`] names each page. A file is its name, the member that holds the servers, and one server.
    #[test]
    fn what_nobody_ran_has_the_shape_of_the_tools_documentation() {
        let headers = serde_json::json!({ "Authorization": format!("Bearer {KEY}") });
        let documented = [
            // "Remote server": `url` and `headers`; ~/.cursor/mcp.json is there for all projects.
            ("cursor", "~/.cursor/mcp.json", "mcpServers", serde_json::json!({ "url": URL })),
            // "HTTP and Server-Sent Events (SSE) servers": `type` and `url` required, `headers` optional.
            ("vscode", ".vscode/mcp.json", "servers", serde_json::json!({ "type": "http", "url": URL })),
            // "Remote HTTP MCPs": `serverUrl` or `url`, with `headers`.
            (
                "windsurf",
                "~/.codeium/windsurf/mcp_config.json",
                "mcpServers",
                serde_json::json!({ "serverUrl": URL }),
            ),
            // "As Custom Servers": a remote one has `url` and `headers`.
            ("zed", "~/.config/zed/settings.json", "context_servers", serde_json::json!({ "url": URL })),
        ];
        for (id, place, root, mut server) in documented {
            server["headers"] = headers.clone();
            let snippet = &snippets_for(tool(id).unwrap(), URL, KEY)[0];
            let file: Value = serde_json::from_str(&snippet.text).unwrap();
            assert_eq!((snippet.place, file), (place, serde_json::json!({ root: { NAME: server } })), "{id}");
        }
        let nobody_ran = TOOLS.iter().filter(|tool| tool.way == Way::Key && tool.seen != Seen::Run);
        assert_eq!(
            nobody_ran.map(|tool| tool.id).collect::<Vec<_>>(),
            ["cursor", "vscode", "windsurf", "zed"]
        );
    }

    #[test]
    fn links_say_what_the_files_say() {
        let cursor = link(tool("cursor").unwrap(), URL, KEY).unwrap();
        let url = url::Url::parse(&cursor).unwrap();
        let pairs: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        let config: Value = serde_json::from_slice(&STANDARD.decode(&pairs["config"]).unwrap()).unwrap();
        let file: Value =
            serde_json::from_str(&snippets_for(tool("cursor").unwrap(), URL, KEY)[0].text).unwrap();
        assert_eq!((pairs["name"].as_str(), &config), (NAME, &file["mcpServers"][NAME]));

        let vscode = link(tool("vscode").unwrap(), URL, KEY).unwrap();
        let query = vscode.strip_prefix("vscode:mcp/install?").unwrap();
        assert!(!query.contains('+'));
        let (decoded, _) = url::form_urlencoded::parse(query.as_bytes()).next().unwrap();
        let mut config: Value = serde_json::from_str(&decoded).unwrap();
        let file: Value =
            serde_json::from_str(&snippets_for(tool("vscode").unwrap(), URL, KEY)[0].text).unwrap();
        assert_eq!(config.as_object_mut().unwrap().remove("name").unwrap(), NAME);
        assert_eq!(config, file["servers"][NAME]);

        assert_eq!(TOOLS.iter().filter(|tool| link(tool, URL, KEY).is_some()).count(), 2);
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
