"""What a browser or a client posts: fields of an urlencoded or multipart form."""

from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Part:
    content: bytes
    content_type: str = "text/plain"
    filename: str = ""

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


def read_form(*, content_type: str, raw: bytes) -> dict[str, Part]:
    """The first part of each name; empty for anything that is no form."""
    if not content_type.startswith("multipart/"):
        fields = parse_qs(raw.decode("utf-8", "replace"))
        return {name: Part(values[0].encode()) for name, values in fields.items()}
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + raw)
    found: dict[str, Part] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found.setdefault(name, Part(content, part.get_content_type(), part.get_filename() or ""))
    return found
