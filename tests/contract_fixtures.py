"""Two declarations of one input, brought into the same words: predict.py's and that of models/inputs."""

from container.declaration import InputDeclaration


def stated(declared: InputDeclaration) -> dict:
    """What predict.py says of an input, in the words of JSON schema."""
    options = declared.options
    limits = {"minimum": "ge", "maximum": "le", "minLength": "min_length", "maxLength": "max_length"}
    found = {word: options[option] for word, option in limits.items() if option in options}
    found |= {"enum": options["choices"]} if "choices" in options else {}
    found |= {"default": options["default"]} if declared.has_default else {}
    words = {"Path": {"format": "path"}, "Secret": {"format": "password", "writeOnly": True}}
    kind = {"type": declared.type.schema["type"], **words.get(declared.type.name, {})}
    return {**kind, **found, "nullable": declared.type.is_optional, "description": options["description"]}


def expected(field: dict) -> dict:
    """What models/inputs says of the same input, in the words of pydantic's JSON schema."""
    variants = [variant for variant in field.get("anyOf", [field]) if variant.get("type") != "null"]
    assert len(variants) == 1
    merged = {**variants[0], **{key: value for key, value in field.items() if key != "anyOf"}}
    merged.pop("title", None)
    for option, word in (("ge", "minimum"), ("le", "maximum")):  # pydantic's words for the bounds of an optional field
        if option in merged:
            merged[word] = merged.pop(option)
    return {**merged, "nullable": len(field.get("anyOf", [])) == 2}
