//! The functions of PostgreSQL that a query may call unseen: pure ones, and those that look at names and sizes.
//!
//! An allow-list, because a list of what is forbidden is never complete: whatever is not here is either refused at once
//! (with its reason, in `functions.rs`) or looked up in the database, which knows whether somebody declared it to
//! change nothing. Functions of PostgreSQL itself that are not here stay out for good.
//!
//! Made from the catalog of PostgreSQL 15 (what is not declared volatile and takes part in no operator class), less what
//! tells of the server, of sessions and of files, and less what runs SQL out of a text; and from the manuals of 16 to 18.

/// In order.
#[rustfmt::skip] // One a line would bury the rest of the file.
const ALLOWED: &[&str] = &[
    "abbrev", "abs", "acos", "acosd", "acosh", "age", "all", "any", "any_value", "area", "array", "array_agg",
    "array_append", "array_cat", "array_dims", "array_fill", "array_length", "array_lower", "array_ndims",
    "array_position", "array_positions", "array_prepend", "array_remove", "array_replace", "array_reverse",
    "array_sample", "array_shuffle", "array_sort", "array_to_json", "array_to_string", "array_to_tsvector",
    "array_upper", "ascii", "asin", "asind", "asinh", "atan", "atan2", "atan2d", "atand", "atanh", "avg",
    "bigint", "bit", "bit_and", "bit_count", "bit_length", "bit_or", "bit_xor", "bool", "bool_and", "bool_or",
    "bound_box", "box", "bpchar", "broadcast", "bytea", "cardinality", "casefold", "cast", "cbrt", "ceil",
    "ceiling", "center", "char", "char_length", "character", "character_length", "chr", "cidr", "circle",
    "clock_timestamp", "coalesce", "col_description", "concat", "concat_ws", "convert", "convert_from",
    "convert_to", "corr", "cos", "cosd", "cosh", "cot", "cotd", "count", "covar_pop", "covar_samp", "crc32",
    "crc32c", "cume_dist", "current_catalog", "current_database", "current_date", "current_role",
    "current_schema", "current_schemas", "current_time", "current_timestamp", "current_user", "date",
    "date_add", "date_bin", "date_part", "date_subtract", "date_trunc", "datemultirange", "daterange",
    "decimal", "decode", "degrees", "dense_rank", "diagonal", "diameter", "div", "double", "encode",
    "enum_first", "enum_last", "enum_range", "erf", "erfc", "every", "exists", "exp", "extract", "factorial",
    "family", "first_value", "float4", "float8", "floor", "format", "format_type", "gamma", "gcd",
    "gen_random_uuid", "generate_series", "generate_subscripts", "get_bit", "get_byte", "get_current_ts_config",
    "getdatabaseencoding", "greatest", "grouping", "has_any_column_privilege", "has_column_privilege",
    "has_database_privilege", "has_function_privilege", "has_schema_privilege", "has_sequence_privilege",
    "has_table_privilege", "has_type_privilege", "hashtext", "hashtextextended", "height", "host", "hostmask",
    "inet", "inet_merge", "inet_same_family", "initcap", "int2", "int4", "int4multirange",
    "int4range", "int8", "int8multirange", "int8range", "integer", "interval", "is_normalized", "isclosed",
    "isempty", "isfinite", "ishorizontal", "isopen", "isparallel", "isperp", "isvertical", "json", "json_agg",
    "json_agg_strict", "json_array", "json_array_elements", "json_array_elements_text", "json_array_length",
    "json_arrayagg", "json_build_array", "json_build_object", "json_each", "json_each_text", "json_exists",
    "json_extract_path", "json_extract_path_text", "json_object", "json_object_agg", "json_object_agg_strict",
    "json_object_agg_unique", "json_object_agg_unique_strict", "json_object_keys", "json_objectagg",
    "json_populate_record", "json_populate_recordset", "json_query", "json_scalar", "json_serialize",
    "json_strip_nulls", "json_table", "json_to_record", "json_to_recordset", "json_to_tsvector", "json_typeof",
    "json_value", "jsonb", "jsonb_agg", "jsonb_agg_strict", "jsonb_array_elements", "jsonb_array_elements_text",
    "jsonb_array_length", "jsonb_build_array", "jsonb_build_object", "jsonb_concat", "jsonb_contains",
    "jsonb_delete", "jsonb_each", "jsonb_each_text", "jsonb_exists", "jsonb_extract_path",
    "jsonb_extract_path_text", "jsonb_insert", "jsonb_object", "jsonb_object_agg", "jsonb_object_agg_strict",
    "jsonb_object_agg_unique", "jsonb_object_agg_unique_strict", "jsonb_object_keys", "jsonb_path_exists",
    "jsonb_path_exists_tz", "jsonb_path_match", "jsonb_path_match_tz", "jsonb_path_query",
    "jsonb_path_query_array", "jsonb_path_query_array_tz", "jsonb_path_query_first",
    "jsonb_path_query_first_tz", "jsonb_path_query_tz", "jsonb_populate_record", "jsonb_populate_recordset",
    "jsonb_pretty", "jsonb_set", "jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record", "jsonb_to_recordset",
    "jsonb_to_tsvector", "jsonb_typeof", "justify_days", "justify_hours", "justify_interval", "lag",
    "last_value", "lcm", "lead", "least", "left", "length", "lgamma", "like", "line", "ln", "localtime",
    "localtimestamp", "log", "log10", "lower", "lower_inc", "lower_inf", "lpad", "lseg", "ltrim", "macaddr",
    "macaddr8", "macaddr8_set7bit", "make_date", "make_interval", "make_time", "make_timestamp",
    "make_timestamptz", "masklen", "max", "md5", "min", "min_scale", "mod", "mode", "money", "multirange",
    "name", "netmask", "network", "normalize", "notlike", "now", "npoints", "nth_value", "ntile", "nullif",
    "num_nonnulls", "num_nulls", "numeric", "nummultirange", "numnode", "numrange", "obj_description",
    "octet_length", "oid", "oidvectortypes", "overlaps", "overlay", "parse_ident", "path", "pclose",
    "percent_rank", "percentile_cont", "percentile_disc", "pg_client_encoding", "pg_collation_for",
    "pg_collation_is_visible", "pg_column_compression", "pg_column_size", "pg_conversion_is_visible",
    "pg_database_size", "pg_describe_object", "pg_function_is_visible", "pg_get_constraintdef", "pg_get_expr",
    "pg_get_function_arg_default", "pg_get_function_arguments", "pg_get_function_identity_arguments",
    "pg_get_function_result", "pg_get_function_sqlbody", "pg_get_functiondef", "pg_get_indexdef",
    "pg_get_object_address", "pg_get_partition_constraintdef", "pg_get_partkeydef", "pg_get_ruledef",
    "pg_get_serial_sequence", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions", "pg_get_triggerdef", "pg_get_userbyid", "pg_get_viewdef",
    "pg_has_role", "pg_identify_object", "pg_identify_object_as_address", "pg_index_column_has_property",
    "pg_index_has_property", "pg_indexam_has_property", "pg_indexes_size", "pg_input_error_info",
    "pg_input_is_valid", "pg_is_other_temp_schema", "pg_lsn", "pg_my_temp_schema", "pg_opclass_is_visible",
    "pg_operator_is_visible", "pg_opfamily_is_visible", "pg_partition_root", "pg_relation_size",
    "pg_size_bytes", "pg_size_pretty", "pg_statistics_obj_is_visible", "pg_table_is_visible", "pg_table_size",
    "pg_timezone_abbrevs", "pg_timezone_names", "pg_total_relation_size", "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible", "pg_ts_parser_is_visible", "pg_ts_template_is_visible", "pg_type_is_visible",
    "pg_typeof", "phraseto_tsquery", "pi", "plainto_tsquery", "point", "polygon", "popen", "position", "pow",
    "power", "quote_ident", "quote_literal", "quote_nullable", "radians", "radius", "random", "random_normal",
    "range_agg", "range_intersect_agg", "range_merge", "rank", "real", "regclass", "regexp_count",
    "regexp_instr", "regexp_like", "regexp_match", "regexp_matches", "regexp_replace", "regexp_split_to_array",
    "regexp_split_to_table", "regexp_substr", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept",
    "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "repeat", "replace", "reverse", "right",
    "round", "row", "row_number", "row_to_json", "rpad", "rtrim", "scale", "session_user", "set_bit",
    "set_byte", "set_masklen", "setweight", "sha224", "sha256", "sha384", "sha512", "shobj_description", "sign",
    "sin", "sind", "sinh", "slope", "smallint", "some", "split_part", "sqrt", "starts_with",
    "statement_timestamp", "stddev", "stddev_pop", "stddev_samp", "string_agg", "string_to_array",
    "string_to_table", "strip", "strpos", "substr", "substring", "sum", "tan", "tand", "tanh", "text",
    "textcat", "time", "timeofday", "timestamp", "timestamp_cmp_date", "timestamp_cmp_timestamptz",
    "timestamptz", "timetz", "timezone", "to_ascii", "to_bin", "to_char", "to_date", "to_hex", "to_json",
    "to_jsonb", "to_number", "to_oct", "to_regclass", "to_regcollation", "to_regnamespace", "to_regoper",
    "to_regoperator", "to_regproc", "to_regprocedure", "to_regrole", "to_regtype", "to_timestamp", "to_tsquery",
    "to_tsvector", "transaction_timestamp", "translate", "trim", "trim_array", "trim_scale", "trunc",
    "ts_delete", "ts_filter", "ts_headline", "ts_lexize", "ts_rank", "ts_rank_cd", "tsmultirange",
    "tsquery", "tsrange", "tstzmultirange", "tstzrange", "tsvector", "tsvector_to_array", "unistr", "unnest",
    "upper", "upper_inc", "upper_inf", "user", "uuid", "uuid_extract_timestamp", "uuid_extract_version",
    "uuidv4", "uuidv7", "var_pop", "var_samp", "varbit", "varchar", "variance", "version",
    "websearch_to_tsquery", "width", "width_bucket", "xid", "xml", "xml_is_well_formed",
    "xml_is_well_formed_content", "xml_is_well_formed_document", "xmlagg", "xmlcomment", "xmlconcat",
    "xmlconcat2", "xmlelement", "xmlexists", "xmlforest", "xmlparse", "xmlpi", "xmlroot", "xmlserialize",
    "xmltext", "xmlvalidate", "xpath", "xpath_exists",
];

/// Relations of the system that tell of other people's secrets, sessions and statements, or of the server's files.
/// In order.
#[rustfmt::skip]
const REFUSED_RELATIONS: &[&str] = &[
    "foreign_data_wrapper_options", "foreign_server_options", "foreign_table_options", "pg_auth_members", "pg_authid",
    "pg_config", "pg_db_role_setting", "pg_file_settings", "pg_foreign_data_wrapper", "pg_foreign_server",
    "pg_foreign_table", "pg_hba_file_rules", "pg_ident_file_mappings", "pg_largeobject", "pg_largeobject_metadata",
    "pg_prepared_statements", "pg_prepared_xacts", "pg_replication_origin_status", "pg_replication_slots", "pg_roles",
    "pg_settings", "pg_shadow", "pg_shmem_allocations", "pg_stat_activity", "pg_stat_gssapi", "pg_stat_monitor",
    "pg_stat_replication", "pg_stat_ssl", "pg_stat_statements", "pg_stat_subscription", "pg_stat_wal_receiver",
    "pg_statistic", "pg_statistic_ext_data", "pg_store_plans", "pg_subscription", "pg_user", "pg_user_mapping",
    "pg_user_mappings", "user_mapping_options",
];

/// Whether a function of PostgreSQL itself may be called, by its folded name.
pub(crate) fn is_allowed(name: &str) -> bool {
    ALLOWED.binary_search(&name).is_ok()
}

/// Whether a relation of the system may not be read, by its folded name.
pub(crate) fn is_refused_relation(name: &str) -> bool {
    REFUSED_RELATIONS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;
    use crate::functions::refused_function;

    #[test]
    fn the_lists_are_in_order_and_do_not_contradict_each_other() {
        for list in [ALLOWED, REFUSED_RELATIONS] {
            assert!(list.is_sorted(), "{:?}", list.windows(2).find(|pair| pair[0] > pair[1]));
        }
        for name in ALLOWED {
            assert_eq!(refused_function(name, Dialect::Postgres), None, "{name}");
        }
    }

    #[test]
    fn what_tells_of_the_server_or_runs_text_is_not_allowed_unseen() {
        for name in
            ["pg_sleep", "nextval", "set_config", "current_setting", "ts_rewrite", "ts_stat", "query_to_xml"]
        {
            assert!(!is_allowed(name), "{name}");
        }
        assert!(is_allowed("count") && is_allowed("jsonb_path_query") && is_allowed("date_trunc"));
    }
}
