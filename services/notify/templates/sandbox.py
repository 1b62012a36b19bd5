"""Templates that people edit: names, conditions, one filter and nothing else; no loop, no call, no attribute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_SOURCE_CHARS, MOST_TEXT_CHARS, MOST_SHORT_CHARS = 2_000, 4_000, 200
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Filter, nodes.Const, nodes.If, nodes.CondExpr,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip


class BadTemplate(ValueError):
    """What is wrong with a template's source, in both languages."""

    def __init__(self, *, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


_SHORT_CHARS = 32


def short(items: Sequence[str], longest: int = _SHORT_CHARS) -> str:
    """As many items as fit and how many more there are: `first,second,+3`; never a part of an item."""
    if not items:
        return "-"
    for shown in range(len(items), 0, -1):
        rest = len(items) - shown
        line = ",".join(items[:shown]) + (f",+{rest}" if rest else "")
        if len(line) <= longest:
            return line
    return str(len(items))


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.tests.clear()
    environment.filters = {"short": short}
    return environment


def check_source(source: str, *, names: frozenset[str]) -> None:
    """Raises `BadTemplate` for what is too long, cannot be read, does more than it may, or names unknown facts."""
    if len(source) > MOST_SOURCE_CHARS:
        raise BadTemplate(
            zh=f"模板超过 {MOST_SOURCE_CHARS} 字，请缩短", en=f"longer than {MOST_SOURCE_CHARS} characters; shorten it"
        )
    try:
        tree = _environment().parse(source)
    except TemplateError as error:
        raise BadTemplate(zh=f"模板语法有误：{error}", en=f"cannot be read: {error}") from error
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            kind = type(node).__name__
            raise BadTemplate(
                zh=f"不支持 {kind}；只能使用变量、条件和 short 过滤器",
                en=f"{kind} is not supported; only names, conditions and the filter short are",
            )
        if isinstance(node, nodes.Filter):
            _check_filter(node)
    if unknown := sorted(meta.find_undeclared_variables(tree) - names):
        raise BadTemplate(
            zh=f"未知变量 {'、'.join(unknown)}；可用：{'、'.join(sorted(names))}",
            en=f"unknown {', '.join(unknown)}; there are {', '.join(sorted(names))}",
        )


def _check_filter(node: nodes.Filter) -> None:
    size = node.args[0] if len(node.args) == 1 else nodes.Const(MOST_SHORT_CHARS) if not node.args else None
    good = (
        node.name == "short"
        and isinstance(size, nodes.Const)
        and isinstance(size.value, int)
        and 0 < size.value <= MOST_SHORT_CHARS
    )
    if not good:
        raise BadTemplate(
            zh=f"只支持过滤器 short(1..{MOST_SHORT_CHARS})", en=f"the only filter is short(1..{MOST_SHORT_CHARS})"
        )


@lru_cache(maxsize=2_000)
def _compiled(source: str) -> Any:
    return _environment().from_string(source)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A source that is no more than texts, names and shortened names (name, longest); such are most of all fields."""

    parts: tuple[str | tuple[str, int | None], ...]
    names: frozenset[str]


@lru_cache(maxsize=2_000)
def _plain(source: str) -> _Plain | None:
    parts: list[str | tuple[str, int | None]] = []
    for output in _environment().parse(source).body:
        for node in output.nodes if isinstance(output, nodes.Output) else [output]:
            if isinstance(node, nodes.TemplateData):
                parts.append(node.data)
            elif isinstance(node, nodes.Name):
                parts.append((node.name, None))
            elif isinstance(node, nodes.Filter) and isinstance(node.node, nodes.Name) and node.name == "short":
                size = node.args[0] if node.args else nodes.Const(_SHORT_CHARS)
                if not isinstance(size, nodes.Const):
                    return None
                parts.append((node.node.name, size.value))
            else:
                return None
    return _Plain(tuple(parts), frozenset(part[0] for part in parts if not isinstance(part, str)))


def _filled(plain: _Plain, context: Mapping[str, Any]) -> str:
    text = ""
    for part in plain.parts:
        if isinstance(part, str):
            text += part
        else:
            name, longest = part
            text += str(context[name]) if longest is None else short(context[name], longest)
    return text


def render_all(sources: Sequence[str], context: Mapping[str, Any]) -> list[str]:
    """The texts of several sources over one context. Raises `jinja2.UndefinedError` for a name that it lacks."""
    shared, texts = None, []
    for source in sources:
        plain = _plain(source)
        if plain is not None and plain.names <= context.keys():
            text = _filled(plain, context)
        else:
            template = _compiled(source)
            shared = shared or template.new_context(dict(context), shared=True)
            text = "".join(template.root_render_func(shared))
        if len(text) > MOST_TEXT_CHARS:
            raise BadTemplate(zh=f"文本超过 {MOST_TEXT_CHARS} 字", en=f"the text exceeds {MOST_TEXT_CHARS} characters")
        texts.append(text)
    return texts


def render(source: str, context: Mapping[str, Any]) -> str:
    return render_all([source], context)[0]
