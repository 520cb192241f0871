"""How a client finds its way in a database that it does not know: by tools, resources, the prompt and completions.

The same form as scenarios.py, of which these are a part.
"""

import json

from scenarios import holds, same, text_of

PROMPT = "explore_data"
TABLE_TEMPLATE = "sequel://sources/{source}/tables/{table}"


def _source(driver):
    return driver.call("list_data_sources")["structuredContent"]["data_sources"][0]["name"]


def _content(driver, tool, **arguments):
    result = driver.call(tool, **arguments)
    holds(not result.get("isError"), f"{tool} failed: {text_of(result)}")
    return result["structuredContent"]


def _bare(table):
    """Its name without its schema's."""
    return table.rsplit(".", 1)[-1]


def searches_the_schema(case):
    """finds a table by a word, and all tables without one"""
    with case.connected() as driver:
        found = _content(driver, "search_schema", query="flights")
        holds("flights" in [_bare(table["name"]) for table in found["tables"]], f"no table flights in {found}")
        every = _content(driver, "search_schema", detail="names", limit=1000)
        same("the tables", sorted(table["name"] for table in every["tables"]), case.truth.tables())


def describes_a_table(case):
    """learns the columns of a table, and hears of one that there is not"""
    with case.connected() as driver:
        for table in case.truth.tables():
            described = _content(driver, "describe_table", table=table)
            same(f"the columns of {table}", [column["name"] for column in described["columns"]], case.truth.columns(table))
        wrong = driver.call("describe_table", table="flihgts")
        holds(wrong.get("isError") and "flights" in text_of(wrong), f"no hint at the right name: {text_of(wrong)!r}")


def explains(case):
    """sees how a query would be carried out"""
    with case.connected() as driver:
        plan = _content(driver, "explain_query", sql="SELECT * FROM flights WHERE id = 1")["plan"]
        holds(any("flights" in step for step in plan), f"no table flights in the plan {plan}")


def reads_resources(case):
    """lists the resources and reads those of a data source and of a table"""
    with case.connected() as driver:
        source = _source(driver)
        uri = f"sequel://sources/{source}"
        resources = [resource["uri"] for resource in driver.ask("list_resources")["resources"]]
        same("the resources", resources, [uri])
        templates = [template["uriTemplate"] for template in driver.ask("list_resource_templates")["templates"]]
        holds(TABLE_TEMPLATE in templates, f"no template of tables in {templates}")
        text = "".join(content["text"] for content in driver.ask("read_resource", uri=uri)["contents"])
        for table in case.truth.tables():
            holds(table in text, f"the resource of the source does not name {table}")
        table = driver.ask("read_resource", uri=f"{uri}/tables/airports")["contents"][0]
        same("its kind", table.get("mimeType"), "application/json")
        described = json.loads(table["text"])["schema"]
        same("its columns", [column["name"] for column in described["columns"]], case.truth.columns("airports"))


def follows_the_prompt(case):
    """is offered a prompt and gets its text with the question in it"""
    with case.connected() as driver:
        same("the prompts", [prompt["name"] for prompt in driver.ask("list_prompts")["prompts"]], [PROMPT])
        messages = driver.ask("get_prompt", name=PROMPT, arguments={"question": "Which airport is the busiest?"})["messages"]
        text = "".join(message["content"]["text"] for message in messages)
        holds("Which airport is the busiest?" in text and "search_schema" in text, f"the prompt says {text!r}")


def completes_names(case):
    """completes the names of data sources and tables"""
    with case.connected() as driver:
        source = _source(driver)
        prompt = {"type": "ref/prompt", "name": PROMPT}
        values = driver.ask("complete", ref=prompt, argument={"name": "source", "value": source[:2]})["values"]
        same("the sources", values, [source])
        template = {"type": "ref/resource", "uri": TABLE_TEMPLATE}
        values = driver.ask("complete", ref=template, argument={"name": "table", "value": "air"})["values"]
        same("the tables", values, [name for name in case.truth.tables() if _bare(name).startswith("air")])


# Scenario → the operation that a client needs for it beside the tools themselves.
NEEDS = {reads_resources: "list_resources", follows_the_prompt: "get_prompt", completes_names: "complete"}

EACH = [searches_the_schema, describes_a_table, explains, reads_resources, follows_the_prompt, completes_names]
