"""How a tool ends when something is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from mmengine.config import DictAction
from rich.console import Console
from torch.distributed.elastic.multiprocessing.errors import record

TRACEBACK = 'MEDCTX3D_TRACEBACK'


class ConfigOption(DictAction):
    """mmengine's ``KEY=VALUE`` pairs, refused with a usage message where the ``=`` is missing."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Read the pairs of one ``--cfg-options``."""
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string}: must be KEY=VALUE without blanks around "=", got {value!r}')
        super().__call__(parser, namespace, values, option_string)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add what says how a config is read, ``--cfg-options`` and ``--safe``, to a tool."""
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOption, metavar='KEY=VALUE', help='overrides of config values'
    )
    parser.add_argument(
        '--safe', action='store_true', help='read the config as data, for one not trusted: nothing in it is run'
    )


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool's ``main`` and turn errors of use into one readable message and exit code 1.

    A wrong file, value or option raises ValueError or OSError somewhere with a message that says what to do; the
    call stack in front of it helps nobody who does not know the code. Every other error is a defect of the program
    and keeps its traceback. ``MEDCTX3D_TRACEBACK=1`` shows it always. In a job of torchrun the error is recorded too:
    torchrun then names the rank, the host and the error that ended the job.

    Args:
        main: Reads ``sys.argv`` itself.
    """
    if 'TORCHELASTIC_ERROR_FILE' in os.environ:
        main = record(main)
    try:
        main()
    except (ValueError, OSError) as error:
        if os.environ.get(TRACEBACK):
            raise
        console = Console(stderr=True, soft_wrap=True)
        console.print(f'error: {error}', style='bold red', markup=False, highlight=False)
        console.print(f'(the call stack: {TRACEBACK}=1)', style='dim', markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit('interrupted')
