"""What an LLM writes by allows no more than the tool's own schema."""

from assistant.tools.schema import AS_WRITTEN, compiled_form, literals


def test_objects_that_name_properties_have_no_others() -> None:
    inner = {"type": "object", "properties": {"y": {"type": "null"}}}
    schema = {"type": "object", "properties": {"x": inner, "z": {"items": inner}}}
    closed = {**inner, "additionalProperties": False}
    assert compiled_form(schema) == {
        "type": "object",
        "properties": {"x": closed, "z": {"items": closed}},
        "additionalProperties": False,
        "x-guidance": AS_WRITTEN,
    }
    assert schema["properties"] == {"x": inner, "z": {"items": inner}}  # it is not changed


def test_what_a_schema_says_of_other_properties_stays() -> None:
    for schema in (
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object", "properties": {}, "allOf": [{"properties": {"x": {}}}]},
        {"type": "object", "properties": {}, "$ref": "#/$defs/x", "$defs": {}},
    ):
        assert compiled_form(schema) == {**schema, "x-guidance": AS_WRITTEN}


def test_texts_of_a_schema_are_its_names_and_values_but_no_notes() -> None:
    schema = {
        "description": "no",
        "properties": {"description": {"title": "no", "enum": ["a", {"b": ["c"]}, 3]}},
        "required": ["description"],
    }
    found = sorted(literals(schema))
    assert found == ["a", "b", "c", "description", "description", "enum", "required"]
