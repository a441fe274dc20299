"""The fit: that it learns, that it goes on where it was, and what it leaves."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from extras import need

need("tensorflow", extra="training")

from crop_folder import SIZE
from fimq.errors import CheckpointDamaged, ClassEmpty, ClassMixed, LossNotFinite
from fimq_training.crops.table import CropTable
from fimq_training.fitting.alterations import Alterations
from fimq_training.fitting.checkpoint import Checkpoints
from fimq_training.fitting.crop_task import BINARY, Classes, CropTask
from fimq_training.fitting.fit import Fit
from fimq_training.fitting.history import History
from fimq_training.fitting.inputs import CropInputs
from fimq_training.fitting.plan import Plan
from fimq_training.fitting.run import put
from fimq_training.networks.names import by_name
from fimq_training.networks.paper import baseline

PLAN = Plan(epochs=4, batch=16, rate=0.003, keep=2)
ALTERATIONS = Alterations(flip=True, zoom=0.1, shear=5)


def task(table, plan=PLAN, *, validation=True):
    classes = Classes(BINARY, "label")
    half = CropTable(table.crops[:40], table.folders)
    rest = CropTable(table.crops[40:], table.folders)

    def inputs(part):
        examples = classes.examples(part, balanced=plan.class_weights == "balanced")
        return CropInputs(examples, size=SIZE, batch=plan.batch, seed=7)

    return CropTask(
        lambda: baseline(2, SIZE),
        inputs(half),
        inputs(rest) if validation else None,
        classes=2,
        alterations=ALTERATIONS,
        smoothing=plan.smoothing,
    )


def rows_of(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def run(folder, table, plan=PLAN, **kwargs):
    fit = Fit(folder, task(table, plan, **kwargs), plan, seed=7)
    return fit, list(fit.run())


class TestFit:
    def test_it_learns_and_leaves_what_it_promises(self, table, tmp_path):
        plan = PLAN.model_copy(update={"epochs": 12})
        fit, reports = run(tmp_path, table, plan)
        assert reports[-1].epoch == 12
        assert fit.history.epochs[-1].val_accuracy > 0.9
        assert fit.history.epochs[-1].loss < fit.history.epochs[0].loss
        assert len(rows_of(tmp_path)) == 12
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert list((tmp_path / "tensorboard").iterdir())
        with np.load(tmp_path / "best.npz", allow_pickle=False) as best:
            assert set(best.files) == set(fit.weights())

    def test_a_finished_fit_does_nothing_more(self, table, tmp_path):
        first, _ = run(tmp_path, table)
        again, reports = run(tmp_path, table)
        assert not reports
        assert again.history.epochs == first.history.epochs

    def test_a_stop_before_the_last_row_was_written_does_not_lose_it(
        self, table, tmp_path, monkeypatch
    ):
        plan = PLAN.model_copy(update={"epochs": 1})

        def stop(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(History, "write_csv", stop)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path, table, plan)
        assert not (tmp_path / "log.csv").exists()
        run(tmp_path, table, plan)
        assert [row["epoch"] for row in rows_of(tmp_path)] == ["1"]
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")

    def test_the_same_seed_gives_the_same_curve(self, table, tmp_path):
        one, _ = run(tmp_path / "a", table)
        two, _ = run(tmp_path / "b", table)
        assert [e.loss for e in one.history.epochs] == pytest.approx(
            [e.loss for e in two.history.epochs], rel=1e-5
        )

    def test_the_best_epoch_is_kept_and_patience_ends_it(self, table, tmp_path):
        # A rate that is far too high: validation gets worse at once.
        plan = Plan(epochs=30, batch=16, rate=0.2, patience=2)
        fit, _ = run(tmp_path, table, plan)
        epochs = fit.history.epochs
        assert len(epochs) < 30
        assert epochs[-1].epoch - fit.history.best.epoch == 2
        assert fit.history.best.val_loss == min(e.val_loss for e in epochs)

    def test_a_loss_that_is_no_number_stops_it(self, table, tmp_path):
        plan = Plan(epochs=3, batch=16, rate=1.0, keep=1)
        broken = task(table, plan)
        broken.build = lambda: _with_infinite_weights(baseline(2, SIZE))
        with pytest.raises(LossNotFinite, match="step 1"):
            list(Fit(tmp_path, broken, plan, seed=1).run())
        assert not (tmp_path / "weights.npz").exists()

    @pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
    def test_mixed_precision_learns_too(self, table, tmp_path, precision):
        plan = PLAN.model_copy(update={"precision": precision, "epochs": 8})
        fit, _ = run(tmp_path, table, plan)
        assert fit.history.epochs[-1].val_accuracy > 0.8
        assert all(array.dtype == np.float32 for array in fit.weights().values())

    def test_the_moving_average_is_what_is_judged_and_kept(self, table, tmp_path):
        plan = PLAN.model_copy(update={"ema": 0.9, "optimizer": "adamw", "weight_decay": 0.01})
        fit, _ = run(tmp_path, table, plan)
        names = set(by_name(fit.model.trainable_variables))
        raw = {n: np.asarray(v.value) for n, v in by_name(fit.model.weights).items()}
        kept = fit.weights()
        assert any(not np.array_equal(kept[name], raw[name]) for name in names)
        scores = _scored(fit, kept, table)
        assert fit.history.epochs[-1].val_loss == pytest.approx(scores, rel=1e-4)

    def test_classes_are_weighed_by_their_number(self, table):
        few = CropTable(
            [c for c in table.crops if not c.manipulated or int(c.video[:3]) < 10], table.folders
        )
        examples = Classes(BINARY, "label").examples(few, balanced=True)
        counts = np.bincount(examples.classes)
        assert counts[0] * examples.weights[0] == pytest.approx(counts[1] * examples.weights[1])

    def test_a_class_without_images_is_named(self, table):
        with pytest.raises(ClassEmpty, match="FaceSwap"):
            Classes(("Deepfakes", "FaceSwap"), "collection").examples(table, balanced=False)

    def test_a_collection_of_both_labels_is_named(self, table):
        mixed = [replace(crop, collection="Both") for crop in table.crops[:4]]
        mixed = CropTable([*mixed, *table.crops[4:]], table.folders)
        with pytest.raises(ClassMixed, match="Both"):
            Classes.of(mixed).manipulated(mixed)
        chosen = Classes(("Deepfakes", "Youtube"), "collection")
        assert chosen.manipulated(mixed) == {"Deepfakes": True, "Youtube": False}


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_fit import PLAN, task
from fimq_training.crops.table import CropTable
from fimq_training.fitting.fit import Fit
fit = Fit(Path(sys.argv[3]), task(CropTable.read(Path(sys.argv[2]))), PLAN, seed=7)
for progress in fit.run():
    pass
"""


def in_a_process(folder, table, kill_at=None):
    """Fit in a process of its own; `kill_at`: kill it when a checkpoint of that step is there."""
    source = table.folders["made"]
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(source), str(folder)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        if kill_at is not None:
            while process.poll() is None:
                state = Checkpoints(folder).load() if folder.exists() else None
                if state is not None and int(state["step"]) >= kill_at:
                    process.send_signal(signal.SIGKILL)
                    break
        _, error = process.communicate()
    return process.returncode, error


ON_DEVICES = """
import json, sys
from pathlib import Path
import tensorflow as tf
count = int(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
sys.path.insert(0, sys.argv[2])
from test_fit import PLAN, task
from fimq_training.crops.table import CropTable
from fimq_training.fitting.fit import Fit
plan = PLAN.model_copy(update={"devices": "all", "ema": 0.9})
fit = Fit(Path(sys.argv[4]), task(CropTable.read(Path(sys.argv[3])), plan), plan, seed=7)
for progress in fit.run():
    pass
epochs = [(e.loss, e.val_loss) for e in fit.history.epochs]
print(json.dumps({"replicas": fit.replicas, "epochs": epochs}))
"""


def test_two_devices_share_each_batch_and_give_the_curve_of_one(table, tmp_path):
    """Logical devices of one CPU: what several GPUs would do, but for their speed."""

    def on(count):
        arguments = (count, Path(__file__).parent, table.folders["made"], tmp_path / str(count))
        done = subprocess.run(
            [sys.executable, "-c", ON_DEVICES, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    one, two = on(1), on(2)
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert np.allclose(one["epochs"], two["epochs"], rtol=2e-3)


class TestGoingOn:
    def test_killed_twice_it_leaves_the_curve_of_an_unbroken_run(self, table, tmp_path):
        code, error = in_a_process(tmp_path / "whole", table)
        assert code == 0, error
        for step in (2, 7):  # in the middle of the first and of the third epoch
            assert in_a_process(tmp_path / "killed", table, kill_at=step)[0] == -signal.SIGKILL
        code, error = in_a_process(tmp_path / "killed", table)
        assert code == 0, error
        assert rows_of(tmp_path / "killed") == rows_of(tmp_path / "whole")
        with (
            np.load(tmp_path / "killed" / "weights.npz") as killed,
            np.load(tmp_path / "whole" / "weights.npz") as whole,
        ):
            for name in whole.files:
                assert np.array_equal(killed[name], whole[name]), name

    def test_a_checkpoint_cut_short_falls_back_to_the_one_before(self, table, tmp_path):
        fit, _ = run(tmp_path, table)
        state = Checkpoints(tmp_path)
        state.latest.write_bytes(state.latest.read_bytes()[:1000])
        again = Fit(tmp_path, task(table), PLAN, seed=7)
        assert 0 < len(again.history.epochs) < len(fit.history.epochs)
        list(again.run())
        assert [e.loss for e in again.history.epochs] == pytest.approx(
            [e.loss for e in fit.history.epochs], rel=1e-5
        )

    def test_no_checkpoint_that_is_whole_is_an_error(self, table, tmp_path):
        run(tmp_path, table)
        for path in tmp_path.glob("state*.npz"):
            path.write_bytes(b"PK")
        with pytest.raises(CheckpointDamaged):
            Fit(tmp_path, task(table), PLAN, seed=7)

    def test_a_checkpoint_of_another_network_is_refused(self, table, tmp_path):
        run(tmp_path, table)
        with pytest.raises(CheckpointDamaged, match="another"):
            Fit(
                tmp_path, task(table), PLAN.model_copy(update={"optimizer": "adamw", "ema": 0.5}), 7
            )


def _with_infinite_weights(model):
    model.layers[-1].bias.assign([np.inf, np.inf])
    return model


def _scored(fit, weights, table):
    """The validation loss of weights, outside of the fit."""
    put(fit.model, weights)
    lost = [
        fit._task.lost(fit.model, batch, training=False)[0] for batch in task(table).validation()
    ]
    return float(np.mean(np.concatenate(lost)))
