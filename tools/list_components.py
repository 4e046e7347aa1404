"""List what a config can name: every component of every registry, or of one, with a line each."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from medctx3d.registry import REGISTRIES, closest, list_components
from medctx3d.utils.setup_env import setup_environment


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Examples: python tools/list_components.py backbones; '
        'PYTHONPATH=projects/example_plugin python tools/list_components.py backbone --import tiny_encoder',
    )
    parser.add_argument('kind', nargs='?', help=f'one registry: {", ".join(name.lower() for name in REGISTRIES)}')
    parser.add_argument(
        '--import',
        dest='modules',
        nargs='+',
        default=[],
        metavar='MODULE',
        help='import these first (a plugin)',
    )
    parser.add_argument(
        '--write',
        type=Path,
        metavar='PAGE',
        help='write the tables into the sections of a Markdown page that are named like registries',
    )
    return parser.parse_args(argv)


def collect(kind: str | None) -> dict[str, dict[str, str]]:
    """Registry to component to first docstring line; empty registries only when asked for by name.

    Raises:
        KeyError: No registry is called ``kind``.
    """
    if kind is None:
        return {name: rows for name in REGISTRIES if (rows := list_components(name))}
    for name, registry in REGISTRIES.items():
        if kind.lower() in (name.lower(), registry.name.lower()):
            return {name: list_components(name)}
    close = ', '.join(closest(kind, list(REGISTRIES))).lower()
    hint = f' Closest: {close}.' if close else ''
    raise KeyError(f'no registry is called {kind!r}.{hint} There are: {", ".join(REGISTRIES).lower()}')


def show(tables: dict[str, dict[str, str]]) -> None:
    """Print tables on a terminal, tab-free plain lines into a pipe."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        for kind, rows in tables.items():
            table = Table('name', 'what it is', title=f'{kind} ({len(rows)})', title_justify='left')
            for name, line in rows.items():
                table.add_row(name, line)
            Console().print(table)
        return
    for kind, rows in tables.items():
        print(f'{kind} ({len(rows)})')
        width = max(map(len, rows), default=0)
        for name, line in rows.items():
            print(f'  {name:{width}}  {line}'.rstrip())


def with_tables(page: str, tables: dict[str, dict[str, str]]) -> str:
    """A Markdown page with its tables renewed: in each section ``## KIND``, the rows below ``| name | what it is |``.

    Raises:
        ValueError: A registry that holds components has no section.
    """
    for kind, rows in tables.items():
        section = rf'(^## {kind}\n(?:(?!^## ).*\n)*?\| name \| what it is \|\n\|---\|---\|\n)(?:\|.*\n)*'
        found = re.search(section, page, flags=re.MULTILINE)
        if found is None:
            raise ValueError(f'no section "## {kind}" with a table "| name | what it is |": add it by hand')
        table = ''.join(f'| `{name}` | {line} |\n' for name, line in rows.items())
        page = page[: found.start()] + found[1] + table + page[found.end() :]
    return page


def main(argv: Sequence[str] | None = None) -> int:
    """Print the components; status 2 for an unknown kind."""
    args = parse_args(argv)
    setup_environment()
    for module in args.modules:
        importlib.import_module(module)
    try:
        tables = collect(args.kind)
    except KeyError as error:
        print(f'error: {error.args[0]}', file=sys.stderr)
        return 2
    if args.write is None:
        show(tables)
        return 0
    try:
        text = with_tables(args.write.read_text(encoding='utf-8'), tables)
    except (OSError, ValueError) as error:
        print(f'error: {args.write}: {error}', file=sys.stderr)
        return 2
    args.write.write_text(text, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
