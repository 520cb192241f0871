//! Sequel: a self-hostable, multi-tenant MCP server.

pub mod api;
pub mod backends;
pub mod backup;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod context;
pub mod credential;
pub mod demo;
pub mod flow;
pub mod http;
pub mod install;
pub mod mail;
pub mod mcp;
pub mod metrics;
pub mod oauth;
pub mod org;
pub mod pages;
mod places;
pub mod record;
pub mod run;
pub mod sweep;
pub mod system;
pub mod tls;
pub mod tools;
pub mod vault;
mod visible;
