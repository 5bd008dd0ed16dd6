# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Tables of the shipped models: from the weights' own cards, and what ``models.json`` measured.

What no file can know of a model, what it was shown and where it fails, is written by hand in
docs/model_notes.yaml.
"""

from __future__ import annotations

from functools import cache
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from table_text import number, share, table
import yaml

ROOT = Path(__file__).resolve().parents[1]
SHEETS = ROOT / 'docs' / 'images' / 'models'
SYMMETRIES = {'free_z': 'any spin about the axis looks the same', 'none': 'none'}
#: Keys of figures, what they are called, and how they are written.
FIGURES = {
    'rotation_median_deg': ('rotation median (deg)', lambda v: number(v, 1)),
    'within_10_deg': ('within 10 deg', share), 'within_20_deg': ('within 20 deg', share),
    'best4_within_20_deg': ('best of 4 within 20 deg', share),
    'first_look_within_20_deg': ('first look within 20 deg', share),
    'standing_within_20_deg': ('standing, within 20 deg', share),
    'standing_best4_within_20_deg': ('standing, best of 4 within 20 deg', share),
    'axis_median_deg': ('axis median (deg)', lambda v: number(v, 1)),
    'cut_off_within_20_deg': ('cut off, within 20 deg', share),
    'cut_off_axis_median_deg': ('cut off, axis median (deg)', lambda v: number(v, 1)),
    'painted_within_20_deg': ('other prints, within 20 deg', share),
    'painted_axis_median_deg': ('other prints, axis median (deg)', lambda v: number(v, 1)),
    'stretched_within_20_deg': ('other proportions, within 20 deg', share),
    'stretched_axis_median_deg': ('other proportions, axis median (deg)',
                                  lambda v: number(v, 1)),
    'mask_iou_median': ('mask IoU', lambda v: number(v, 3)),
    'alpha_iou_median': ('alpha IoU', lambda v: number(v, 3)),
    'psnr_db_median': ('PSNR (dB)', lambda v: number(v, 1)),
    'psnr_lit_db_median': ('PSNR, light removed (dB)', lambda v: number(v, 1)),
    'depth_error_median': ('depth error / diameter', lambda v: number(v, 3)),
    'together_alpha_iou_median': ('four crops together: alpha IoU', lambda v: number(v, 3)),
    'together_psnr_db_median': ('four crops together: PSNR (dB)', lambda v: number(v, 1)),
    'together_psnr_lit_db_median': ('four crops together: PSNR, light removed (dB)',
                                    lambda v: number(v, 1)),
    'together_depth_error_median': ('four crops together: depth error / diameter',
                                    lambda v: number(v, 3))}


@cache
def cards() -> dict[str, tuple[Path, dict[str, Any]]]:
    """Category -> (file, card) of models/*.safetensors."""
    found = {}
    for path in sorted((ROOT / 'models').glob('*.safetensors')):
        with safe_open(str(path), framework='numpy') as file:
            found[path.stem] = path, json.loads(file.metadata()['card'])
    return found


@cache
def notes() -> dict[str, dict[str, str]]:
    """Category -> {shown, limits}, written by hand; empty where nobody wrote any."""
    text = (ROOT / 'docs' / 'model_notes.yaml').read_text()
    return {name: {key: ' '.join(value.split()) for key, value in entry.items()}
            for name, entry in yaml.safe_load(text).items()}


def _front(card: dict[str, Any]) -> str:
    if card['symmetry'] == 'free_z':
        return 'none'
    return card['front_part'] or 'the whole shape tells it'


def _size(card: dict[str, Any]) -> str:
    return ' x '.join(number(100.0 * v, 0) for v in card['size']['size_m']) + ' cm'


def _render_command(recipe: dict[str, Any], category: str, folder: str | None = None) -> str:
    """How the data were rendered, or the record itself where it is of meshes.

    ``after`` in it is the recipe of instances that were put before them into one folder, by hand.
    folder: of data/ that they go to.
    """
    if 'after' in recipe:
        first = _render_command(recipe['after'], category)
        rest = _render_command({k: v for k, v in recipe.items() if k != 'after'}, category,
                               f'{category}-more')
        return f'{first}; and {rest}, put into one folder by hand'
    if not {'count', 'views', 'samples', 'lights', 'seed'} <= set(recipe):
        return f'`{json.dumps(recipe)}`'
    size = '' if recipe['size_px'] == 64 else f' --size {recipe["size_px"]}'
    unusual = f' --unusual {recipe["unusual"]}' if recipe.get('unusual') else ''
    return (f'`nabs-pose render {category} --instances {recipe["count"]} --views {recipe["views"]}'
            f' --samples {recipe["samples"]} --lights {recipe["lights"]}{size}'
            f' --seed {recipe["seed"]}{unusual} --out data/{folder or category}`')


def categories(folder: Path) -> str:
    """README's list of what is shipped."""
    rows = []
    for name, (path, card) in cards().items():
        figures = card['figures']
        rows.append([f'**{name}**', notes().get(name, {}).get('shown', '-'), _front(card),
                     _size(card), share(figures.get('within_20_deg')),
                     number(figures.get('mask_iou_median'), 2),
                     f'{path.stat().st_size / 1e6:.1f} MB'])
    return table(['category', 'shapes it was shown', 'front (x axis)', 'mean size', 'encoder '
                  'within 20 deg', 'mask IoU', 'file'], rows)


def _figures_table(rows: dict[str, dict[str, Any]], before: list[str]) -> str:
    keys = [key for key in FIGURES if any(key in row for row in rows.values())]
    heads = [key.replace('_', ' ') for key in before]
    return table(['category', *heads, *(FIGURES[key][0] for key in keys)], [
        [name, *(str(row[key]) for key in before),
         *(FIGURES[key][1](row.get(key)) for key in keys)] for name, row in rows.items()])


def card_figures(folder: Path) -> str:
    """What every model reached at the end of its own training."""
    return _figures_table({name: card['figures'] for name, (_, card) in cards().items()}, [])


def model_figures(folder: Path) -> str:
    """The models.json that ``nabs-pose benchmark models`` left: each model as last measured."""
    report: dict[str, Any] = json.loads((folder / 'models.json').read_text())
    return _figures_table(report['categories'], ['instances', 'crops'])


def strangers(folder: Path) -> str:
    """Of the same report: kinds that training never saw."""
    report: dict[str, Any] = json.loads((folder / 'models.json').read_text())
    rows = {name: figures['strangers'] for name, figures in report['categories'].items()
            if 'strangers' in figures}
    if not rows:
        return '(Not measured yet: models.json was measured without --strangers.)\n'
    kinds = {f'{name}: {kind}': figures for name, row in rows.items()
             for kind, figures in row.get('kinds', {}).items()}
    return _figures_table(rows, ['instances', 'crops']) + (
        '\n' + _figures_table(kinds, ['front_seen']) if kinds else '')


def generators(folder: Path) -> str:
    """Times of the generators' sizes, in the speed.json of ``nabs-pose benchmark speed``."""
    report: dict[str, Any] = json.loads((folder / 'speed.json').read_text())
    found = report['generators_ms']
    batches = list(next(iter(found.values())))
    return f'Milliseconds. Machine: {report["device"]}.\n\n' + table(
        ['generator', *(f'{name} crop' + 's' * (name != 'one') for name in batches)],
        [[f'`{name}`', *(number(times[b], 1) for b in batches)] for name, times in found.items()])


def refiner(folder: Path) -> str:
    """What the shared refiner was trained from, and its figures at the end of that."""
    path = ROOT / 'models' / 'shared' / 'refiner.safetensors'
    with safe_open(str(path), framework='numpy') as file:
        training = json.loads(file.metadata()['training'])
    rows = [['trained with', f"`{training['command']}`"],
            ['steps, hypotheses a step, seed', f"{training['step']}, {training['hypotheses']}, "
             f"{training['seed']}"],
            ['data hashes', ', '.join(f'{name} `{value}`'
                                      for name, value in sorted(training['data_hash'].items()))],
            ['torch', training['torch']],
            ['file', f'shared/{path.name}, {path.stat().st_size / 1e6:.1f} MB, 8 and 16 bits'],
            ['licence', training['licence']],
            *([['note', training['note']]] if 'note' in training else [])]
    found = training['figures']
    return table(['', ''], rows) + '\n' + table(
        ['category', *(f'{what}, {when}' for what in ('rotation median (deg)', 'within 10 deg',
                                                      'within 20 deg')
                       for when in ('encoder', 'refined'))],
        [[name, *(text(row[f'{when}_{key}']) for key, text in (
            ('median_deg', lambda v: number(v, 1)), ('within_10_deg', share),
            ('within_20_deg', share)) for when in ('before', 'after'))]
         for name, row in sorted(found.items())])


def model_cards(folder: Path) -> str:
    """A section a category: sheet, recipe, seed, data, sizes, figures, known limits."""
    text = []
    for name, (path, card) in cards().items():
        training, size, note = card['training'], card['size'], notes().get(name, {})
        rows = [
            ['shapes it was shown', note.get('shown', '-')],
            ['symmetry', SYMMETRIES.get(card['symmetry'], card['symmetry'])],
            ['front (x axis)', _front(card)],
            ['size prior: mean box (m)', ' x '.join(number(v, 3) for v in size['size_m'])],
            ['size prior: radius (m)', f"{size['radius_m']:.4f} +- {size['radius_std_m']:.4f}"],
            ['data', _render_command(training['recipe'], name)],
            ['data hash', f'`{training["data_hash"]}`'],
            ['trained with', f"`{training['command']}`"],
            ['started from', f"`{training['init']}`" if training.get('init') else 'random weights'],
            *([['averaged with', f"what it started from, `{training['averaged_with']}`; the later "
                f"weights count {share(training.get('average_share', 0.5))}"]]
              if training.get('averaged_with') else []),
            ['steps, crops a step, seed', f"{training['step']}, "
             f"{training['instances'] * training['views']}, {training['seed']}"],
            ['torch', training['torch']],
            ['file', f'{path.name}, {path.stat().st_size / 1e6:.1f} MB, 8 and 16 bits'],
            ['licence', card['licence']],
            *([FIGURES[key][0], FIGURES[key][1](value)] if key in FIGURES else
              [key.replace('_', ' '), f'{value:.3g}'] for key, value in card['figures'].items()),
            ['known limits', note.get('limits', '-')]]
        sheet = SHEETS / f'{name}.jpg'
        shown = (f'![{name}: crop, mask, true view, synthesis and its depth, of instances that '
                 f'training left out](images/models/{name}.jpg)\n\n' if sheet.is_file() else '')
        text.append(f'### {name}\n\n{shown}' + table(['', ''], rows))
    return '\n'.join(text)
