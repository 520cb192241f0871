//! What somebody writes who has nothing in mind but speed: the raw driver in a bare actix-web handler, with connections of
//! each worker's own, so that no thread wakes another one.
//!
//! It answers the rows as MCP wants an answer to carry them: as structured content, and as the same JSON in a text.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use actix_web::error::{Error, ErrorBadRequest, ErrorInternalServerError};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpResponse, rt};
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, Row};

/// Connections of one worker.
const CONNECTIONS: usize = 16;

thread_local! {
    static CLIENTS: RefCell<Vec<Rc<Client>>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<usize> = const { Cell::new(0) };
}

/// Where the database is.
struct Url(String);

/// Adds `/raw`.
pub(crate) fn mount(app: &mut ServiceConfig, url: &str) {
    app.app_data(Data::new(Url(url.to_owned()))).service(web::resource("/raw").to(answer));
}

/// The next of the worker's connections; each is opened by whom it comes to first.
async fn client(url: &str) -> anyhow::Result<Rc<Client>> {
    let at = NEXT.with(|next| next.replace(next.get() + 1)) % CONNECTIONS;
    if let Some(client) = CLIENTS.with_borrow(|clients| clients.get(at).cloned()) {
        return Ok(client);
    }
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    rt::spawn(connection);
    let client = Rc::new(client);
    CLIENTS.with_borrow_mut(|clients| clients.push(Rc::clone(&client)));
    Ok(client)
}

/// Takes the SQL out of the call and answers its rows.
async fn answer(body: Bytes, url: Data<Url>) -> Result<HttpResponse, Error> {
    let call: Value = serde_json::from_slice(&body).map_err(ErrorBadRequest)?;
    let sql = call["params"]["arguments"]["sql"].as_str().ok_or_else(|| ErrorBadRequest("no SQL"))?;
    let client = client(&url.0).await.map_err(ErrorInternalServerError)?;
    let rows = client.query(sql, &[]).await.map_err(ErrorInternalServerError)?;
    let json = encoded(&rows).map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(json))
}

fn encoded(rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Answer<'a> {
        text: &'a str,
        structured: &'a RawValue,
    }
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    let mut all = serializer.serialize_seq(Some(rows.len()))?;
    for row in rows {
        all.serialize_element(&Cells(row))?;
    }
    all.end()?;
    let rows = String::from_utf8(out)?;
    Ok(serde_json::to_vec(&Answer { text: &rows, structured: serde_json::from_str(&rows)? })?)
}

struct Cells<'a>(&'a Row);

impl Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cells = serializer.serialize_seq(Some(self.0.len()))?;
        for (at, column) in self.0.columns().iter().enumerate() {
            match *column.type_() {
                Type::INT4 => cells.serialize_element(&self.0.get::<_, Option<i32>>(at))?,
                Type::INT8 => cells.serialize_element(&self.0.get::<_, Option<i64>>(at))?,
                Type::TEXT => cells.serialize_element(&self.0.get::<_, Option<&str>>(at))?,
                _ => return Err(serde::ser::Error::custom("a type that is not measured")),
            }
        }
        cells.end()
    }
}
