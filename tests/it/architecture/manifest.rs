//! Reads `Cargo.toml` files as text: which dependency stands where, and whether its reason does.
//!
//! It knows no rule about who may depend on whom.

/// A dependency as a manifest lists it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// Counted from 1.
    pub(super) line: usize,
    /// As the manifest names it.
    pub(super) name: String,
    /// The table that lists it, for instance `dev-dependencies`.
    pub(super) table: String,
    /// Whether a comment stands above it, or the workspace (which has the comment) is referred to,
    /// or it is a crate of this repository.
    pub(super) explained: bool,
}

/// All dependencies of a manifest, of every dependency table that it has.
pub(super) fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut table = String::new();
    let mut commented = false;
    let mut open_brackets = 0;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if open_brackets == 0 && line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
            // `[dependencies.name]` would slip past the rule.
            assert!(
                !table.contains("dependencies."),
                "line {}: write dependencies as lines, not as tables",
                index + 1
            );
        } else if line.starts_with('#') {
            commented = true;
            continue;
        } else if open_brackets == 0 && table.ends_with("dependencies") && line.contains('=') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            found.push(Dependency {
                line: index + 1,
                name: name.trim_matches('"').to_owned(),
                table: table.clone(),
                explained: commented || line.contains("workspace = true") || line.contains("path = "),
            });
        }
        let count = |c: [char; 2]| line.matches(c).count();
        open_brackets = (open_brackets + count(['{', '['])).saturating_sub(count(['}', ']']));
        if open_brackets == 0 {
            commented = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::dependencies;

    #[test]
    fn a_reason_counts_for_the_one_line_below_it() {
        let manifest = "[dependencies]\n# Why.\na = \"1\"\nb = { version = \"1\", features = [\n  \"x\",\n] }\nc.workspace = true\n\
                        [dev-dependencies]\n# Why.\n\"d\" = \"1\"\n[lints]\nworkspace = true\n";
        let found = dependencies(manifest);
        let shown: Vec<_> =
            found.iter().map(|d| (d.line, d.name.as_str(), d.table.as_str(), d.explained)).collect();
        assert_eq!(
            shown,
            [
                (3, "a", "dependencies", true),
                (4, "b", "dependencies", false),
                (7, "c", "dependencies", true),
                (10, "d", "dev-dependencies", true)
            ]
        );
    }
}
