//! What a role could do if nothing else stood in its way: asked once when a source is opened.
//!
//! The other layers hold whatever the role may do; a role that may do little holds where they do not. So roles that
//! could reach the server's files, programs or other roles are refused unless the operator of this server insists, and
//! whoever connects one that could write is told so.

use crate::fault::Fault;
use crate::functions::literal;
use crate::link::Link;

/// What a probe found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Why the role is refused: a part of a sentence each.
    privileged: Vec<String>,
    /// What it could do although it should only read.
    writes: Vec<String>,
}

const QUERY: &str = "\
SELECT r.rolsuper, r.rolreplication, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, \
       (SELECT pg_catalog.string_agg(p.rolname, ', ' ORDER BY p.rolname) FROM pg_catalog.pg_roles p \
         WHERE (p.rolname LIKE 'pg\\_%' AND p.rolname NOT IN ('pg_database_owner', 'pg_read_all_data') \
                OR p.rolsuper OR p.rolreplication OR p.rolcreaterole) \
           AND p.oid <> r.oid AND NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, p.oid, 'MEMBER')), \
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
       EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' \
                AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')), \
       EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
                  AND pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')), \
       EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                WHERE c.relowner = r.oid AND n.nspname !~ '^pg_') \
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

/// Why Sequel's own store is nobody's data source.
pub(crate) const OWN_STORE: &str =
    "This database holds Sequel's own records and can be nobody's data source. Connect another one.";

/// The relations by which a store of Sequel's own is known, as one condition.
pub(crate) fn own_store(relations: &[String]) -> String {
    if relations.is_empty() {
        return "false".to_owned();
    }
    // Not by resolving the name, which takes a right to its schema.
    let each = relations.iter().map(|relation| {
        let (schema, name) = relation.split_once('.').unwrap_or(("public", relation));
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relname = {})",
            literal(schema),
            literal(name)
        )
    });
    each.collect::<Vec<_>>().join(" AND ")
}

/// Asks, in an open transaction.
pub(crate) async fn ask(link: &mut Link) -> Result<Findings, Fault> {
    let rows = link.rows(QUERY).await?;
    let Some(row) = rows.into_iter().next() else {
        // Whoever hides what a role may do leaves nothing to judge.
        return Ok(Findings {
            privileged: vec!["PostgreSQL does not tell what it may do".into()],
            ..Findings::default()
        });
    };
    Ok(found(&row))
}

fn found(row: &[Option<String>]) -> Findings {
    let is = |at: usize| row.get(at).is_some_and(|cell| cell.as_deref() == Some("t"));
    let mut findings = Findings::default();
    let mut privileged = |at: usize, what: &str| {
        if is(at) {
            findings.privileged.push(what.to_owned());
        }
    };
    privileged(0, "it is a superuser");
    privileged(1, "it may copy the whole server (REPLICATION)");
    privileged(2, "it may change other roles (CREATEROLE)");
    if let Some(Some(roles)) = row.get(5) {
        findings.privileged.push(format!("it is a member of {roles}"));
    }
    let mut writes = |at: usize, what: &str| {
        if is(at) {
            findings.writes.push(what.to_owned());
        }
    };
    writes(8, "change rows");
    writes(9, "change or drop tables that it owns");
    writes(6, "create schemas");
    writes(7, "create tables");
    writes(3, "create databases");
    writes(4, "see rows past row security");
    findings
}

/// Why a superuser is refused.
pub(crate) fn superuser(user: &str) -> String {
    refusal(user, "it is a superuser")
}

fn refusal(user: &str, why: &str) -> String {
    format!(
        "The role {user} could do far more than read: {why}. Make a role for Sequel that may only read (CREATE ROLE \
         sequel LOGIN; GRANT SELECT …). Where there is no other way, the operator of this server can set \
         sources.postgres.privileged_roles."
    )
}

impl Findings {
    /// What whoever connects the source should know; an error where the source may not be opened.
    pub(crate) fn judge(self, user: &str, may_be_privileged: bool) -> Result<Vec<String>, Fault> {
        let mut warnings = Vec::new();
        if !self.privileged.is_empty() {
            let why = self.privileged.join(", ");
            if !may_be_privileged {
                return Err(Fault::Policy(refusal(user, &why)));
            }
            warnings.push(format!(
                "The role {user} could do far more than read: {why}. Use one that may only read."
            ));
        }
        if !self.writes.is_empty() {
            warnings.push(format!(
                "The role {user} could {}. Nothing that clients ask lets it, but a role that may only read is safer.",
                self.writes.join(", ")
            ));
        }
        Ok(warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(set: &[usize], roles: Option<&str>) -> Vec<Option<String>> {
        (0..10)
            .map(|at| match at {
                5 => roles.map(str::to_owned),
                _ => Some(if set.contains(&at) { "t" } else { "f" }.to_owned()),
            })
            .collect()
    }

    #[test]
    fn a_role_is_judged_by_what_it_could_do() {
        assert_eq!(found(&row(&[], None)).judge("u", false).unwrap(), Vec::<String>::new());
        let warned = found(&row(&[8, 7], None)).judge("u", false).unwrap();
        assert!(warned[0].contains("change rows, create tables"), "{warned:?}");
        for refused in
            [row(&[0], None), row(&[1], None), row(&[2], None), row(&[], Some("pg_read_server_files"))]
        {
            assert!(matches!(found(&refused).judge("u", false), Err(Fault::Policy(_))));
            assert_eq!(found(&refused).judge("u", true).unwrap().len(), 1);
        }
    }
}
