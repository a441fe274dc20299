"""Options of `fimq train` that are refused before any work."""

import pytest
from click.testing import CliRunner

from fimq_training.commands.train import train


@pytest.mark.parametrize("command", ["fit", "split", "forge", "calibrate"])
def test_a_seed_below_zero_is_no_seed(command):
    result = CliRunner().invoke(train, [command, "--seed", "-1"])
    assert result.exit_code == 2
    assert "'--seed': -1 is not in the range" in result.output
