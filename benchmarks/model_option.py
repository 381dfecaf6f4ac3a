"""The option of a benchmark that says which model is asked. Knows no benchmark."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from configs.load import load


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, `--model` among them: a model's directory, the default one where it is left out.

    Raises NotReady or NotFound where that is not there.
    """
    parser.add_argument("--model", type=Path, help="the model's directory; unset: the default one, pulled")
    options = parser.parse_args(arguments)
    if options.model is None:
        from actors.engines.choose import model_directory

        options.model = model_directory(load().settings)
    return options
