"""Templates of the account: fields typed by their names; a value against its type is 47003."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator

from deploy.wechat_sandbox.answers import Refused
from services.notify.adapters.wechat.fields import FIELD_RULES, admits, field_type


class Template(BaseModel):
    """`fields` maps a field's name to its label on the phone; `consts` lists the approved values of const fields."""

    model_config = ConfigDict(extra="forbid")

    template_id: str = Field(min_length=1, max_length=64)
    title: str
    fields: dict[str, str] = Field(min_length=1)
    consts: dict[str, list[str]] = {}

    @field_validator("fields")
    @classmethod
    def _names_carry_a_type(cls, fields: dict[str, str]) -> dict[str, str]:
        for name in fields:
            if not name[-1:].isdigit() or not field_type(name):
                raise ValueError(f"{name}：应为类型加序号，如 thing1。 Name fields by type and number, as thing1.")
        return fields

    def values_of(self, *, data: object) -> dict[str, str]:
        """The values of this template's fields; what else is in `data` is ignored. Raises `Refused` 47003."""
        if not isinstance(data, Mapping):
            raise Refused(47003, "argument invalid! data invalid")
        return {name: self._value(name, data.get(name)) for name in self.fields}

    def _value(self, name: str, entry: object) -> str:
        value = entry.get("value") if isinstance(entry, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        rule = FIELD_RULES.get(field_type(name))
        approved = frozenset(self.consts[name]) if name in self.consts else None
        good = isinstance(value, str) and value.strip() != ""
        if good and rule is not None:
            good = admits(rule=rule, value=str(value), approved=approved)
        if not good:
            raise Refused(47003, f"argument invalid! data.{name}.value invalid")
        return str(value)

    def listing(self) -> dict[str, str]:
        content = "\n".join(f"{label}:{{{{{name}.DATA}}}}" for name, label in self.fields.items())
        return {"template_id": self.template_id, "title": self.title, "primary_industry": "", "deputy_industry": "",
                "content": content, "example": ""}  # fmt: skip
