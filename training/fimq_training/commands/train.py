"""`fimq train`: the group. TensorFlow is imported when a command works, never for its help."""

from __future__ import annotations

import click

from fimq_training.commands.calibrate import calibrate
from fimq_training.commands.evaluate import evaluate
from fimq_training.commands.export import export
from fimq_training.commands.fit import fit
from fimq_training.commands.forge import forge
from fimq_training.commands.gather import gather_command
from fimq_training.commands.make import make
from fimq_training.commands.prepare import prepare
from fimq_training.commands.recipes import recipes
from fimq_training.commands.render import render
from fimq_training.commands.split import audit_command, split
from fimq_training.commands.weights import weights


@click.group("train")
def train() -> None:
    """Rebuild the models: prepare, split, fit, calibrate, evaluate, export.

    Example: fimq train recipes
    """


for command in (
    *(gather_command, prepare, forge, split, audit_command, recipes, weights),
    *(fit, calibrate, evaluate, export, make, render),
):
    train.add_command(command)
