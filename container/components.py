"""What an OpenAPI schema of Cog says of a predictor's inputs and output, references resolved."""

from typing import Any

Schema = dict[str, Any]


def inputs_of(schema: Schema) -> dict[str, Schema]:
    """Each input in order, with the type and the values of the enumeration it refers to folded in."""
    components = _components(schema)
    properties: dict[str, Schema] = components["Input"]["properties"]
    return {name: {**_referred(described, components), **described} for name, described in properties.items()}


def required_of(schema: Schema) -> list[str]:
    required: list[str] = _components(schema)["Input"].get("required", [])
    return required


def output_of(schema: Schema) -> Schema:
    output: Schema = _components(schema)["Output"]
    return output


def _components(schema: Schema) -> Schema:
    components: Schema = schema["components"]["schemas"]
    return components


def _referred(described: Schema, components: Schema) -> Schema:
    references = [part["$ref"].rpartition("/")[2] for part in described.get("allOf", ())]
    return {key: components[name][key] for name in references for key in ("type", "enum")}
