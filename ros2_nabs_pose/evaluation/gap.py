# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""From synthetic to real: every preset on every real set, and what parts of the truth would bring.

The work is cut into parts, a set with a preset (and one part of the truth) each. A part's report is
kept in a file that names the models and settings it was made with, so that a stopped run goes on
where it was, and a part that is out of date is measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
import hashlib
import json
from pathlib import Path
from typing import Any

from . import APART
from .accuracy import Answer, Inputs, ObjectResult, Pipeline, report, summarise, sure_of
from .gap_targets import targets
from .metrics import reliability
from .pictures import write_overlays
from .sets import EvaluationSet, read_set
from .truth import evaluate_with, has_truth, missing_truth
from ..core import PosePipeline
from ..core.files import write_text_whole
from ..core.presets import PRESETS
from ..core.types import PoseError
from ..resources import find_refiner

SETS = ('scans', 'tables', 'ycbv', 'photos', 'mug-sequence')
DEPTH = 'depth'
"""No truth but a measurement: the set's depth gives the scale."""
MAX_CODE_FRAMES = 100
"""A code takes seconds an object to fit: longer sets are left out of that."""

Load = Callable[[type[PosePipeline], str], Pipeline]


@dataclass(frozen=True)
class Part:
    """A set's name, a preset, and what is put in: '' (nothing), 'depth', a part of the truth, or
    'apart' (nothing, and no object tells another).
    """

    set: str
    preset: str
    put_in: str = ''

    @property
    def name(self) -> str:
        """What its files are called."""
        return '-'.join(filter(None, (self.set, self.preset, self.put_in)))


@dataclass(frozen=True)
class Plan:
    """What to measure. root: folder of the sets. out: folder of parts and overlays. truths are put
    into ``truth_preset``. settings: what else the figures depend on (models, seed, categories).
    """

    root: Path
    out: Path
    presets: tuple[str, ...]
    truths: tuple[str, ...]
    truth_preset: str
    settings: Mapping[str, Any]
    again: bool = False


def read_sets(root: Path) -> dict[str, EvaluationSet]:
    """The real sets that a folder holds, by name; PoseError where it holds none."""
    if not root.is_dir():
        raise PoseError(f'There is no folder {root}: give the one that holds '
                        f'{", ".join(SETS)}, or some of them.')
    found = {name: replace(read_set(root / name), name=name) for name in SETS
             if (root / name / 'annotations.json').is_file()}
    if not found:
        raise PoseError(f'{root} holds none of {", ".join(SETS)}: each is a folder with '
                        'annotations.json.')
    return found


def parts_of(plan: Plan, sets: Mapping[str, EvaluationSet]) -> tuple[list[Part], list[str]]:
    """What there is to do, and a sentence for each thing that cannot be done."""
    for preset in (*plan.presets, plan.truth_preset):
        if preset not in PRESETS:
            raise PoseError(f'There is no preset "{preset}": choose from {", ".join(PRESETS)}.')
    parts = [Part(name, preset) for name in sets for preset in plan.presets]
    parts += [p for p in (Part(name, plan.truth_preset) for name in sets) if p not in parts]
    cannot = []
    for name, evaluation_set in sets.items():
        for put_in in (APART, DEPTH, *plan.truths):
            lacking = _lacking(evaluation_set, put_in)
            if lacking:
                cannot.append(lacking)
            else:
                parts.append(Part(name, plan.truth_preset, put_in))
    return parts, cannot


def _lacking(evaluation_set: EvaluationSet, put_in: str) -> str:
    if put_in == DEPTH:
        known = any(f.depth_path is not None for f in evaluation_set.frames)
        return '' if known else f'"{evaluation_set.name}" has no depth.'
    if put_in == 'code' and len(evaluation_set.frames) > MAX_CODE_FRAMES:
        return (f'"{evaluation_set.name}" has {len(evaluation_set.frames)} frames: codes are '
                'fitted on shorter sets only, for the time it takes.')
    return missing_truth(evaluation_set, put_in)


def fingerprint(plan: Plan, part: Part) -> dict[str, Any]:
    """What a part's figures depend on, as its file states it."""
    annotations = (plan.root / part.set / 'annotations.json').read_bytes()
    made_from = {**plan.settings, 'preset': repr(PRESETS[part.preset]),
                 'annotations': hashlib.sha256(annotations).hexdigest()[:16],
                 'code': _code_hash()}
    return dict(json.loads(json.dumps(made_from)))


@cache
def _code_hash() -> str:
    """Hash of the sources that figures depend on: the method's, and what judges it."""
    package = Path(__file__).parents[1]
    judges = [package / 'evaluation' / f'{name}.py'
              for name in ('accuracy', 'metrics', 'sets', 'truth')]
    digest = hashlib.sha256()
    for path in (*sorted(package.glob('core/*.py')), *judges):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def model_hashes(folder: Path, categories: Iterable[str] | None) -> dict[str, str]:
    """Hash of every model file that is used, and of the refiner that goes with them."""
    paths = sorted(folder.glob('*.safetensors')) if categories is None else [
        folder / f'{c}.safetensors' for c in sorted(categories)]
    shared = find_refiner(folder)
    paths += [] if shared is None else [shared]
    return {p.stem: hashlib.sha256(p.read_bytes()).hexdigest()[:16] for p in paths if p.is_file()}


def measure(plan: Plan, load: Load, tell: Callable[[str, int, int, int, int], None]
            ) -> dict[str, Any]:
    """Measure what is not there yet and put all parts together, JSON-ready.

    load: gives the pipeline, as an instance of a class, with a preset. tell: called with what is
    done now, the number of parts done and in all, frames done and in all.
    """
    sets = read_sets(plan.root)
    parts, cannot = parts_of(plan, sets)
    reports: dict[Part, dict[str, Any]] = {}
    for number, part in enumerate(parts):
        path = plan.out / 'parts' / f'{part.name}.json'
        made_from = fingerprint(plan, part)
        kept = None if plan.again else _kept(path, made_from)
        if kept is None:
            def progress(done: int, total: int, part: Part = part, number: int = number) -> None:
                tell(part.name, number, len(parts), done, total)

            kept = _measure(part, sets[part.set], load, plan.out, progress)
            _write_part(path, kept | {'made_from': made_from})
        tell(part.name, number + 1, len(parts), 0, 0)
        reports[part] = kept
    if not any(r['objects'] for r in reports.values()):
        raise PoseError(f'The sets in {plan.root} show none of the categories that there are '
                        'models for.')
    return together(plan, reports, cannot)


def _kept(path: Path, made_from: dict[str, Any]) -> dict[str, Any] | None:
    """A part's report if it is whole and up to date."""
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        return found if found.pop('made_from') == made_from else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _write_part(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, json.dumps(values, indent=1) + '\n')


def _measure(part: Part, evaluation_set: EvaluationSet, load: Load, out: Path,
             progress: Callable[[int, int], None]) -> dict[str, Any]:
    depth = part.put_in == DEPTH
    inputs = Inputs(depth=depth, masks=False)
    truth = '' if depth else part.put_in
    answers = evaluate_with(truth, lambda kind: load(kind, part.preset), evaluation_set, inputs,
                            progress)
    if not part.put_in and answers:
        write_overlays(answers, out / 'overlays' / f'{part.name}.jpg')
    inputs = replace(inputs, masks=truth == 'mask')
    return report(answers, evaluation_set, part.preset, inputs) | {
        'put_in': part.put_in, 'known': _known(answers, part)}


def _known(answers: Sequence[Answer], part: Part) -> int:
    """Of how many objects that was known which was put in."""
    if part.put_in == DEPTH:
        return sum(a.frame.depth_path is not None for a in answers)
    return sum(has_truth(a.true, part.put_in) for a in answers) if part.put_in else 0


def _objects(reports: Iterable[Mapping[str, Any]]) -> list[ObjectResult]:
    return [ObjectResult(**o) for r in reports for o in r['objects']]


def together(plan: Plan, reports: Mapping[Part, Mapping[str, Any]],
             cannot: Sequence[str]) -> dict[str, Any]:
    """One report of all parts.

    ``sets``: figures overall and by category, by set and preset. ``all``: over all sets, by preset.
    ``put_in``: by what was put in and set. ``errors``: confidence and rotation error of answers,
    for plots. ``targets``: see ``gap_targets``.
    """
    plain = {p: r for p, r in reports.items() if not p.put_in}
    presets = list(dict.fromkeys(p.preset for p in plain))
    names = list(dict.fromkeys(p.set for p in plain))
    everywhere = {}
    for preset in presets:
        results = _objects(r for p, r in plain.items() if p.preset == preset)
        everywhere[preset] = {
            'overall': summarise(results), 'reliability': reliability(*sure_of(results)),
            'categories': {c: summarise([o for o in results if o.category == c])
                           for c in sorted({o.category for o in results})}}
    return {
        'presets': presets, 'truth_preset': plan.truth_preset, 'settings': dict(plan.settings),
        'sets': {name: {p.preset: _figures(r) for p, r in plain.items() if p.set == name}
                 for name in names},
        'all': everywhere,
        'put_in': {put_in: {p.set: _figures(r) | {'known': r['known']}
                            for p, r in reports.items() if p.put_in == put_in}
                   for put_in in dict.fromkeys(p.put_in for p in reports if p.put_in)},
        'errors': {name: [[o.confidence, o.rotation_error_deg] for o in _objects(
            [plain[Part(name, plan.truth_preset)]]) if o.rotation_error_deg is not None]
            for name in names},
        'cannot': list(cannot),
        'targets': targets({(p.set, p.put_in): _objects([r]) for p, r in reports.items()
                            if p.preset == plan.truth_preset})}


def _figures(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ('overall', 'categories', 'without_model')}
