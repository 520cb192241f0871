//! What is committed as the fuzz targets' corpus, and what they once found, in the ordinary tests.
//!
//! The targets and how to run them: `tests/fuzz`.

// The fuzzer's crate exports them; here nobody else could use them.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod targets;

fn replay(target: &str, holds: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{target} has a corpus");
    for file in files {
        // Names the input if it panics.
        println!("{}", file.display());
        holds(&std::fs::read(&file).unwrap());
    }
}

#[test]
fn every_body_of_the_corpus_gets_a_bounded_answer() {
    replay("jsonrpc", targets::jsonrpc::holds);
}

#[test]
fn every_credential_of_the_corpus_passes_only_if_it_is_well_formed() {
    replay("credential", targets::credential::holds);
}

#[test]
fn no_statement_of_the_corpus_changes_the_database() {
    replay("guard", targets::guard::holds);
}

#[test]
fn no_row_of_the_corpus_breaks_the_answer_or_its_fence() {
    replay("encode", targets::encode::holds);
}
