//! Sequel: a self-hostable, multi-tenant MCP server.

pub mod api;
pub mod cli;
pub mod config;
pub mod context;
pub mod credential;
pub mod demo;
pub mod http;
pub mod mcp;
pub mod org;
pub mod tools;
