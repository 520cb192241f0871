//! Functions that a read-only query has no business calling, by dialect.
//!
//! Owns the lists and each entry's reason. A list of what is forbidden is never complete; it is here
//! for a clear answer and as a second line, below it stand the engine's permissions.

use crate::guard::Dialect;

const FILES: &str = "it reads or writes files of the server";
const CODE: &str = "it loads code into the database";
const SESSION: &str = "it changes the state of the database session";
const SEQUENCE: &str = "it changes a sequence";
const ELSEWHERE: &str = "it reaches another database";
const ADMIN: &str = "it administers the database server";
const WAIT: &str = "it only waits";
const LOCK: &str = "it takes locks";
const SLOW: &str = "it can keep the database busy beyond any time limit";
const BOMB: &str = "it only makes large values";
const QUERY: &str = "it runs SQL that was not checked";

/// Names, each with the reason.
type List = &'static [(&'static str, &'static str)];

const SQLITE: List = &[
    ("edit", FILES),
    ("fts3_tokenizer", CODE),
    ("fts5_source_id", ADMIN),
    ("fsdir", FILES),
    ("load_extension", CODE),
    ("json_patch", SLOW),
    ("jsonb_patch", SLOW),
    ("lsdir", FILES),
    ("randomblob", BOMB),
    ("readfile", FILES),
    ("sqlite_compileoption_get", ADMIN),
    ("sqlite_compileoption_used", ADMIN),
    ("sqlite_dbpage", FILES),
    ("sqlite_log", ADMIN),
    ("sqlite_stmt", ADMIN),
    ("sqlite_memstat", ADMIN),
    ("sqlite_offset", ADMIN),
    ("sqlar_compress", BOMB),
    ("sqlar_uncompress", BOMB),
    ("unhex", SLOW),
    ("writefile", FILES),
    ("zeroblob", BOMB),
    ("zipfile", FILES),
];

const POSTGRES: List = &[
    ("connectby", QUERY),
    ("current_setting", ADMIN),
    ("cursor_to_xml", QUERY),
    ("database_to_xml", QUERY),
    ("nextval", SEQUENCE),
    ("query_to_xml", QUERY),
    ("query_to_xml_and_xmlschema", QUERY),
    ("query_to_xmlschema", QUERY),
    ("schema_to_xml", QUERY),
    ("set_config", SESSION),
    ("setseed", SESSION),
    ("setval", SEQUENCE),
    ("table_to_xml", QUERY),
    ("ts_stat", QUERY),
    ("txid_current", SESSION),
    ("xpath_table", QUERY),
];
const POSTGRES_PREFIXES: List = &[
    // The extensions tablefunc and xml2 declare theirs STABLE.
    ("crosstab", QUERY),
    ("dblink", ELSEWHERE),
    ("lo_", FILES),
    ("loread", FILES),
    ("lowrite", FILES),
    ("pg_advisory", LOCK),
    ("pg_backup", ADMIN),
    ("pg_cancel_backend", ADMIN),
    ("pg_create_", ADMIN),
    ("pg_current_logfile", ADMIN),
    ("pg_drop_", ADMIN),
    ("pg_export_snapshot", SESSION),
    ("pg_file_", FILES),
    ("pg_hba_file_rules", FILES),
    ("pg_logical_", ADMIN),
    ("pg_ls_", FILES),
    ("pg_notify", SESSION),
    ("pg_promote", ADMIN),
    ("pg_read_", FILES),
    ("pg_reload_conf", ADMIN),
    ("pg_replication_", ADMIN),
    ("pg_rotate_logfile", ADMIN),
    ("pg_sleep", WAIT),
    ("pg_start_backup", ADMIN),
    ("pg_stat_file", FILES),
    ("pg_stat_reset", ADMIN),
    ("pg_stop_backup", ADMIN),
    ("pg_switch_wal", ADMIN),
    ("pg_terminate_backend", ADMIN),
    ("pg_try_advisory", LOCK),
    ("pg_wal", ADMIN),
];

const MYSQL: List = &[
    ("benchmark", WAIT),
    ("get_lock", LOCK),
    ("is_free_lock", LOCK),
    ("is_used_lock", LOCK),
    ("last_insert_id", SESSION),
    ("lastval", SEQUENCE),
    ("load_file", FILES),
    ("master_pos_wait", WAIT),
    ("name_const", SESSION),
    ("nextval", SEQUENCE),
    ("release_all_locks", LOCK),
    ("release_lock", LOCK),
    ("setval", SEQUENCE),
    ("sleep", WAIT),
    ("source_pos_wait", WAIT),
    ("sys_eval", CODE),
    ("sys_exec", CODE),
    ("wait_for_executed_gtid_set", WAIT),
];

/// Why a function may not be called, or `None`. Names compare without regard to ASCII case.
pub fn refused_function(name: &str, dialect: Dialect) -> Option<&'static str> {
    let (names, prefixes): (List, List) = match dialect {
        Dialect::Sqlite => (SQLITE, &[]),
        Dialect::Postgres => (POSTGRES, POSTGRES_PREFIXES),
        Dialect::MySql => (MYSQL, &[]),
    };
    let starts_with =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    names
        .iter()
        .find(|(refused, _)| name.eq_ignore_ascii_case(refused))
        .or_else(|| prefixes.iter().find(|(prefix, _)| starts_with(prefix)))
        .map(|(_, why)| *why)
}
