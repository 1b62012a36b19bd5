"""Reads a multipart form (RFC 7578) whose whole body is already in memory, byte for byte and within limits."""

from email.message import Message

from services.kernel.errors import InvalidInput

_MOST_PARTS = 8


def _refused() -> InvalidInput:
    return InvalidInput(
        zh="请求体须为 multipart/form-data，字段名各不相同，且不超过 8 个。",
        en="The body must be multipart/form-data with at most 8 fields of different names.",
        field="body",
    )


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message


def parse_form(body: bytes, *, content_type: str) -> dict[str, bytes]:
    """Field name -> its bytes. Raises `InvalidInput` for anything that is not such a form."""
    header = _header("Content-Type", content_type)
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary.isascii():
        raise _refused()
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(parts) < 3 or len(parts) > _MOST_PARTS + 2 or not parts[-1].startswith(b"--"):
        raise _refused()
    fields: dict[str, bytes] = {}
    for part in parts[1:-1]:
        name, content = _part(part)
        if name in fields:
            raise _refused()
        fields[name] = content
    return fields


def _part(part: bytes) -> tuple[str, bytes]:
    head, separator, content = part.partition(b"\r\n\r\n")
    for line in head.decode("utf-8", "replace").split("\r\n"):
        label, _, value = line.partition(":")
        if label.strip().lower() == "content-disposition" and separator:
            name = _header("Content-Disposition", value.strip()).get_param("name", header="Content-Disposition")
            if isinstance(name, str):
                return name, content
    raise _refused()
