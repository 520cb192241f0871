//! Users and members as an operator handles them, from outside: with and without a server, what is asked before
//! something is destroyed, what a mistake is answered, and that no link gets anywhere but into its answer.

use serde_json::{Value, json};

use crate::server::Home;

#[test]
fn users_and_members_are_handled_with_a_server_and_without() {
    for with_server in [false, true] {
        let home = Home::new();
        let server = with_server.then(|| home.serve());
        home.json(&["org", "create", "acme"]);
        let made = home.json(&["user", "create", " Ada@Example.com", "--name", "Ada"]);
        assert_eq!(made["email"], "ada@example.com");
        assert!(made["link"].as_str().unwrap().contains("/reset/sqw_"));
        home.json(&["user", "create", "eve@example.com"]);
        // The first member owns the organization, and it keeps an owner.
        home.cli(&["member", "add", "eve@example.com", "--role", "viewer"]).refused("owner");
        home.json(&["member", "add", "ada@example.com", "--role", "owner"]);
        home.json(&["member", "add", "eve@example.com", "--role", "member"]);
        home.cli(&["member", "add", "eve@example.com", "--role", "member"]).refused("already");
        home.cli(&["member", "role", "ada@example.com", "admin"]).refused("only owner");
        home.cli(&["member", "remove", "ada@example.com", "--yes"]).refused("only owner");
        home.cli(&["user", "delete", "ada@example.com", "--yes"]).refused("acme");
        let members = home.json(&["member", "list"]);
        let shown: Vec<_> = members["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| (member["email"].clone(), member["name"].clone(), member["role"].clone()))
            .collect();
        assert_eq!(
            shown,
            [
                (json!("ada@example.com"), json!("Ada"), json!("owner")),
                (json!("eve@example.com"), json!("eve"), json!("member"))
            ]
        );
        let disabled = home.json(&["user", "disable", "eve@example.com", "--yes"]);
        assert_eq!(disabled["status"], "disabled");
        home.cli(&["user", "reset-password", "eve@example.com"]).refused("disabled");
        assert_eq!(home.json(&["user", "enable", "eve@example.com"])["status"], "active");
        assert_eq!(home.json(&["user", "delete", "eve@example.com", "--yes"])["gone"], true);
        assert_eq!(home.json(&["user", "list"])["users"].as_array().unwrap().len(), 1);
        assert_eq!(home.json(&["member", "list"])["members"].as_array().unwrap().len(), 1);
        let audit = home.json(&["audit", "list"]);
        let actions: Vec<_> =
            audit["entries"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
        assert_eq!(actions, ["member.remove", "member.add", "member.add", "org.create"]);
        let trail = home.json(&["user", "audit", "--limit", "4"]);
        let actions: Vec<_> =
            trail["entries"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
        assert_eq!(actions, ["user.deleted", "user.delete", "user.enable", "user.disable"]);
        assert_eq!(trail["entries"][1]["by"]["kind"], "operator");
        let all = home.json(&["user", "audit"]);
        assert!(trail["next"].is_u64() && all["entries"].as_array().unwrap().len() == 8, "{all}");
        drop(server);
    }
}

#[test]
fn what_destroys_is_asked_for_and_mistakes_say_what_to_do() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    home.json(&["user", "create", "ada@example.com"]);
    home.json(&["member", "add", "ada@example.com", "--role", "owner"]);
    for args in [
        &["user", "disable", "ada@example.com"][..],
        &["user", "delete", "ada@example.com"],
        &["member", "remove", "ada@example.com"],
    ] {
        let ran = home.cli(args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("--yes"), "{ran:?}");
    }
    home.cli(&["user", "create", "ada@example.com"]).refused("ada@example.com");
    home.cli(&["user", "create", "no address"]).refused("e-mail address");
    home.cli(&["user", "reset-password", "nobody@example.com"]).refused("user");
    home.cli(&["member", "add", "nobody@example.com", "--role", "admin"]).refused("user");
    home.cli(&["member", "remove", "nobody@example.com", "--yes"]).refused("member");
    assert_eq!(home.cli(&["member", "add", "ada@example.com", "--role", "king"]).code, 2);
}

#[test]
fn a_restored_user_is_kept_out_until_somebody_enables_them() {
    let home = Home::new();
    home.json(&["org", "create", "acme"]);
    home.json(&["user", "create", "ada@example.com"]);
    home.json(&["member", "add", "ada@example.com", "--role", "owner"]);
    let backup = home.path().join("sequel.backup");
    let backup = backup.to_str().unwrap();
    home.json(&["backup", backup]);
    let elsewhere = Home::new();
    elsewhere.json(&["restore", backup]);
    let users = elsewhere.json(&["user", "list"]);
    assert_eq!(users["users"][0]["status"], "suspended");
    assert_eq!(users["users"][0]["orgs"][0]["role"], "owner");
    elsewhere.cli(&["user", "reset-password", "ada@example.com"]).refused("disabled");
    elsewhere.json(&["user", "enable", "ada@example.com"]);
    elsewhere.json(&["user", "reset-password", "ada@example.com"]);
    // Into a store that knows them, the store's word counts.
    home.json(&["member", "list"]);
    home.json(&["user", "disable", "ada@example.com", "--yes"]);
    home.json(&["restore", backup, "--replace", "--yes"]);
    assert_eq!(home.json(&["user", "list"])["users"][0]["status"], "disabled");
    assert_eq!(home.json(&["storage", "check"])["ok"], Value::Bool(true));
}
