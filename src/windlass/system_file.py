"""``system.yml``: what a system is called and which engine it runs on."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from windlass_engine import dialects
from windlass_engine.project.mistakes import Mistake

FILE = "system.yml"
_LISTS = ("optional", "ignored")
_TEXTS = ("name", "engine", "title", "description")
_KEYS = (*_TEXTS, *_LISTS)
_NEEDED = ("name", "engine")


@dataclass(frozen=True)
class SystemFile:
    """The values of a ``system.yml``; what it lacks is empty.

    ``optional`` and ``ignored`` are patterns for an audit, of objects (``index public.a_*``), of whole tables
    (``table a``) and of the migrations that bring them.
    """

    name: str = ""
    engine: str = ""
    title: str = ""
    description: str = ""
    optional: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def read_system_file(data: bytes, path: str, folder: str) -> tuple[SystemFile, list[Mistake]]:
    """Return the file's values and the mistakes in it; ``folder`` is the name that it must repeat."""
    try:
        root = yaml.compose(data, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or "cannot be read"
        return SystemFile(), [Mistake(path, mark.line + 1 if mark else 0, f"is no YAML: {said}")]
    if not isinstance(root, yaml.MappingNode):
        return SystemFile(), [Mistake(path, 1, "holds no keys", "write name, engine, title and description")]
    values: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    mistakes = list(_read(root, path, values, lists))
    mistakes += [Mistake(path, 0, f"lacks `{key}`") for key in _NEEDED if not values.get(key)]
    mistakes += _judge(values, path, folder)
    name, engine, title, description = (values.get(key, "") for key in _TEXTS)
    optional, ignored = (lists.get(key, ()) for key in _LISTS)
    return SystemFile(name, engine, title, description, optional, ignored), mistakes


def _read(
    root: yaml.MappingNode, path: str, values: dict[str, str], lists: dict[str, tuple[str, ...]]
) -> Iterator[Mistake]:
    for key_node, value_node in root.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1, 0.5)
            yield Mistake(path, line, f"unknown key `{key}`", f"did you mean `{near[0]}`?" if near else _known())
        elif key in _LISTS:
            if _is_list(value_node):
                lists[key] = tuple(item.value.strip() for item in value_node.value)
            else:
                yield Mistake(path, line, f"`{key}` is a list of patterns")
        elif key in values:
            yield Mistake(path, line, f"`{key}` stands here twice")
        elif not isinstance(value_node, yaml.ScalarNode):
            yield Mistake(path, line, f"`{key}` is a text")
            values[key] = "?"
        else:
            values[key] = value_node.value.strip()


def _is_list(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value)


def _known() -> str:
    return f"known are {', '.join(_KEYS)}"


def _judge(values: dict[str, str], path: str, folder: str) -> Iterator[Mistake]:
    name, engine = values.get("name"), values.get("engine")
    if name and name not in (folder, "?"):
        yield Mistake(path, 0, f"is called `{name}` but stands in the folder `{folder}`", "make them equal")
    if engine and engine != "?" and engine not in dialects.names():
        yield Mistake(path, 0, f"unknown engine `{engine}`", f"known are {', '.join(dialects.names())}")
