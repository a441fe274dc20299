"""Every command in the docs and in help is run as it stands there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from clips import Clip
from fimq.identifiers import short
from tinymodel import write_package

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Not run here, with the reason.
ELSEWHERE = {
    "make demo": "run from a fresh clone by CI's demo of the wheel",
    "make test": "this is it",
    "make check": "run by CI",
    "make docs": "held by tests/unit/cli",
}
#: Commands that set the scene for the next line of their block.
_RUNS_ON = re.compile(r"fimq worker(?!s| --drain)")
_FIMQ = re.compile(r"^(?:\.venv/bin/)?(fimq [^#]+)")


def _lines() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        if page.parent.name in {"decisions", "reference"}:
            continue
        for block in re.findall(r"```\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.splitlines():
                if found := _FIMQ.match(line):
                    yield page.name, found[1].strip()


def _examples() -> Iterator[tuple[str, str]]:
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    # A long one goes on in the next line; an empty one ends it.
    for found in re.findall(r"Example: (fimq .+(?:\n +.+)*)", reference):
        yield "help", " ".join(found.split())


#: Those of training are run in a scene of their own, in test_training_docs.py.
COMMANDS = sorted(
    {
        line
        for page, line in (*_lines(), *_examples())
        if page != "training.md" and not line.startswith("fimq train")
    }
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the docs name."""
    from fimq_api.demo.clips import make_clips

    folder = tmp_path_factory.mktemp("docs")
    make_clips(folder / "made")
    for name in ("interview.mp4", "clip.mp4", "portrait-swapped.mp4"):
        shutil.copy(folder / "made" / "portrait-swapped.mp4", folder / name)
    shutil.rmtree(folder / "made")
    return folder


def test_every_link_leads_somewhere() -> None:
    pages = [*PAGES, *ROOT.glob("*/README.md"), ROOT / "CONTRIBUTING.md"]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_docs_name_many_commands() -> None:
    assert len(COMMANDS) > 25


@pytest.mark.timeout(400)  # Some fifty commands, one after the other.
def test_every_command_in_docs_and_help_works(installation, scene: Path, face_models: Path) -> None:
    """One installation, every command once; each starts from jobs of every kind."""
    for path in scene.iterdir():
        shutil.copy(path, installation.folder / path.name)
    documents = installation.judge(*sorted(scene.iterdir()))
    cut = installation.folder / "cut.mp4"
    cut.write_bytes(Clip(frames=50).write(installation.folder / "whole.mp4").read_bytes()[:500])
    wheel = _wheel(installation.folder, face_models)
    _label(scene, installation.folder, documents)
    # Commands come in the order of their letters: `card` before `import`.
    write_package(installation.folder / "fimq-b1", name="fimq-b1", version="1.0.0")
    installation.run("models", "import", "fimq-b1")

    failures = []
    for command in COMMANDS:
        said = _run(command, installation, cut, wheel)
        if said:
            failures.append(f"{command}\n{said}")
    assert not failures, "\n\n".join(failures)


def _label(scene: Path, folder: Path, documents: list[dict[str, Any]]) -> None:
    """Videos to evaluate on, one of them called real, and what was said of them before."""
    (folder / "videos").mkdir()
    lines = ["file,label"]
    for path in sorted(scene.iterdir()):
        shutil.copy(path, folder / "videos" / path.name)
        lines.append(f"{path.name},{'real' if path.name == 'interview.mp4' else 'manipulated'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(d) + "\n" for d in documents))


def _run(command: str, installation, cut: Path, wheel: Path) -> str:
    if _RUNS_ON.match(command):
        return _start_and_stop(command, installation)
    words = command.replace(f"{wheel.stem}.whl", str(wheel))
    if "--drain" in words:
        installation.run("up")
        (worker,) = installation.documents("workers")
        words = words.replace("0198f2ab", worker["id"])
    if "0198f2ab" in words:
        words = words.replace("0198f2ab", _job_for(command, installation, cut))
    if "--failed" in words:
        installation.run("submit", cut, "--wait")
    if words.startswith("fimq retry") and "--yes" not in words:
        words += " --yes"
    ran = subprocess.run(
        ["sh", "-c", words.replace("fimq ", f'"{sys.executable}" -m fimq_api ', 1)],
        cwd=installation.folder,
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ran.returncode in _allowed(command):
        return ""
    return f"exit {ran.returncode}\n{ran.stdout}{ran.stderr}"


def _allowed(command: str) -> set[int]:
    if "--exit-verdict" in command:
        return {0, 2, 3, 10}
    if command == "fimq demo":
        return {0}
    if command.startswith("fimq evaluate") and find_spec("tensorflow") is None:
        return {5}
    if command.startswith("fimq engines build") and find_spec("tensorrt_rtx") is None:
        return {5}
    # The glob of the docs finds the cut file of this scene, too.
    return {0, 3} if "*.mp4" in command else {0}


def _job_for(command: str, installation, cut: Path) -> str:
    """A job in the state that the command is for."""
    if "cancel" in command:
        # Nobody works, and nobody answers there: the job is kept, and waits.
        installation.run("down")
        installation.environment["FIMQ_BROKER_URL"] = "redis://127.0.0.1:1/0"
        installation.run("submit", "clip.mp4", "--rescan")
        del installation.environment["FIMQ_BROKER_URL"]
        (row,) = installation.documents("list", "--state", "queued")
        return short(row["job_id"])
    (document,) = installation.judge(installation.folder / "clip.mp4")
    return short(document["job_id"])


def _start_and_stop(command: str, installation) -> str:
    process = installation.start(*command.split()[1:])
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "worker ready" in line:
            process.terminate()
    process.communicate(timeout=60)
    return "" if process.returncode == 0 else f"exit {process.returncode}\n{''.join(said)}"


def _wheel(folder: Path, face_models: Path) -> Path:
    """A wheel as `fimq models fetch --from` takes it, from the verified files."""
    import zipfile

    from fimq.models.face_models import FACE_MODELS

    wheel = folder / "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for model in FACE_MODELS:
            archive.write(face_models / model.file_name, model.wheel_path)
    return wheel
