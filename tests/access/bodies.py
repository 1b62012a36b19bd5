"""The smallest body that a route's OpenAPI document accepts."""

import io
from typing import Any

from PIL import Image

_FORMATS = {
    "uuid": "11111111-1111-4111-8111-111111111111", "date": "2026-06-15", "date-time": "2026-06-20T02:00:00Z",
    "binary": "photo",
}  # fmt: skip
_BOUNDARY = "keyline-boundary"


def sample(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """A value that keeps `schema`. A `pattern` is met by its example only: give one in the schema."""
    if "$ref" in schema:
        return sample(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document)
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return sample(schema[word][0], document)
    return _of_type(schema, document)


def _of_type(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", [])
        return {name: sample(schema["properties"][name], document) for name in wanted}
    if "prefixItems" in schema:
        return [sample(item, document) for item in schema["prefixItems"]]
    if kind == "array":
        return [sample(schema["items"], document)] * schema["minItems"] if schema.get("minItems") else []
    if kind in {"integer", "number"}:
        return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    return _FORMATS.get(schema.get("format", ""), "a" * max(8, schema.get("minLength", 0)))


def photo_form() -> tuple[bytes, str]:
    """A form with a real picture, and its content type."""
    picture = io.BytesIO()
    Image.new("RGB", (32, 32), "white").save(picture, "JPEG")
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + picture.getvalue() + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={_BOUNDARY}"
