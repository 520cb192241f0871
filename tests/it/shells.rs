//! Completions and manual pages, with the shells and the reader that they are for.

use std::process::Command;

use crate::server::{Home, run};

#[test]
fn bash_completes_commands_and_flags_from_the_printed_script() {
    let home = Home::new();
    let script = home.cli(&["completions", "bash"]);
    assert_eq!(script.code, 0, "{script:?}");
    std::fs::write(home.path().join("sequel.bash"), &script.out).unwrap();
    let completed = |words: &str| {
        let complete = format!(
            "source sequel.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _sequel sequel \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("bash");
        run(bash.args(["--norc", "-c", &complete]).current_dir(home.path())).out
    };
    assert_eq!(completed("sequel or").trim(), "org");
    let below = completed("sequel org ''");
    for command in ["create", "list", "rename", "delete", "restore"] {
        assert!(below.split_whitespace().any(|word| word == command), "{below}");
    }
    assert!(completed("sequel org delete --no").contains("--now"));
}

#[test]
fn every_shell_has_a_script() {
    let home = Home::new();
    for (shell, says) in [
        ("zsh", "#compdef sequel"),
        ("fish", "complete -c sequel"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let script = home.cli(&["completions", shell]);
        assert!(script.code == 0 && script.out.contains(says), "{shell}: {script:?}");
    }
    assert_eq!(home.cli(&["completions", "cmd"]).code, 2);
}

#[test]
fn every_command_has_a_manual_page_that_man_renders() {
    let home = Home::new();
    let pages = home.path().join("man");
    let wrote = home.json(&["man", "--dir", pages.to_str().unwrap()]);
    let files: Vec<_> =
        wrote["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    for file in ["sequel.1", "sequel-serve.1", "sequel-org-delete.1", "sequel-source-edit.1"] {
        assert!(files.contains(&file), "{files:?}");
    }
    for file in files {
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"]).arg(pages.join(file)).env("MANPAGER", "cat").env("LC_ALL", "C.UTF-8");
        let shown = run(&mut man);
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{file}");
        let name = file.trim_end_matches(".1").replace('-', " ");
        // It aligns both margins with spaces.
        let text = shown.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("SYNOPSIS") && text.contains(&name), "{file}: {}", shown.out);
    }
}
