//! The OpenAPI 3.1 document of the administration, made from the table of operations and the shapes.

use actix_web::HttpResponse;
use utoipa::ToSchema;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
};

use super::table::{OPERATIONS, Operation};
use crate::api;

/// The version of the API. Members and operations may be added within one.
const API_VERSION: &str = "1";

const DESCRIPTION: &str = "Administration of a Sequel server: organizations, their API keys and data sources. It is \
served on a unix socket that only the server's own user can open; `sequel` on the command line is a client of it. In \
a path, an organization and a data source are named by id or name, an API key by id, name or prefix. Times are RFC \
3339 in UTC. Members may be added to answers.";

/// The document.
pub fn document() -> OpenApi {
    let mut schemas = Vec::new();
    let mut paths = PathsBuilder::new();
    for operation in OPERATIONS {
        let item = PathItem::new(method(operation.method), described(operation, &mut schemas));
        paths = paths.path(format!("{}{}", api::BASE, operation.path), item);
    }
    schemas.push((api::Problem::name().into_owned(), <api::Problem as utoipa::PartialSchema>::schema()));
    let info = InfoBuilder::new()
        .title("Sequel administration")
        .version(API_VERSION)
        .description(Some(DESCRIPTION))
        .build();
    let components = schemas
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

/// The document as it is served and printed.
pub fn text() -> String {
    document().to_pretty_json().expect("a document of strings and maps can be written")
}

pub(super) async fn serve() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(text())
}

fn described(operation: &Operation, schemas: &mut Vec<(String, RefOr<Schema>)>) -> OperationBuilder {
    let mut built = OperationBuilder::new().operation_id(Some(operation.id)).summary(Some(operation.summary));
    for name in operation.path.split(['{', '}']).skip(1).step_by(2) {
        built = built.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(of_type(Type::String))),
        );
    }
    for parameter in operation.parameters {
        built = built.parameter(
            ParameterBuilder::new()
                .name(parameter.name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(parameter.meaning))
                .schema(Some(of_type(parameter.kind.clone()))),
        );
    }
    if let Some(shape) = operation.request {
        let content = ContentBuilder::new().schema(Some(shape(schemas))).build();
        let body =
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        built = built.request_body(Some(body.build()));
    }
    let answer = match operation.answer {
        Some(shape) => RefOr::Ref(shape(schemas)),
        None if operation.media == "application/json" => of_type(Type::Object),
        None => of_type(Type::String),
    };
    let done = ResponseBuilder::new()
        .description("It was done")
        .content(operation.media, ContentBuilder::new().schema(Some(answer)).build());
    let problem = Ref::from_schema_name(api::Problem::name());
    let refused = ResponseBuilder::new()
        .description(
            "It was not done, or it is not known whether it was: `code` says which, `detail` what to do",
        )
        .content("application/problem+json", ContentBuilder::new().schema(Some(problem)).build());
    built.response(operation.status.to_string(), done.build()).response("default", refused.build())
}

fn of_type(schema_type: Type) -> RefOr<Schema> {
    RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(SchemaType::new(schema_type)).build()))
}

fn method(name: &str) -> HttpMethod {
    match name {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        other => unreachable!("no operation has the method {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_table_is_in_the_document_and_none_twice() {
        let document = serde_json::to_value(document()).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for operation in OPERATIONS {
            let path = format!("{}{}", api::BASE, operation.path);
            let found = &document["paths"][&path][operation.method.to_lowercase()];
            assert_eq!(found["operationId"], operation.id, "{} {path}", operation.method);
            assert!(ids.insert(operation.id), "{}", operation.id);
        }
        let described: usize =
            document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
        assert_eq!(described, OPERATIONS.len());
    }

    #[test]
    fn the_document_is_openapi_3_1_and_as_it_was_committed() {
        let document = serde_json::to_value(document()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
        insta::assert_snapshot!(text());
    }
}
