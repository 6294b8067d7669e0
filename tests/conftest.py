"""Options of the test command."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-dir",
        metavar="DIR",
        help="folder of the *.json files that tests/golden compares with (default: tests/golden/data)",
    )
    parser.addoption(
        "--device",
        metavar="NAME",
        help="where tests/golden (default: cpu) and tests/gpu (default: cuda) compute",
    )
