"""Write one page about a run: how it trained, how it scores, and the cases to look at.

    python tools/report.py work_dirs/run
    python tools/report.py work_dirs/run --results work_dirs/run/test --cases 5
    python tools/report.py work_dirs/run --out report --cfg-options test_dataloader.dataset.data_root=/new/place

report.html opens in any browser without a network; report.md and report.json say the same in text and numbers.
For pictures of predictions, test with --save-predictions first. The page holds image data: share it as you would
share the scans.
"""

from __future__ import annotations

import argparse

from medctx3d.registry import register_all_modules
from medctx3d.reporting import write_report
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.setup_env import setup_environment


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', help='the --work-dir of tools/train.py and tools/test.py')
    parser.add_argument('--results', help='the --out of tools/test.py, if there was one (default: the work dir)')
    parser.add_argument('--out', help='folder for the three files (default: the work dir)')
    parser.add_argument('--cases', type=int, default=3, help='worst cases, and as many best (default: %(default)s)')
    parser.add_argument(
        '--page-mb', type=float, default=12.0, help='size that volumes are made coarser for (default: %(default)s)'
    )
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the command line, write the report."""
    args = parse_args()
    setup_environment()
    register_all_modules()
    report = write_report(
        args.work_dir,
        results=args.results,
        out=args.out,
        cases=args.cases,
        page_mb=args.page_mb,
        options=args.cfg_options,
        safe=args.safe,
    )
    print(f'done: {report.page.resolve()}, with {report.markdown.name} and {report.data.name} beside it')


if __name__ == '__main__':
    run_tool(main)
